"""A working folder with an applied program, and a way to type commands in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nurture import live
from nurture.db import instance
from nurture.db.session import Database
from nurture.program.load import load
from nurture.witness import FILE
from tests.typed import Said, typed
from tests.world import MONDAY


@dataclass(frozen=True)
class Shell:
    """Types commands in one working folder."""

    folder: Path
    environ: Mapping[str, str]

    def __call__(self, *words: str | Path, code: int = 0) -> Said:
        """Run `nurture -C FOLDER WORDS`; the exit code must be `code`."""
        said = typed(["-C", str(self.folder), *map(str, words)], self.environ)
        assert said.code == code, said.out + said.err
        return said

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
    (folder / FILE).unlink()  # or every copy would say that it is one
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


PEOPLE = """\
Email,First name,Last name,Title,Company,Employees,Industry,Country,Owner
ann@acme.example,Ann,Bell,Director of Finance,Acme,400,Retail,DE,ada@example.com
bob@acme.example,Bob,Chan,Engineer,Acme,400,Retail,DE,ada@example.com
cy@tiny.example,Cy,Dent,Owner,Tiny,3,bakery,US,
"""


@pytest.fixture(scope="session")
def lived(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rehearsal two days old: two leads were written to, and the draft to a prospect, Ann, waits for Ada."""
    folder = tmp_path_factory.mktemp("lived") / "company"
    shutil.copytree(made, folder)
    database = Database(f"sqlite:///{folder / 'nurture.db'}")
    with database.write() as connection:
        instance.make_rehearsal(connection, MONDAY)
    database.dispose()
    shell = Shell(folder, {})
    signature = r"Ada\nExample Company, 1 Example Street"
    shell("reps", "add", "--name", "Ada Lovelace", "--email", "ada@example.com", "--signature", signature)
    shell("contacts", "import", shell.file("people.csv", PEOPLE))
    shell("events", "record", "ann@acme.example", "demo_requested")
    shell("run", "--until", "2026-03-04T12:00:00Z")
    return folder


@pytest.fixture
def office(bare: Shell, lived: Path) -> Shell:
    """A shell in the rehearsal of `lived`, on Wednesday at noon."""
    shutil.copytree(lived, bare.folder)
    return bare


@pytest.fixture
def stored(bare: Shell) -> Iterator[Callable[[str], list[Any]]]:
    """Ask the database of the folder; what changes something is committed."""
    database = Database(f"sqlite:///{bare.folder / 'nurture.db'}")

    def ask(statement: str) -> list[Any]:
        with database.write() as connection:
            found = connection.exec_driver_sql(statement)
            return [tuple(row) for row in found] if found.returns_rows else []

    yield ask
    database.dispose()
