"""A world with its pages: asked in the same process, or over a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from nurture.cli.serve import address_of, listen
from nurture.db.session import Database
from nurture.web.app import create_app
from tests.world import RING, World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """A database with the small program applied, at nine on a Monday."""
    return World(database, tmp_path)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    """A browser without cookies that follows nothing."""
    app = create_app(world.database, RING, clock=lambda: world.now)
    with TestClient(app, follow_redirects=False) as opened:
        yield opened


@contextmanager
def answering(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield its URL."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield address_of(listening)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
