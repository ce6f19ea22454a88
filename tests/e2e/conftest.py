"""A working folder as `nurture init` makes it, on SQLite and on PostgreSQL, and commands typed in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from nurture.db import timers
from nurture.db.session import Database
from nurture.db.tables import Base
from tests.cli.conftest import Shell
from tests.processes import Running, started
from tests.typed import Said

PAST = "2020-01-01 00:00:00.000000"

LEADS = """\
kind: sequence
name: hello
description: Two mails at once.
voice: marketing
audience: {role: nurture}
enroll_when: [{stage_entered: {role: nurture}}]
sender: newsletter
window: always
steps:
  - {id: first, email: leads/welcome, content: educational}
  - {id: second, email: leads/education-basics, content: educational}
"""

PROSPECTS = """\
kind: sequence
name: answer
description: Two mails in one thread for whoever asked for a demo.
voice: personal
audience: {role: engage}
enroll_when: [{event: demo_requested}]
sender: owner
window: always
steps:
  - {id: answer, email: prospects/follow-up, content: product}
  - {id: last, email: prospects/follow-up-last, content: meeting, thread: true}
"""


@dataclass
class Company:
    """A working folder with its database; commands run in this process, or in one of their own."""

    folder: Path
    url: str

    def __call__(self, *words: str | Path, code: int = 0) -> Said:
        """Run `nurture -C FOLDER WORDS` here; the exit code must be `code`."""
        environ: dict[str, Any] = {name: None for name in os.environ if name.startswith("NURTURE_")}
        return Shell(self.folder, {**environ, "NURTURE_DATABASE_URL": self.url})(*words, code=code)

    def started(self, *words: str) -> AbstractContextManager[Running]:
        """Start `nurture WORDS` as a process of its own, up to the moment before it reads them."""
        return started(*words, folder=self.folder)

    def change(self, file: str, *pairs: tuple[str, str]) -> None:
        """Replace texts in a file of the folder; each of them must be there."""
        text = (self.folder / file).read_text("utf-8")
        for old, new in pairs:
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
        self.file(file, text)

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def use_short_sequences(self) -> None:
        """Take the shipped sequences away, and put two of two steps in their place that wait for nothing."""
        for path in [*self.folder.glob("sequences/leads/*"), *self.folder.glob("sequences/prospects/*")]:
            path.unlink()
        self.file("sequences/leads/hello.yaml", LEADS)
        self.file("sequences/prospects/answer.yaml", PROSPECTS)

    def use_smtp(self, port: int, *, public_url: str = "") -> None:
        """Let all mail go out through an SMTP server on this machine."""
        self.change("nurture.toml", ('provider = "outbox"', 'provider = "smtp"'))
        self.change("nurture.toml", ('public_url = ""', f'public_url = "{public_url}"'))
        with (self.folder / "nurture.toml").open("a") as house:
            house.write(f'\n[providers.smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n')

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open the database to look into it."""
        database = Database(self.url)
        try:
            with database.read() as connection:
                yield connection
        finally:
            database.dispose()

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database directly."""
        with self.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def tell(self, statement: str) -> None:
        """Change the database directly."""
        database = Database(self.url)
        try:
            with database.write() as connection:
                connection.exec_driver_sql(statement)
        finally:
            database.dispose()

    def hurry(self) -> None:
        """Let every lease be over, and every message that waits be due."""
        self.tell(f"UPDATE timers SET lease_until = '{PAST}' WHERE owner IS NOT NULL")
        self.tell(f"UPDATE timers SET due_at = '{PAST}' WHERE kind = 'message'")

    def states(self) -> dict[str, int]:
        """Return how many messages are in which state."""
        return dict(self.ask("SELECT state, count(*) FROM messages GROUP BY state"))  # type: ignore[arg-type]

    def counts(self) -> dict[str, int]:
        """Return how many rows every table has."""
        with self.reading() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in Base.metadata.sorted_tables
            }

    def lost(self) -> Sequence[timers.Lost]:
        """Return what nothing will ever wake; there must be none."""
        with self.reading() as connection:
            return timers.lost(connection)

    def mails(self) -> list[Path]:
        """Return the files in the outbox."""
        return sorted((self.folder / "outbox").rglob("*.eml"))


@pytest.fixture
def company(database_url: str, tmp_path: Path) -> Company:
    """A working folder that `nurture init` made; nothing is applied yet."""
    made = Company(tmp_path / "company", database_url)
    made("init", made.folder)
    made.change("nurture.toml", ("sqlite:///nurture.db", database_url))
    return made
