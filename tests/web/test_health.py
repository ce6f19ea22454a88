"""Health, and the self-test by which the unsubscribe pages prove that they can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.testclient import TestClient
from sqlalchemy import update

from nurture import engine, selftest
from nurture.composing import Links
from nurture.core.model import SenderId
from nurture.db import instance, senders, tables
from nurture.db.session import Database
from nurture.mail.keys import KeyRing
from nurture.scheduler import Scheduler
from nurture.web.app import create_app
from tests.web.conftest import answering
from tests.world import MONDAY, RING, Ledger, World

OTHER = KeyRing((("k1", bytes(32)),))

# --- health -----------------------------------------------------------------------------------------------------------


def test_all_is_well_where_nothing_waits(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": True,
        "late_seconds": 0.0,
        "ambiguous_messages": 0,
        "paused_senders": [],
        "sending_paused": None,
        "rehearsal": False,
    }


def test_health_tells_how_late_work_is_and_what_waits_for_a_person(world: World, client: TestClient) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    world.use(Ledger(raising=OSError("gone")))
    world.work()
    with world.database.write() as connection:
        senders.pause(connection, SenderId(world.row(tables.Sender).id), "the provider refused us", world.now)
        instance.pause_sending(connection, "a mistake in the program")
        connection.execute(update(tables.Timer).values(due_at=MONDAY - timedelta(seconds=90)))
    told = client.get("/health").json()
    assert told["late_seconds"] == 90
    assert told["ambiguous_messages"] == 2
    assert told["paused_senders"] == ["newsletter"]
    assert told["sending_paused"] == "a mistake in the program"


def test_without_a_database_it_is_not_well(tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'gone.db'}")
    with TestClient(create_app(gone, RING, clock=lambda: MONDAY)) as client:
        for path in ("/health", "/health/unsubscribe?nonce=1"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["status"]) == (503, "down")
            assert str(tmp_path) not in answer.text
    gone.dispose()


def test_there_are_no_other_pages(client: TestClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/redoc"):
        assert client.get(path).status_code == 404


# --- the self-test ----------------------------------------------------------------------------------------------------


def remembered(world: World) -> tuple[object, object]:
    with world.database.read() as connection:
        home = instance.read(connection)
    return home.unsubscribe_tested_url, home.unsubscribe_tested_at


@pytest.fixture
def served(world: World) -> Iterator[str]:
    """The pages of the world, on a real socket."""
    with answering(create_app(world.database, RING, clock=lambda: world.now)) as url:
        yield url


def test_pages_that_answer_are_remembered(world: World, served: str) -> None:
    assert selftest.ask(world.database, Links(served, RING), "n1", world.now) is None
    assert remembered(world) == (served, world.now)


def test_marketing_mail_through_a_real_provider_waits_for_the_pages(world: World, served: str) -> None:
    ledger = Ledger(real=True)
    world.use(ledger)
    world.postroom = replace(world.postroom, links=Links(served, RING))
    world.contact("ann@example.com")
    assert world.work().held == 1
    assert selftest.ask(world.database, world.postroom.links, "n1", world.now) is None
    world.advance(hours=2)
    assert [mail.to_address for mail in ledger.taken] == ["ann@example.com"]


def test_a_server_of_other_keys_or_of_another_database_does_not_count(world: World) -> None:
    with answering(create_app(world.database, OTHER, clock=lambda: world.now)) as url:
        problem = selftest.ask(world.database, Links(url, RING), "n1", world.now)
    assert problem is not None
    assert "something else" in problem
    with world.database.read() as connection:
        name = instance.read(connection).instance_id
    assert selftest.answer(RING, name, "n1") != selftest.answer(RING, "another", "n1")
    assert remembered(world) == (None, None)


def test_an_answer_to_another_nonce_does_not_count(world: World) -> None:
    app = FastAPI()

    @app.get("/health/unsubscribe")
    def replay() -> Response:
        return JSONResponse({"signature": selftest.answer(RING, "test-instance", "n0")})

    with answering(app) as url:
        assert selftest.ask(world.database, Links(url, RING), "n1", world.now) is not None
    assert remembered(world) == (None, None)


def test_redirects_are_not_followed(world: World, served: str) -> None:
    app = FastAPI()

    @app.get("/health/unsubscribe")
    def elsewhere(nonce: str) -> Response:
        return RedirectResponse(f"{served}/health/unsubscribe?nonce={nonce}")

    with answering(app) as url:
        problem = selftest.ask(world.database, Links(url, RING), "n1", world.now)
    assert problem is not None
    assert "redirects to" in problem
    assert remembered(world) == (None, None)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"signature": 1}', b'{"signature": "xx"}', b"[]", b"<html>"])
def test_any_other_answer_is_no_answer(world: World, body: bytes) -> None:
    app = FastAPI()

    @app.get("/health/unsubscribe")
    def nonsense() -> Response:
        return Response(body)

    with answering(app) as url:
        assert selftest.ask(world.database, Links(url, RING), "n1", world.now) is not None


def test_pages_that_cannot_be_reached_are_told(world: World) -> None:
    problem = selftest.ask(world.database, Links("http://127.0.0.1:1", RING), "n1", world.now)
    assert problem is not None
    assert "cannot reach 127.0.0.1:1" in problem


def test_pages_are_asked_every_hour_and_when_their_address_changes(world: World) -> None:
    links = Links("https://news.example", RING)
    assert selftest.due(world.database, links, MONDAY)
    with world.database.write() as connection:
        instance.record_unsubscribe_test(connection, links.public_url, MONDAY)
    assert not selftest.due(world.database, links, MONDAY + timedelta(minutes=59))
    assert selftest.due(world.database, links, MONDAY + timedelta(hours=1))
    assert selftest.due(world.database, Links("https://other.example", RING), MONDAY)
    assert not selftest.due(world.database, Links("", RING), MONDAY)


def test_a_rehearsal_asks_nobody(world: World) -> None:
    with world.database.write() as connection:
        instance.make_rehearsal(connection, MONDAY)
    assert not selftest.due(world.database, Links("https://news.example", RING), MONDAY)


def test_the_heartbeat_asks(world: World, served: str) -> None:
    world.postroom = replace(world.postroom, links=Links(served, RING))
    scheduler = Scheduler(world.database, world.postroom, ask_public_url=True)
    scheduler.ask_public_url()
    scheduler.stop()
    assert remembered(world)[0] == served


def test_mail_is_looked_at_only_when_the_pages_were_asked(world: World, served: str) -> None:
    world.use(Ledger(real=True))
    world.postroom = replace(world.postroom, links=Links(served, RING))
    world.contact("ann@example.com")
    engine.tick(world.database, "tests", world.now)
    scheduler = Scheduler(world.database, world.postroom, ask_public_url=True)
    scheduler.send()
    assert world.rows(tables.Decision) == []
    scheduler.ask_public_url()
    scheduler.send()
    scheduler.stop()
    assert world.rows(tables.Decision)
    assert not [row for row in world.rows(tables.Decision) if "unsubscribe" in row.reason]
