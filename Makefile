# Needs only make, git and Python 3.11 or newer with venv. Everything else goes into .venv, from requirements.lock,
# which pins every package by version and hash. `make` alone says what there is.

.SHELLFLAGS := -euc
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECK_DB := sqlite:///$(VENV)/check.db

.PHONY: help setup demo test soak check bench lock

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Set up .venv (the others do it by themselves)

demo: $(READY) ## Run the main job on SQLite and a local outbox; ARGS="..." goes to nurture demo
	@$(BIN)/nurture demo $(ARGS)

test: $(READY) ## Run every test on every core; ARGS="tests/core -k scoring" narrows them
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto --dist loadscope $(ARGS)

soak: $(READY) ## Run the long tests: every fault at every statement, and a nemesis; up to an hour on two cores
	@$(BIN)/python -m pytest -n auto --dist loadscope -m soak $(ARGS)

check: $(READY) ## Hold the code to its rules, then run the tests (not with SKIP_TESTS=1)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@rm -f $(VENV)/check.db*
	NURTURE_DATABASE_URL=$(CHECK_DB) $(BIN)/alembic upgrade head
	NURTURE_DATABASE_URL=$(CHECK_DB) $(BIN)/alembic check
	$(BIN)/nurture lint
ifneq ($(SKIP_TESTS),1)
	@$(MAKE) --no-print-directory test
endif

bench: $(READY) ## Measure how fast mail is sent, beside the raw ceiling; ARGS=--quick makes it short
	@$(BIN)/python -m bench $(ARGS)

lock: $(READY) ## Write requirements.lock anew from pyproject.toml; ARGS=--upgrade takes the newest
	@$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --all-extras --generate-hashes \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml $(ARGS)

# The stamp holds the folder it was made in: a virtual environment does not survive a move.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "nurture needs Python 3.11 or newer, and there is no $(PYTHON) here. Install it, or name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "nurture needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python comes without venv. Install python3-venv: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV)"
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" && $(BIN)/python -c '' || $(PYTHON) -m venv --clear $(VENV)
	@awk '/^[^ #]/ { uv = /^uv==/ } uv' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
		|| { echo "uv could not; pip, which is slower, tries the same."; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@printf '%s\n' "$(CURDIR)" > $@
