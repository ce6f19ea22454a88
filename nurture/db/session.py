"""Connections to the database: the one place that knows how SQLite and PostgreSQL begin, wait and end.

A writing transaction takes SQLite's write lock when it begins (`BEGIN IMMEDIATE`), because one that reads first and
then writes fails at once with BUSY_SNAPSHOT, whatever the timeout. A reading one sees one moment and cannot write.
"""

from __future__ import annotations

import base64
import copy
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from nurture.core.comparing import fold
from nurture.db import opening
from nurture.errors import DatabaseError

BUSY_SECONDS = 30
"""How long a transaction waits for a lock before it fails."""

CONNECT_SECONDS = 10
"""How long PostgreSQL has to answer a new connection."""

VANISHED = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""By libpq's names (seconds; the last in milliseconds): after a minute, a PostgreSQL that vanished counts as gone.

The system would wait for a quarter of an hour, or for two hours.
"""

TRIES = 3
"""How often a unit of work is tried that the database gives up for another's sake."""

PAUSE_SECONDS = 0.05

_GIVEN_UP = ("40001", "40P01")
"""serialization_failure, deadlock_detected (PostgreSQL; SQLite has one writer at a time)."""

T = TypeVar("T")

_READING = "nurture_reading"
_SYNC = "nurture_sync"
_WRITABLE = "nurture_writable"

_PRAGMAS = (
    "synchronous=FULL",  # a power cut must not forget the intent to send
    "foreign_keys=ON",
    "wal_autocheckpoint=4000",
    "cache_size=-8192",
    "temp_store=MEMORY",
)


class Database:
    """A database by its URL: `sqlite:///path` or `postgresql://user@host/name`."""

    def __init__(self, url: str, *, create: bool = False) -> None:
        """Prepare connections; none is made yet. `create` lets SQLite begin a new file."""
        self.url = read_url(url)
        self.engine = _sqlite(self.url, create) if is_sqlite(self.url) else _postgresql(self.url)
        self._reader = _reading(self.engine)
        self.last_word: Callable[[Connection], None] | None = None

    @property
    def dialect(self) -> str:
        """Return "sqlite" or "postgresql"."""
        return self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a writing transaction: committed at the end, rolled back when the block raises."""
        with self._begin(self.engine) as connection:
            yield connection
            if self.last_word is not None:
                self.last_word(connection)

    def before_commit(self, last: Callable[[Connection], None]) -> Database:
        """Return this database, over the same connections, where `last` ends every writing transaction that succeeds.

        What it writes is committed with the rest, or not at all.
        """
        other = copy.copy(self)
        other.last_word = last
        return other

    def restartable(self) -> Database:
        """Return this database, over the same connections, where a power cut may undo the last writing transactions.

        SQLite then waits for the disk once in a while, and not for every commit. They are undone from the last to the
        first, and none is any more once a transaction of the database as it was is committed. For work that keeps
        with its rows how far it came, and tells nobody before such a transaction that it is done.
        """
        other = copy.copy(self)
        if self.dialect == "sqlite":
            other.engine = self.engine.execution_options(**{_SYNC: "NORMAL"})
        return other

    def unit(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a writing transaction; when the database gave it up for another's sake, do it again as a whole.

        That is a deadlock or a failed serialization, after which nothing of it is kept. It is tried TRIES times, with
        a moment in between for the other to finish.
        """
        for tried in range(1, TRIES):
            try:
                with self.write() as connection:
                    return work(connection)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _GIVEN_UP:
                    raise
            time.sleep(PAUSE_SECONDS * tried)
        with self.write() as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a reading transaction, which sees one moment of the database and may not write."""
        with self._begin(self._reader) as connection:
            yield connection

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()

    @contextmanager
    def _begin(self, engine: Engine) -> Iterator[Connection]:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(engine.connect())
                stack.enter_context(connection.begin())
            except DBAPIError as error:
                raise unreachable(self.url, error) from error
            yield connection


def hurry(connection: Connection) -> None:
    """Let a power cut or a crash of the server undo this writing transaction, until one after it does not hurry.

    PostgreSQL then waits neither for the disk nor for a replica; SQLite, which gains nothing by that, does. For what is
    safe to be forgotten.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")


def read_url(url: str) -> URL:
    """Return `url` with the driver that is used here.

    Raises:
        DatabaseError: it is no URL, or of another kind of database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(
            "The database URL cannot be read; write sqlite:///nurture.db or postgresql://user:password@host/name."
        ) from None
    kind = parsed.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise DatabaseError(f"nurture runs on SQLite and PostgreSQL, not on {kind}; see [database] in nurture.toml.")
    if parsed.database in (None, "", ":memory:"):
        raise DatabaseError("SQLite needs a file, for example sqlite:///nurture.db.")
    return parsed.set(drivername="sqlite+pysqlite")


def is_sqlite(url: URL) -> bool:
    """Tell whether `url` names a SQLite file."""
    return url.drivername.startswith("sqlite")


def place(url: URL) -> str:
    """Return where the database is, for people: without user and password."""
    if is_sqlite(url):
        return str(url.database)
    host = url.host or url.query.get("host") or "the local socket"
    port = f":{url.port}" if url.port else ""
    return f"{url.database or 'the default database'} on {host}{port}"


def unreachable(url: URL, error: Exception) -> DatabaseError:
    """Return what to tell when no transaction could begin."""
    cause = str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"]
    if is_sqlite(url) and "locked" in cause[0]:
        return DatabaseError(
            f"The database {place(url)} was locked by another process for more than {BUSY_SECONDS} seconds."
        )
    said = _without_password(url, cause[0])
    if is_sqlite(url):
        return DatabaseError(opening.refused_by_sqlite(_path(url), getattr(error, "orig", None), said))
    return DatabaseError(opening.refused_by_postgresql(place(url), url.database, said))


def write_problem(url: URL) -> str | None:
    """Return why this user cannot write to a database that it can read, where that is known: of a SQLite file."""
    return opening.unwritable(_path(url)) if is_sqlite(url) else None


def _path(url: URL) -> Path:
    return Path(str(url.database))


def _without_password(url: URL, text: str) -> str:
    return text.replace(str(url.password), "***") if url.password else text


def _sqlite(url: URL, create: bool) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **_json())

    @event.listens_for(engine, "do_connect")
    def refuse_missing(*_: Any) -> None:
        if (problem := opening.unopenable(_path(url), create)) is not None:
            raise DatabaseError(problem)

    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(raw: sqlite3.Connection, record: Any) -> None:
    raw.isolation_level = None  # the driver's own BEGIN comes too late and is deferred
    raw.create_function("unbase64", 1, _unbase64, deterministic=True)
    raw.create_function("nurture_fold", 1, _fold, deterministic=True)
    raw.create_function("nurture_domain", 1, _domain, deterministic=True)
    _write_ahead(raw)
    for pragma in _PRAGMAS:
        raw.execute(f"PRAGMA {pragma}")


def _write_ahead(raw: sqlite3.Connection) -> None:
    """Let readers and the writer not wait for each other, from the first connection to a new file on.

    While another connection writes the file as it was, SQLite refuses this one at once, whatever its timeout. A file
    that may not be written stays as it is, and is read if that is possible.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
                raw.execute("PRAGMA schema_version")
                return
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _unbase64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _fold(text: object) -> str | None:
    """Fold case as conditions do: SQLite's own lower() knows ASCII only."""
    return fold(text) if isinstance(text, str) else None


def _domain(address: object) -> str | None:
    return address.rpartition("@")[2] if isinstance(address, str) else None


def _begin_sqlite(connection: Connection) -> None:
    reading = bool(connection.get_execution_options().get(_READING))
    if connection.info.get(_READING, False) != reading:
        connection.exec_driver_sql(f"PRAGMA query_only={int(reading)}")
        connection.info[_READING] = reading
    sync = connection.get_execution_options().get(_SYNC, "FULL")
    if connection.info.get(_SYNC, "FULL") != sync:
        connection.exec_driver_sql(f"PRAGMA synchronous={sync}")
        connection.info[_SYNC] = sync
    if not reading and _WRITABLE not in connection.info:
        if (problem := write_problem(connection.engine.url)) is not None:
            raise DatabaseError(problem)
        connection.info[_WRITABLE] = True
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Engine:
    arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": "nurture", **VANISHED}
    engine = create_engine(url, connect_args=arguments, pool_pre_ping=True, **_json())
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(raw: Any, record: Any) -> None:
    # Not sent as start-up options: connection poolers refuse those.
    raw.autocommit = True
    raw.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('lock_timeout', %s, false)", (f"{BUSY_SECONDS}s",)
    )
    raw.autocommit = False


def _reading(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{_READING: True})
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _json() -> dict[str, Any]:
    return {"json_serializer": lambda value: orjson.dumps(value).decode(), "json_deserializer": orjson.loads}
