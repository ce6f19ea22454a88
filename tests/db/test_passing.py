from __future__ import annotations

import sqlite3

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.exc import DBAPIError, OperationalError

from nurture.db.passing import is_passing, reason
from nurture.db.session import Database
from nurture.errors import DatabaseError, NotFound


def of_sqlite(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("it said so")
    error.sqlite_errorcode = code
    return OperationalError("INSERT INTO secrets VALUES (?)", ("canary",), error)


def of_postgresql(error: psycopg.Error, *, cut: bool = False) -> DBAPIError:
    return DBAPIError("INSERT INTO secrets VALUES (?)", ("canary",), error, connection_invalidated=cut)


@pytest.mark.parametrize(
    "error",
    [
        DatabaseError("it cannot be reached"),
        of_sqlite(sqlite3.SQLITE_BUSY),
        of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT),
        of_sqlite(sqlite3.SQLITE_FULL),
        of_sqlite(sqlite3.SQLITE_IOERR_FSYNC),
        of_sqlite(sqlite3.SQLITE_READONLY),
        of_postgresql(errors.AdminShutdown("terminating connection")),
        of_postgresql(errors.CannotConnectNow("starting up")),
        of_postgresql(errors.LockNotAvailable("lock timeout")),
        of_postgresql(errors.DiskFull("no space left")),
        of_postgresql(errors.ReadOnlySqlTransaction("read-only")),
        of_postgresql(psycopg.OperationalError("server closed the connection unexpectedly")),
        of_postgresql(psycopg.InterfaceError("the connection is closed")),
        of_postgresql(psycopg.DatabaseError("lost synchronization with server"), cut=True),
    ],
)
def test_what_may_be_over_soon(error: Exception) -> None:
    assert is_passing(error)
    assert "canary" not in reason(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("ours"),
        NotFound("there is no such thing"),
        of_sqlite(sqlite3.SQLITE_ERROR),
        of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE),
        of_sqlite(sqlite3.SQLITE_CORRUPT),
        of_postgresql(errors.UniqueViolation("duplicate key")),
        of_postgresql(errors.UndefinedTable("no such table")),
        of_postgresql(errors.InternalError_("broken")),
    ],
)
def test_what_no_time_mends(error: Exception) -> None:
    assert not is_passing(error)


def test_a_database_that_may_only_be_read_may_be_written_later(database: Database) -> None:
    with database.read() as connection, pytest.raises(DBAPIError) as refused:
        connection.execute(sa.text("DELETE FROM leases"))
    assert is_passing(refused.value)


def test_a_table_that_is_not_there_will_not_be_there_later(database: Database) -> None:
    with database.read() as connection, pytest.raises(DBAPIError) as refused:
        connection.execute(sa.text("SELECT 1 FROM nowhere"))
    assert not is_passing(refused.value)
