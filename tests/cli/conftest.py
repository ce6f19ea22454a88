"""A working folder with an applied program, and a way to type commands in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nurture import live
from nurture.cli import app
from nurture.db.session import Database
from nurture.program.load import load
from tests.world import MONDAY


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Types commands in one working folder."""

    folder: Path
    environ: Mapping[str, str]

    def __call__(self, *words: str | Path, code: int = 0) -> Said:
        """Run `nurture -C FOLDER WORDS`; the exit code must be `code`."""
        result = CliRunner().invoke(app, ["-C", str(self.folder), *map(str, words)], env=dict(self.environ))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return Said(result.exit_code, result.stdout, result.stderr)

    def file(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """A shell in a folder that is not there yet; the tests' own environment does not reach it."""
    nothing = {name: None for name in os.environ if name.startswith("NURTURE_")}
    return Shell(tmp_path / "company", nothing)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `nurture init` makes it, its program applied; copied for every test."""
    folder = tmp_path_factory.mktemp("made") / "company"
    Shell(folder, {})("init", folder)
    database = Database(f"sqlite:///{folder / 'nurture.db'}")
    with database.write() as connection:
        live.apply(connection, load(folder), "test", MONDAY)
    database.dispose()
    return folder


@pytest.fixture
def nurture(bare: Shell, made: Path) -> Shell:
    """A shell in a working folder whose program is applied."""
    shutil.copytree(made, bare.folder)
    return bare


@pytest.fixture
def stored(nurture: Shell) -> Iterator[Callable[[str], list[Any]]]:
    """Ask the database of the folder."""
    database = Database(f"sqlite:///{nurture.folder / 'nurture.db'}")

    def ask(statement: str) -> list[Any]:
        with database.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    yield ask
    database.dispose()
