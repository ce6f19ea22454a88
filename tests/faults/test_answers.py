"""Whatever a provider answers, or does not: nothing goes out twice or is lost, and what nobody knows is ambiguous.

The provider is a process of its own, which flushes to the disk what it takes before it says anything.
"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from nurture import scheduler
from nurture.db import tables
from nurture.db.session import Database
from nurture.postroom import Postroom
from nurture.providers.base import Provider
from tests.faults import promises
from tests.faults.ledger import Hurried, Ledger
from tests.world import LINKS, World

HURRY, PATIENCE = 0.4, 20.0
"""Seconds that a call may take in all: less than silence, and more than any answer takes on a busy machine."""

UNENDING = ("silence", "drip")


def seconds(says: str) -> float:
    """Return how long to wait: in a hurry only for what never comes."""
    return HURRY if says in UNENDING else PATIENCE


ALL, HALF, NONE = "all", "half", "none"
AMBIGUOUS = ["ambiguous", "ambiguous"]
ACCEPTED = ["accepted", "accepted"]

HTTP = [
    (ALL, "reset", AMBIGUOUS),
    (NONE, "reset", AMBIGUOUS),
    (ALL, "silence", AMBIGUOUS),
    (ALL, "drip", AMBIGUOUS),
    (ALL, "garbage", AMBIGUOUS),
    (ALL, "truncated", AMBIGUOUS),
    (NONE, "proxy", AMBIGUOUS),
    (ALL, "no id", AMBIGUOUS),
    (ALL, "500", AMBIGUOUS),
    (NONE, "502", AMBIGUOUS),
    (NONE, "504", AMBIGUOUS),
    (NONE, "429", ["retry_wait", "retry_wait"]),
    (HALF, "ok", ["accepted", "refused"]),
    (HALF, "reset", AMBIGUOUS),
    (ALL, "shuffled", ACCEPTED),
    (ALL, "missing", ["ambiguous", "accepted"]),
    (ALL, "extra", ACCEPTED),
]

SMTP = [
    (ALL, "reset", "ambiguous"),
    (NONE, "reset", "ambiguous"),
    (ALL, "silence", "ambiguous"),
    (ALL, "garbage", "ambiguous"),
    (NONE, "reset in body", "ambiguous"),  # the whole mail was on its way already
    (NONE, "451", "retry_wait"),
    (NONE, "554", "refused"),
]


@pytest.fixture
def ledger(book: Ledger, world: World) -> Ledger:
    """An empty book, and a world whose unsubscribe pages answer."""
    book.book.write_text("")
    with world.database.write() as connection:
        tested = {"unsubscribe_tested_url": LINKS.public_url, "unsubscribe_tested_at": world.now + timedelta(days=5)}
        connection.execute(update(tables.Instance).values(tested))
    return book


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


@pytest.mark.parametrize(("takes", "says", "states"), HTTP, ids=[f"{says}-{takes}" for takes, says, _ in HTTP])
def test_whatever_a_batch_is_answered_each_mail_is_known_or_ambiguous(
    world: World, ledger: Ledger, takes: str, says: str, states: list[str]
) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    ledger.script({"takes": takes, "says": says})
    with closing(ledger.provider("postmark", seconds=seconds(says))) as provider:
        assert _states(world, provider) == states
        _drain(world, ledger, provider)


@pytest.mark.parametrize(("takes", "says", "state"), SMTP, ids=[f"{says}-{takes}" for takes, says, _ in SMTP])
def test_whatever_a_mail_server_says_of_a_mail_it_is_that_mail_only(
    world: World, ledger: Ledger, takes: str, says: str, state: str
) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    ledger.script({"takes": takes, "says": says})
    with closing(ledger.provider("smtp", batch=1, seconds=seconds(says))) as provider:
        assert _states(world, provider) == [state, "accepted"]
        _drain(world, ledger, provider)


def test_a_token_that_is_refused_pauses_the_sender_and_nothing_is_tried_again(world: World, ledger: Ledger) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    ledger.script({"takes": NONE, "says": "401"})
    with closing(ledger.provider("postmark", batch=1, seconds=PATIENCE)) as provider:
        assert set(_states(world, provider)) <= {"retry_wait", "ready"}
        world.now += timedelta(days=1)
        _states(world, provider)
    assert world.row(tables.Sender).paused_reason
    assert ledger.taken() == {}
    promises.check(world.database, ledger.taken())


@pytest.mark.parametrize("kind", ["postmark", "smtp"])
def test_one_refused_recipient_is_that_one_only(world: World, ledger: Ledger, kind: str) -> None:
    world.contacts(["ann@example.com", "refused@example.com", "bob@example.com"])
    with closing(ledger.provider(kind, seconds=30)) as provider:
        assert _states(world, provider) == ["accepted", "refused", "accepted"]
        _drain(world, ledger, provider)


def _states(world: World, provider: Provider) -> list[str]:
    postroom = Postroom({"outbox": provider}, LINKS, scheduler.new_owner())
    scheduler.run_once(world.database, postroom, world.now)
    assert isinstance(provider, Hurried)
    assert provider.ledger is not None
    promises.check(world.database, provider.ledger.taken())
    return [row.state for row in sorted(world.rows(tables.Message), key=lambda row: row.contact_id)]


def _drain(world: World, ledger: Ledger, provider: Provider) -> None:
    """Let four days pass: nothing is open any more, and still nothing went out twice."""
    for days in (4, 4):
        world.now += timedelta(days=days)
        _states(world, provider)
    end = promises.check(world.database, ledger.taken())
    assert end["ambiguous"] == end["retry_wait"] == 0
