"""Bringing a database to the schema of this code, and refusing one that is not there.

The migrations lie in `nurture/_shipped/migrations` of an install, and beside the package in a checkout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import nurture
from nurture.db.session import Database, place, unreachable
from nurture.errors import DatabaseError

_LOCK = 0x6E757274757265
"""PostgreSQL's advisory lock of whoever migrates ("nurture")."""


def upgrade(url: str) -> None:
    """Bring the database to the newest schema, making it where it is missing. Of two at once, one waits.

    Raises:
        DatabaseError: it was made by a newer nurture, or cannot be reached.
    """
    with migrating(url) as connection:
        _refuse_newer(connection, place(connection.engine.url))
        command.upgrade(_config(connection), "head")


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision` ("base" is an empty one)."""
    with migrating(url) as connection:
        _refuse_newer(connection, place(connection.engine.url))
        command.downgrade(_config(connection), revision)


def current(connection: Connection) -> str | None:
    """Return the revision of a database; None when it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def head() -> str:
    """Return the revision that this code works with. Every command asks, and it takes reading every revision's file."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise DatabaseError(f"This installation of nurture lacks its migrations ({_folder()}); install it again.")
    return revision


def check(database: Database) -> None:
    """Refuse a database whose schema is not the one that this code works with.

    Raises:
        DatabaseError: it is missing, older, newer, or cannot be reached; the message says what to do.
    """
    with database.read() as connection:
        revision = current(connection)
        if revision == head():
            return
        where = place(database.url)
        _refuse_newer(connection, where)
    if revision is None:
        raise DatabaseError(f"The database {where} is empty: run `nurture db upgrade`.")
    raise DatabaseError(f"The database {where} is of an older nurture (revision {revision}): run `nurture db upgrade`.")


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """Open the one transaction in which migrations run: nobody else migrates meanwhile."""
    database = Database(url, create=True)
    try:
        with _connected(database) as connection, _locked(database, connection):
            yield connection
    finally:
        database.dispose()


def _connected(database: Database) -> Connection:
    try:
        return database.engine.connect()
    except sa.exc.DBAPIError as error:
        raise unreachable(database.url, error) from error


@contextmanager
def _locked(database: Database, connection: Connection) -> Iterator[None]:
    if database.dialect == "postgresql":
        with connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield
        return
    # A batch migration copies a table and drops the old one: with foreign keys on, that would delete what refers to it.
    # The pragma does nothing inside a transaction, so the switch comes before, and the check before the commit.
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            yield
            _check_references(connection)
    finally:
        cursor.execute("PRAGMA foreign_keys=ON")


def _check_references(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise DatabaseError(f"The migration would leave {broken[0]} pointing at rows of {broken[2]} that are gone.")


def _refuse_newer(connection: Connection, where: str) -> None:
    revision = current(connection)
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseError(f"The database {where} was made by a newer nurture (revision {revision}); upgrade nurture.")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _folder() -> Path:
    package = Path(nurture.__file__).parent
    shipped = package / "_shipped" / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"
