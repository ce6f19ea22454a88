"""Copies of a prepared database, one for every try, so that the N-th statement is the same statement each time."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nurture.db.session import Database, is_sqlite, read_url
from tests import databases


@contextmanager
def copied(url: str) -> Iterator[str]:
    """Copy a database to which nobody is connected; the copy is gone at the end."""
    parsed = read_url(url)
    if is_sqlite(parsed):
        source = Path(str(parsed.database))
        target = source.with_name(f"copy-{uuid.uuid4().hex[:8]}.db")
        shutil.copyfile(source, target)
        try:
            yield f"sqlite:///{target}"
        finally:
            for path in target.parent.glob(f"{target.name}*"):
                path.unlink()
        return
    name = f"t_{uuid.uuid4().hex[:12]}"
    server = databases._server()
    databases._admin_engine(databases._named(server, str(parsed.database))).dispose()
    databases._admin(server, f'CREATE DATABASE "{name}" TEMPLATE "{parsed.database}" STRATEGY file_copy')
    try:
        yield databases._named(server, name)
    finally:
        databases._admin(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def end_leases(database: Database, *, alone: bool = True, words: bool = True) -> None:
    """Let every lease be over, once the server knows that killed processes are gone (`alone`: nobody else is left).

    With `words`, so are those that direct sending left: after that everybody goes the plain way.
    """
    for _ in range(_LOOKS if alone and database.dialect == "postgresql" else 0):
        if not _others(database):
            break
    with database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE timers SET lease_until = '2000-01-01 00:00:00+00:00' WHERE owner IS NOT NULL"
        )
        if words:
            connection.exec_driver_sql(
                "UPDATE leases SET expires_at = '2000-01-01 00:00:00+00:00' WHERE name > 'direct:' AND name < 'direct;'"
            )


_LOOKS = 10_000


def _others(database: Database) -> int:
    query = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND application_name = 'nurture'"""
    with database.read() as connection:
        return connection.execute(sa.text(query)).scalar_one()
