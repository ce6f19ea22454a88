"""What every command stands on: the working folder, its settings, the opened database, and what time it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from nurture.db import instance, migrate
from nurture.db.session import Database
from nurture.errors import SuppressionKeyError
from nurture.mail.keys import KeyRing
from nurture.settings import FILE, Settings, load_settings


@dataclass(frozen=True, slots=True)
class Context:
    """An opened installation: its settings and its database, of this version and with its keys."""

    settings: Settings
    database: Database

    @property
    def ring(self) -> KeyRing:
        """The keys; raises SuppressionKeyError when there are none."""
        if self.settings.ring is None:
            raise SuppressionKeyError("there is no suppression key: put .nurture/keys back")
        return self.settings.ring


@contextmanager
def opened(ctx: typer.Context, database_url: str | None = None) -> Iterator[Context]:
    """Open the database of the working folder, or another one; it is closed at the end of the block.

    Raises:
        UsageError: this is no working folder.
        DatabaseError: the database is missing, older, newer or unreachable.
        SuppressionKeyError: the key is missing or is not the database's.
    """
    settings = settings_of(ctx, database_url)
    database = Database(settings.database_url)
    try:
        migrate.check(database)
        context = Context(settings, database)
        with database.read() as connection:
            instance.verify_keys(connection, settings.ring)
        yield context
    finally:
        database.dispose()


def settings_of(ctx: typer.Context, database_url: str | None = None) -> Settings:
    """Return the settings of the working folder that the command line, NURTURE_FOLDER or the current folder names.

    `database_url` (relative to the folder, as in nurture.toml) wins over theirs.
    """
    other = {"NURTURE_DATABASE_URL": database_url} if database_url else {}
    return load_settings(find_folder(ctx.find_root().obj, Path.cwd()), {**os.environ, **other})


def find_folder(given: Path | None, start: Path) -> Path:
    """Return `given`, else the nearest folder from `start` upwards with a nurture.toml, else `start`."""
    if given is not None:
        return given
    return next((folder for folder in (start, *start.parents) if (folder / FILE).is_file()), start)


def now_of(context: Context) -> datetime:
    """Return the program time: a rehearsal's own where it has one, else the real one."""
    with context.database.read() as connection:
        known = instance.read(connection)
    return program_time(known.rehearsal_now if known.rehearsal else None)


def program_time(pretended: datetime | None) -> datetime:
    """Return `pretended`, or the real time to the second."""
    return pretended or datetime.now(UTC).replace(microsecond=0)
