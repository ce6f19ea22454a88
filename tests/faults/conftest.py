"""A ledger, a process that forks, and a scene with every kind of mail in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from nurture import drafts
from nurture.db import tables
from nurture.db.session import Database
from tests import databases
from tests.conftest import BOTH
from tests.faults.copies import copied
from tests.faults.ledger import Ledger, running_ledger
from tests.processes import Process
from tests.world import LINKS, RING, World


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let PostgreSQL hear every answer of a provider, and see every clock, in `make soak` only: they do not meet."""
    for item in items:
        spared = _SPARED.get(item.path.name)
        if spared and "postgresql" in item.name and not any(name in item.name for name in spared):
            item.add_marker(pytest.mark.soak)


_SPARED = {"test_answers.py": ("refused",), "test_clocks.py": ("postgresql-gap]", "1 day")}


@dataclass
class Forker:
    """The process that forks for each try."""

    process: Process

    def ask(self, how: str, **command: Any) -> Any:
        self.process.stdin.write(json.dumps({"how": how, **command}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def running_forker() -> Iterator[Forker]:
    process = Process("import os; os.setsid(); from tests.faults.forker import main; main()")
    try:
        yield Forker(process)
    finally:
        process.kill_group()  # with every child, stopped ones among them
        process.close()


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with running_forker() as forker:
        yield forker


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with running_ledger(tmp_path_factory.mktemp("ledger")) as ledger:
        yield ledger


@pytest.fixture
def ledger(book: Ledger) -> Ledger:
    """A ledger with an empty book that takes everything."""
    book.book.write_text("")
    book.script()
    return book


@pytest.fixture(scope="module", params=BOTH)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Leads who get mail, one whom the provider refuses, one who unsubscribed, and a prospect's approved draft."""
    folder = tmp_path_factory.mktemp("scene")
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = databases.sqlite_url(folder)
        else:
            url = stack.enter_context(databases.postgresql_url())
        database = Database(url)
        yield filled(World(database, folder))
        database.dispose()


@pytest.fixture
def scene(prepared: World, forker: Forker) -> Iterator[World]:
    """A copy of the scene, whose program the forking process has in its cache."""
    with copied(url_of(prepared)) as url:
        forker.ask("warm", url=url)
        world = copy.copy(prepared)
        world.database = Database(url)
        yield world
        world.database.dispose()


def url_of(world: World) -> str:
    """Return where a world's database is; nobody is connected to it any more."""
    world.database.dispose()
    return world.database.url.render_as_string(hide_password=False)


def filled(world: World) -> World:
    """Fill a world with the scene."""
    rita = world.rep()
    bob = world.contact("bob@example.com", owner=rita, account={"name": "Acme"})
    world.record(bob, "content_downloaded")
    world.record(bob, "content_downloaded")
    world.advance(days=1)
    draft = world.row(tables.Message)
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, "rita", world.now)
        tested = {"unsubscribe_tested_url": LINKS.public_url, "unsubscribe_tested_at": world.now + timedelta(days=1)}
        connection.execute(update(tables.Instance).values(tested))
    world.now += timedelta(days=1)
    world.contacts(["ann@example.com", "cleo@example.com", "refused@example.com", "sue@example.com", "dan@example.com"])
    sue = {"address_hash": RING.address_hash("sue@example.com"), "scope": "marketing", "reason": "asked"}
    with world.database.write() as connection:
        row = {**sue, "actor": "sue", "source": "test", "created_at": world.now}
        connection.execute(insert(tables.Suppression).values(row))
    return world
