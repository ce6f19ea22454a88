# The four words a newcomer needs: `make demo`, `make test`, `make check`, `make help`.
# Needs only make, git and Python 3.11 or newer with venv; all else goes into .venv, from the hashed requirements.lock.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: help
help: ## Say what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Set up .venv (the other targets do it by themselves)

.PHONY: demo
demo: $(READY) ## Run the main job on SQLite and a local outbox; ARGS="…" is passed on
	@$(BIN)/nurture demo $(ARGS)

.PHONY: test
test: $(READY) ## Run all tests, on every core; ARGS="tests/core -k scoring" narrows them
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

# The stamp holds the folder it was made in: an editable install does not survive a move.
ifneq ($(file <$(READY)),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "nurture needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Install it, or name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "nurture needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv. Install python3-venv: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) …"
	@[ "$$(cat $@ 2>/dev/null)" = '$(CURDIR)' ] && $(BIN)/python -c '' || $(PYTHON) -m venv --clear $(VENV)
	@awk '/^[^ #]/ { take = /^uv==/ } take' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@printf '%s' '$(CURDIR)' > $@
