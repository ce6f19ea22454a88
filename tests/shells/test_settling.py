"""What nobody knows is shown to whom it concerns, and settled by them: as sent, as not sent, or sent once more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nurture import drafts, failpoints, settling
from nurture.core.model import ContactId, Rep
from nurture.core.words import TaskState
from nurture.db import health, tables, timers
from nurture.errors import Refused
from nurture.providers.base import Outcome, Receipt
from nurture.settling import Attempt, Verdict
from tests.world import Ledger, World

UNKNOWN = Receipt(0, Outcome.AMBIGUOUS, detail="the connection was cut")


def test_a_rep_is_asked_whether_their_mail_went_out_until_it_is_settled(world: World) -> None:
    _, _, message = _personal(world)
    task = world.row(tables.Task, state="open")
    assert task.rep_id is not None
    assert (task.kind, task.title) == ("settle", "Find out whether your mail 'A question' went out")
    assert f"nurture messages settle {message.id}" in task.note
    with world.database.write() as connection:
        settling.settle(connection, [message.id], Verdict.NOT_SENT, "rita", world.now)
    task = world.row(tables.Task, kind="settle")
    assert (task.state, task.outcome) == (TaskState.DONE, "settled as not sent by rita")


def test_time_and_a_late_answer_of_the_provider_close_the_question_too(world: World) -> None:
    _personal(world)
    world.advance(days=4)
    assert [row.state for row in world.rows(tables.Task, kind="settle")] == ["done"]


def test_a_late_receipt_closes_the_question(world: World) -> None:
    _, _, message = _personal(world)
    with world.database.write() as connection:
        late = [Receipt(message.id, Outcome.ACCEPTED, provider_id="p")]
        settling.receipts(connection, late, timedelta(days=3), world.now)
    assert world.row(tables.Task, kind="settle").outcome == "the provider answered"


def test_to_hear_again_that_nobody_knows_leaves_the_question_open(world: World) -> None:
    _, _, message = _personal(world)
    with world.database.write() as connection:
        again = [Receipt(message.id, Outcome.AMBIGUOUS, detail="the connection was cut")]
        settling.receipts(connection, again, timedelta(days=3), world.now)
    assert world.row(tables.Task, kind="settle").state == TaskState.OPEN


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.REFUSED, Outcome.AMBIGUOUS, Outcome.SENDER_REFUSED])
def test_an_answer_to_an_earlier_attempt_changes_nothing_of_the_one_in_flight(world: World, outcome: Outcome) -> None:
    """It was written, nobody heard so, and when it is written again the mail is on its way once more."""
    first, busy = world.now, Receipt(0, Outcome.NOT_SENT, detail="busy")
    world.contact("ann@example.com")
    world.use(Ledger(answers={"ann@example.com": busy}))
    world.work()
    message = world.row(tables.Message)
    found: list[str] = []

    def late() -> None:
        with world.database.write() as connection:
            old = [Receipt(message.id, outcome, detail="old")]
            settling.receipts(connection, old, timedelta(days=3), world.now, attempt=Attempt("tester", first))
        found.append(world.row(tables.Message).state)

    world.use(ledger := Ledger())
    failpoints.armed[failpoints.DISPATCHING] = late
    try:
        world.advance(minutes=10)
    finally:
        failpoints.armed.clear()
    assert found == ["dispatching"]
    assert (world.row(tables.Message).state, len(ledger.taken)) == ("accepted", 1)


def test_of_marketing_mail_no_rep_is_asked_and_the_operator_is_told_by_sender(world: World) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    world.use(Ledger(answers={"ann@example.com": UNKNOWN, "bob@example.com": UNKNOWN}))
    world.work()
    assert world.rows(tables.Task) == []
    with world.database.read() as connection:
        (unknown,) = health.ambiguous(connection)
    assert (unknown.sender, unknown.count) == ("newsletter", 2)


def test_a_resent_mail_is_a_message_of_its_own_and_the_run_goes_on_once(world: World) -> None:
    world.contact("ann@example.com")
    world.use(Ledger(answers={"ann@example.com": UNKNOWN}))
    world.work()
    first = world.row(tables.Message)
    ledger = Ledger()
    world.use(ledger)
    with world.database.write() as connection:
        key = settling.resend(connection, first.id, "olga", world.now)
    world.work()
    first, second = world.rows(tables.Message, step_id="hello")
    assert (first.state, first.reason) == ("settled_sent", "settled as sent by olga, who sends it anew")
    assert (second.id, second.state, second.origin_key) == (key, "accepted", f"resend:{first.id}:1")
    assert second.message_id_header != first.message_id_header
    assert [mail.message_id for mail in ledger.taken] == [second.message_id_header]
    world.advance(days=4)
    assert [mail.subject for mail in ledger.taken] == ["Hello & welcome", "More for you"]
    with world.database.write() as connection, pytest.raises(Refused, match="only an ambiguous one is settled"):
        settling.resend(connection, first.id, "olga", world.now)


def test_personal_mail_is_resent_as_it_was_approved(world: World) -> None:
    _, _, message = _personal(world)
    ledger = Ledger()
    world.use(ledger)
    with world.database.write() as connection:
        settling.resend(connection, message.id, "rita", world.now)
    world.work()
    (mail,) = ledger.taken
    assert (mail.subject, mail.text) == (message.subject, message.text_body)
    resent = world.row(tables.Message, origin_key=f"resend:{message.id}:1")
    assert (resent.approval_id, resent.content_hash) == (message.approval_id, message.content_hash)


@pytest.mark.parametrize("kind", ["unsubscribed", "complained"])
def test_a_resend_reaches_nobody_who_left_meanwhile(world: World, kind: str) -> None:
    ann = world.contact("ann@example.com")
    world.use(Ledger(answers={"ann@example.com": UNKNOWN}))
    world.work()
    ledger = Ledger()
    world.use(ledger)
    with world.database.write() as connection:
        settling.resend(connection, world.row(tables.Message).id, "olga", world.now)
    world.record(ann, kind)
    world.advance(days=1)
    assert ledger.taken == []
    with world.database.read() as connection:
        assert timers.lost(connection) == []


def _personal(world: World) -> tuple[ContactId, Rep, Any]:
    """Send an approved draft of which nobody knows whether it went out."""
    rita = world.rep()
    bob = world.contact("bob@example.com", owner=rita, stage="prospect")
    world.record(bob, "stage_entered", stage="prospect")
    world.advance(days=1)
    draft = world.row(tables.Message)
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, "rita", world.now)
    world.use(Ledger(answers={"bob@example.com": UNKNOWN}))
    world.advance(days=1)
    message = world.row(tables.Message)
    assert message.state == "ambiguous"
    return bob, rita, message
