"""Errors of the database that may be over soon: it cannot be reached, is locked or full, or has lost the connection."""

from __future__ import annotations

import sqlite3

import psycopg
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy.exc import DBAPIError

from nurture.errors import DatabaseError

_SQLITE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    )
)

_POSTGRESQL = (psycopg.OperationalError, psycopg.InterfaceError, ReadOnlySqlTransaction)
"""Among them what a server says that is shut down or full, gives up waiting for a lock, or is a replica by now."""


def is_passing(error: Exception) -> bool:
    """Tell whether the same work may succeed later without anybody changing it.

    Of work that failed so nobody knows whether it was committed: only the answer may have been lost.
    """
    if isinstance(error, DatabaseError):  # no transaction could begin
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):  # its OperationalError is a missing table, too
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE
    return error.connection_invalidated or isinstance(error.orig, _POSTGRESQL)


def reason(error: Exception) -> str:
    """Return in one line what the database said, without the statement and its values."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
