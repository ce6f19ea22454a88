"""`nurture init` and `nurture db`: from nothing to a folder that works, and never over what is there."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nurture.mail.keys import parse_keys
from nurture.program.load import load
from tests.cli.conftest import Shell


def test_init_makes_a_folder_whose_program_loads(bare: Shell) -> None:
    said = bare("init", bare.folder)

    assert "nurture apply" in said.out
    program = load(bare.folder).program
    assert program.lifecycle.name == "scored"
    assert {"lead-welcome", "prospect-introduction"} <= set(program.sequences)
    assert (bare.folder / ".gitignore").read_text().splitlines()[0] == ".nurture/"


def test_keys_are_secret_and_each_folders_own(bare: Shell, tmp_path: Path) -> None:
    bare("init", bare.folder)
    bare("init", tmp_path / "other")
    path = bare.folder / ".nurture" / "keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(parse_keys(path.read_text()).keys[0][1]) >= 32
    assert path.read_text() != (tmp_path / "other" / ".nurture" / "keys").read_text()


def test_init_keeps_what_is_there(bare: Shell) -> None:
    bare("init", bare.folder)
    (bare.folder / "nurture.toml").write_text((bare.folder / "nurture.toml").read_text().replace("Example", "Own"))
    (bare.folder / "fields.yaml").unlink()
    keys = (bare.folder / ".nurture" / "keys").read_bytes()

    said = bare("init", bare.folder, "--json").json

    assert said["made"] == ["fields.yaml"]
    assert {"nurture.toml", ".nurture/keys"} <= set(said["kept"])
    assert "Own" in (bare.folder / "nurture.toml").read_text()
    assert (bare.folder / ".nurture" / "keys").read_bytes() == keys


def test_init_says_when_other_definitions_are_there_already(bare: Shell) -> None:
    bare("init", bare.folder, "--definitions", "two-way")
    assert "definitions" not in bare("init", bare.folder).err
    assert "definitions" not in bare("init", bare.folder, "--definitions", "two-way").err
    assert "the definitions 'bant' need a folder of their own" in bare("init", bare.folder, "--definitions", "bant").err


def test_init_names_the_definitions_that_there_are(bare: Shell) -> None:
    said = bare("init", bare.folder, "--definitions", "scared", code=2)
    assert "scored" in said.err
    assert not bare.folder.exists()


def test_the_database_tells_its_revision(nurture: Shell) -> None:
    said = nurture("db", "current", "--json").json
    assert said["usable"]
    assert said["revision"] == said["head"] == nurture("db", "upgrade", "--json").json["revision"]


def test_no_working_folder_is_told(bare: Shell) -> None:
    said = bare("reps", "list", code=2)
    assert "nurture init" in said.err
    assert said.err.startswith("error: ")


def test_a_missing_database_is_told_and_can_be_made(nurture: Shell) -> None:
    (nurture.folder / "nurture.db").unlink()
    assert "nurture db upgrade" in nurture("reps", "list", code=1).err
    nurture("db", "upgrade")
    assert nurture("reps", "list", "--json").json == []


def test_a_missing_or_foreign_key_is_told(nurture: Shell) -> None:
    keys = nurture.folder / ".nurture" / "keys"
    keys.unlink()
    assert "nothing is sent" in nurture("reps", "list", code=1).err
    nurture("init", nurture.folder)
    assert "is not the one" in nurture("reps", "list", code=1).err


def test_a_database_of_a_newer_version_is_told(nurture: Shell) -> None:
    import sqlite3

    with sqlite3.connect(nurture.folder / "nurture.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    assert "newer nurture" in nurture("reps", "list", code=1).err
    assert not nurture("db", "current", "--json").json["usable"]


def test_nothing_applied_is_told(bare: Shell) -> None:
    bare("init", bare.folder)
    file = bare.file("people.csv", "Email\nann@acme.example\n")
    assert "nurture apply" in bare("contacts", "import", file, code=1).err


def test_the_folder_is_found_from_below(nurture: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from nurture.cli import app

    monkeypatch.chdir(nurture.folder / "templates" / "leads")
    result = CliRunner().invoke(app, ["reps", "list", "--json"], env=dict(nurture.environ))
    assert (result.exit_code, result.stdout.strip()) == (0, "[]")


def test_every_command_has_help_with_an_example() -> None:
    import typer

    from nurture.cli import app

    def walk(command: Any, name: str) -> list[tuple[str, str]]:
        below = getattr(command, "commands", {})
        return [pair for key, each in below.items() for pair in walk(each, f"{name} {key}")] or [
            (name, command.help or "")
        ]

    commands: Callable[[], list[tuple[str, str]]] = lambda: walk(typer.main.get_command(app), "nurture")  # noqa: E731
    assert [name for name, text in commands() if f"`{name}" not in text] == []
