"""A process that was stopped, while others settled and sent its mail: when it wakes up, it spoils nothing.

Nobody has to be stopped for some of it: a rep acts between a claim and what follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update

from nurture import drafts, engine, failpoints, sending, settling
from nurture.db import leases, situations, tables, timers
from nurture.db.clock import database_clock
from nurture.db.session import Database
from nurture.direct import WORD, Direct
from nurture.mail.wire import Outgoing
from nurture.postroom import Turn
from nurture.providers.base import Outcome, Receipt
from nurture.scheduler import run_once
from nurture.settling import Attempt, Verdict
from tests import databases
from tests.faults.copies import end_leases
from tests.programs import INTRODUCTION, NURTURE
from tests.world import RING, Ledger, World

WAYS = ["plain", "direct"]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


def at(point: str, meanwhile: Callable[[], object], work: Callable[[], object]) -> None:
    """Do `work`, and `meanwhile` when it comes to a point for the first time."""

    def once() -> None:
        failpoints.armed.clear()
        meanwhile()

    failpoints.armed[point] = once
    try:
        work()
    finally:
        failpoints.armed.clear()


def tick(world: World) -> None:
    while engine.tick(world.database, "tester", world.now):
        pass


def send(world: World, way: str, *, held_seconds: float = sending.HELD_SECONDS) -> None:
    """Send ann's mail on one of the two ways."""
    if way == "plain":
        sending.send_due(world.database, world.postroom, world.now, held_seconds=held_seconds)
    else:
        Direct(world.database, world.postroom, held_seconds=held_seconds).page(world.now)


def others_settle(world: World, ledger: Ledger, verdict: Verdict) -> None:
    """Another process finds the lease over; a person looks, and says what is true; the other one goes on."""
    end_leases(world.database, alone=False)
    other = replace(world.postroom, providers={"outbox": ledger}, owner="other", turn=Turn())
    assert sending.send_due(world.database, other, world.now).ambiguous == 1
    with world.database.write() as connection:
        (key,) = settling.settle(connection, [world.row(tables.Message).id], verdict, "olga", world.now)
    sent = sending.send_due(world.database, other, world.now)
    assert sent.accepted == (1 if verdict is Verdict.NOT_SENT else 0), key


# --- before the first byte --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_track_that_was_stopped_takes_back_only_what_is_still_its_own(world: World, verdict: Verdict) -> None:
    world.use(ledger := Ledger())
    world.postroom = replace(world.postroom, turn=Turn(stale_seconds=-1))  # it waited for its turn
    world.contact("ann@example.com")
    at(failpoints.DISPATCHING, lambda: others_settle(world, ledger, verdict), lambda: send(world, "direct"))
    mails, state = len(ledger.taken), world.row(tables.Message).state
    assert (mails, state) == ((1, "accepted") if verdict is Verdict.NOT_SENT else (0, "settled_sent"))
    world.use(ledger)
    world.now += timedelta(minutes=2)
    run_once(world.database, world.postroom, world.now)
    assert len(ledger.taken) == mails


@pytest.mark.parametrize("way", WAYS)
def test_whose_lease_is_nearly_over_hands_nothing_over(world: World, way: str) -> None:
    world.use(ledger := Ledger())
    world.contact("ann@example.com")
    if way == "plain":
        tick(world)
    send(world, way, held_seconds=0)
    assert not ledger.taken
    row = world.row(tables.Message)
    assert (row.state, "lease was nearly over" in row.reason) == ("retry_wait", True)
    world.advance(minutes=10)
    assert len(ledger.taken) == 1


# --- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_what_is_said_of_an_attempt_that_was_given_up_does_not_end_the_next_one(world: World, way: str) -> None:
    """The first cannot connect, and is stopped. The second is at the provider when the first writes what it knows."""
    first = Ledger(answers={"ann@example.com": Receipt(0, Outcome.NOT_SENT, detail="timed out")})
    world.use(first)
    world.contact("ann@example.com")
    if way == "plain":
        tick(world)
    second, mine = Ledger(), Attempt("tester", world.now)

    class Busy(Ledger):
        def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
            late = [Receipt(mail.id, Outcome.NOT_SENT, detail="timed out") for mail in group]
            with world.database.write() as connection:
                settling.receipts(connection, late, timedelta(days=3), world.now, attempt=mine)
            return second.send(group, seconds=seconds)

    at(failpoints.ANSWERED, lambda: others_settle(world, Busy(), Verdict.NOT_SENT), lambda: send(world, way))
    assert (len(second.taken), world.row(tables.Message).state) == (1, "accepted")
    world.use(second)
    world.advance(minutes=10)
    assert len(second.taken) == 1


def test_that_a_mail_was_taken_counts_although_somebody_said_that_it_was_not(world: World) -> None:
    world.use(ledger := Ledger())
    world.contact("ann@example.com")

    def give_up() -> None:
        end_leases(world.database, alone=False)
        other = replace(world.postroom, owner="other", turn=Turn())
        assert sending.send_due(world.database, other, world.now).ambiguous == 1
        with world.database.write() as connection:
            settling.settle(connection, [world.row(tables.Message).id], Verdict.NOT_SENT, "olga", world.now)

    at(failpoints.ANSWERED, give_up, lambda: send(world, "direct"))
    assert world.row(tables.Message).state == "accepted"
    world.advance(hours=1)
    assert len(ledger.taken) == 1


# --- what is not sent -------------------------------------------------------------------------------------------------


THREE = f"""{NURTURE.partition("steps:")[0]}steps:
  - {{id: hello, email: leads/hello, late: skip}}
  - {{id: more, email: leads/more}}
  - {{id: last, email: leads/more}}
"""


def test_a_skip_that_others_have_carried_out_is_not_carried_out_again(world: World) -> None:
    """Else the run would leave the next step too, whose mail waits to be tried again."""
    world.apply({"sequences/nurture.yaml": THREE})
    ledger = Ledger(answers={"ann@example.com": Receipt(0, Outcome.NOT_SENT, detail="421 busy")})
    world.use(ledger)
    world.contact("ann@example.com")
    tick(world)
    world.now += timedelta(days=2)

    def others_work() -> None:
        end_leases(world.database, alone=False)
        world.work()

    stopped = replace(world.postroom, owner="stopped", turn=Turn())
    at(failpoints.CLAIMED, others_work, lambda: sending.send_due(world.database, stopped, world.now))
    states = {row.step_id: row.state for row in world.rows(tables.Message)}
    assert states == {"hello": "cancelled", "more": "retry_wait"}
    ledger.answers.clear()
    world.advance(hours=6)
    states = {row.step_id: row.state for row in world.rows(tables.Message)}
    assert states == {"hello": "cancelled", "more": "accepted", "last": "accepted"}


def test_a_cancel_does_not_overwrite_what_others_have_sent(world: World) -> None:
    world.use(ledger := Ledger())
    world.contact("ann@example.com")
    tick(world)
    wish = {"address_hash": RING.address_hash("ann@example.com"), "scope": "marketing", "reason": "by mistake"}
    with world.database.write() as connection:
        row = {**wish, "actor": "olga", "source": "import", "created_at": world.now}
        connection.execute(insert(tables.Suppression).values(row))

    def others_work() -> None:
        end_leases(world.database, alone=False)
        with world.database.write() as connection:
            connection.execute(delete(tables.Suppression))
        world.work()

    stopped = replace(world.postroom, owner="stopped", turn=Turn())
    at(failpoints.CLAIMED, others_work, lambda: sending.send_due(world.database, stopped, world.now))
    assert len(ledger.taken) == 1
    assert world.row(tables.Message).state == "accepted"
    assert world.row(tables.Enrollment).state in ("active", "waiting")


THREE_PERSONAL = f"""{INTRODUCTION.partition("steps:")[0]}steps:
  - {{id: first, email: prospects/first, delay: 2 days, draft_ahead: 1 day, late: skip}}
  - {{id: second, email: prospects/second, delay: 3 days, thread: true}}
  - {{id: third, email: prospects/second, delay: 3 days, thread: true}}
"""


@pytest.mark.parametrize(
    ("skips", "step", "state"),
    [
        pytest.param(True, "second", "cancelled", id="skip"),
        pytest.param(False, "first", "awaiting_approval", id="edit"),
    ],
)
def test_a_skip_is_not_carried_out_over_what_the_rep_did_meanwhile(
    world: World, skips: bool, step: str, state: str
) -> None:
    world.apply({"sequences/introduction.yaml": THREE_PERSONAL})
    world.use(Ledger())
    rita = world.rep()
    bob = world.contact("bob@example.com", owner=rita)
    world.record(bob, "content_downloaded")
    world.record(bob, "content_downloaded")
    world.advance(days=1)
    (draft,) = world.rows(tables.Message, voice="personal")
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, "rita", world.now)
    world.now += timedelta(days=4)

    def rep_acts() -> None:
        assert world.row(tables.Message, id=draft.id).state == "claimed"
        with world.database.write() as connection:
            if skips:
                drafts.skip(connection, draft.id, rita, world.now)
            else:
                drafts.edit(connection, draft.id, rita, subject="A better one", text=None, now=world.now)

    at(failpoints.CLAIMED, rep_acts, lambda: sending.send_due(world.database, world.postroom, world.now))
    run = world.row(tables.Enrollment, contact_id=bob, sequence="introduction")
    assert (run.step_id, world.row(tables.Message, id=draft.id).state) == (step, state)
    with world.database.read() as connection:
        assert not timers.lost(connection)


# --- slow, and broken -------------------------------------------------------------------------------------------------


def test_a_process_whose_provider_is_slow_keeps_its_word(world: World) -> None:
    world.use(ledger := Ledger())
    sender = Direct(world.database, world.postroom, renew_seconds=0)
    sender.page(world.now)
    ledger.batch = 5  # slow: everything goes the plain way
    with world.database.write() as connection:  # three minutes pass
        connection.execute(update(tables.Lease).values(expires_at=database_clock(-1)))
    world.contact("ann@example.com")
    sender.page(world.now)
    with world.database.write() as connection:
        assert not leases.abandoned(connection, WORD, 3600)


def test_a_message_over_which_deciding_raises_is_held_and_stops_nobody(world: World) -> None:
    world.use(Ledger())
    world.contacts(["ann@example.com", "bob@example.com"])
    tick(world)
    now = world.now
    due, claimed = sending._claim(world.database, world.postroom, now, 10)
    assert due == 2
    assert claimed is not None
    (ann, _), (bob, _) = claimed.answers
    broken = replace(ann, due=replace(ann.due, situation=None))  # type: ignore[arg-type]
    answers = [answer for _, answer in sending.decide_page([broken, bob], None, world.postroom, now)]
    held, goes = answers
    assert isinstance(held, sending.Hold)
    assert "AttributeError" in held.reason
    assert isinstance(goes, sending.Send)


# --- who waits for whom -----------------------------------------------------------------------------------------------


@pytest.mark.pg
def test_a_review_does_not_wait_for_contacts_that_somebody_else_is_changing(tmp_path: Path) -> None:
    """It has their timers, which the other may be about to set: each would wait for the other."""
    with databases.postgresql_url() as url:
        world = World(Database(url), tmp_path)
        ann, bob = (world.contact(f"{name}@example.com", owner=world.rep(name)) for name in ("ann", "bob"))
        for _ in range(2):
            world.record(ann, "content_downloaded")
            world.record(bob, "content_downloaded")
        world.now = max(row.due_at for row in world.rows(tables.Timer, kind="review")) + timedelta(minutes=1)
        with world.database.write() as connection:
            assert situations.lock(connection, [ann]) == [ann]
            assert engine.review(world.database, "tester", world.now) == 2
        assert [row.subject_id for row in world.rows(tables.Timer, kind="review", due_at=world.now)] == [ann]
        assert {row.contact_id for row in world.rows(tables.Event, kind="time_passed")} <= {bob}
        assert engine.review(world.database, "tester", world.now) == 1
        world.database.dispose()


def test_overdue_mail_is_settled_once_its_claim_is_committed(world: World) -> None:
    """For that the contact is locked, which the claim must not wait for while it has timers."""
    world.use(Ledger(answers={"ann@example.com": Receipt(0, Outcome.AMBIGUOUS, detail="read timeout")}))
    world.contact("ann@example.com")
    world.work()
    world.now += timedelta(days=3, minutes=1)
    seen: list[str] = []
    at(
        failpoints.CLAIMED,
        lambda: seen.append(world.row(tables.Message).state),
        lambda: sending.send_due(world.database, world.postroom, world.now),
    )
    assert [*seen, world.row(tables.Message).state] == ["ambiguous", "settled_sent"]
