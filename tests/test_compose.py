"""The containers' files: every command in them exists, takes its options, and is what an installation provides."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nurture.settings import load_settings
from tests import databases
from tests.processes import started, working_folder
from tests.programs import ROOT
from tests.typed import typed

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "compose.yaml")
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "nurture"}
STAYING = ("scheduler", "worker", "web")


def test_a_fleet_has_a_database_a_migration_a_scheduler_pages_and_two_workers() -> None:
    assert {"database", "migrate", *STAYING} <= COMPOSE["services"].keys()
    assert OURS["worker"]["deploy"]["replicas"] == 2
    assert OURS["migrate"]["command"] == ["db", "upgrade"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_exists_and_takes_its_options(name: str) -> None:
    asked = typed([*OURS[name]["command"], "--help"])
    assert asked.code == 0, asked.err


def test_nothing_works_before_the_database_is_migrated() -> None:
    for name in STAYING:
        assert OURS[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert OURS["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}


def test_no_password_stands_in_the_file() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    passwords = re.findall(r"(?:PASSWORD: |nurture:)(\$\{[^}]*\}|\S+)@?", text)
    assert passwords
    assert {found for found in passwords if not found.startswith("${")} <= {"&nurture"}


def test_the_settings_are_found_by_the_variables_that_containers_get(tmp_path: Path) -> None:
    environment = OURS["worker"]["environment"]
    assert all(re.search(rf"\b{name}\b", read_by_nurture()) for name in environment)
    url = environment["NURTURE_DATABASE_URL"].replace("${POSTGRES_PASSWORD:?write it into .env}", "x")
    assert load_settings(tmp_path, {"NURTURE_DATABASE_URL": url}).database_url == url


def read_by_nurture() -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / "nurture").rglob("*.py"))


def test_the_image_is_made_of_files_that_there_are() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    wanted = {name for line in re.findall(r"^COPY ([^-].*) \S+$", dockerfile, re.MULTILINE) for name in line.split()}
    assert {"nurture", "migrations", "sequences", "templates", "requirements.lock"} <= wanted
    let_in = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    for name in wanted:
        assert (ROOT / name).exists(), name
        assert name in let_in, name


@pytest.mark.soak
@pytest.mark.pg
def test_the_commands_run_by_hand(tmp_path: Path) -> None:
    with databases.postgresql_url() as url:
        working_folder(tmp_path / "company", url)
        database_ready(tmp_path / "company")
        for name in STAYING:
            words = ["0" if word == "8000" else word for word in OURS[name]["command"]]
            with started(*words, folder=tmp_path / "company") as running:
                running.go()
                line = running.wait_for(name)
                if name == "web":
                    port = re.search(r"http://[^ ]*:(\d+)", line)
                    assert port
                    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/health", timeout=60) as answer:
                        assert answer.status == 200
                running.process.terminate()
                assert running.end()[0] == 0, running.heard


def database_ready(folder: Path) -> None:
    with started("db", "upgrade", folder=folder) as running:
        running.go()
        assert running.end()[0] == 0, running.heard
