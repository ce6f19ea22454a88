"""The promises about sending: at most once, nothing lost, nothing to whom it may not go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from nurture import engine, failpoints, sending, settling
from nurture.core.words import MessageState
from nurture.db import decisions, instance, senders, tables
from nurture.errors import Fenced, SuppressionKeyError
from nurture.mail.keys import KeyRing
from nurture.mail.wire import Outgoing
from nurture.postroom import Postroom, Sent
from nurture.providers.base import Deadline, Outcome, Receipt
from nurture.settling import Verdict
from tests.programs import LEAD_TEXT
from tests.world import LINKS, Ledger, World


@dataclass
class Meddler(Ledger):
    """A provider in whose call something happens elsewhere: `meddle` runs when the first group is being sent."""

    batch: int = 1
    meddle: Any = None
    calls: int = field(default=0)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Let the world change, then take the mail."""
        self.calls += 1
        if self.calls == 1:
            self.meddle(group[0])
        return super().send(group, seconds=seconds)


@dataclass
class Learner(Ledger):
    """A provider that carries more and more mails at once, as its connections prove fast."""

    batch: int = 1
    sizes: list[int] = field(default_factory=list)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Take the mail, and twice as many the next time."""
        self.sizes.append(len(group))
        self.batch *= 2
        return super().send(group, seconds=seconds)


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def test_a_lead_gets_marketing_mail_by_itself_once(world: World) -> None:
    world.contact("ann@example.com")
    assert world.work().accepted == 1
    assert world.work().due == 0
    (mail,) = world.mails()
    assert mail["Subject"] == "Hello & welcome"
    assert mail["From"] == "Northwind Analytics <newsletter@northwind.example>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"].startswith("<https://news.northwind.example/")
    assert "1 Harbour Street" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_the_next_delay_counts_from_the_actual_send(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.work()
    first = world.row(tables.Message, contact_id=ann)
    world.advance(days=4)
    second = world.rows(tables.Message, contact_id=ann)[1]
    assert second.sent_at - first.sent_at == timedelta(days=3)
    assert world.row(tables.Enrollment, contact_id=ann).state == "completed"


def test_what_was_decided_is_kept_with_its_rule(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.work()
    with world.database.read() as connection:
        (decision,) = decisions.of_contact(connection, ann, 10)
    assert decision.outcome == "send"
    assert decision.rule.startswith("sequences/nurture.yaml:")
    assert [check["gate"] for check in decision.checks][:3] == ["program", "sender", "consent"]


def test_a_suppression_answered_between_claim_and_dispatch_holds(world: World) -> None:
    ann, bob = world.contacts(["ann@example.com", "bob@example.com"])

    def unsubscribe_the_other(mail: Outgoing) -> None:
        world.record(bob if mail.to_address.startswith("ann") else ann, "unsubscribed")

    ledger = Meddler(meddle=unsubscribe_the_other)
    world.use(ledger)
    world.work()
    world.advance(days=1)
    assert len(ledger.taken) == 1
    assert sorted(row.state for row in world.rows(tables.Message)) == ["accepted", "cancelled"]


def test_a_contact_who_moved_after_the_claim_gets_nothing(world: World) -> None:
    ids = world.contacts(["ann@example.com", "bob@example.com"])

    def complain(mail: Outgoing) -> None:
        row = world.row(tables.Message, id=mail.id)
        world.record(next(each for each in ids if each != row.contact_id), "complained")

    ledger = Meddler(meddle=complain)
    world.use(ledger)
    world.work()
    assert len(ledger.taken) == 1


@pytest.mark.parametrize("switch", ["kill switch", "sequence", "sender"])
def test_a_switch_turned_off_holds_from_the_next_group_on(world: World, switch: str) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])

    def turn_off(_: Outgoing) -> None:
        with world.database.write() as connection:
            if switch == "kill switch":
                connection.execute(update(tables.Instance).values(sending_paused="stop"))
            elif switch == "sequence":
                row = {"name": "nurture", "reason": "stop", "paused_at": world.now}
                connection.execute(tables.PausedSequence.__table__.insert().values(row))
            else:
                (sender,) = senders.every(connection)
                senders.pause(connection, sender.id, "stop", world.now)

    ledger = Meddler(meddle=turn_off)
    world.use(ledger)
    world.work()
    world.advance(hours=2)
    assert len(ledger.taken) == 1
    assert [row.state for row in world.rows(tables.Message)].count("ready") == 1


def test_a_process_killed_while_sending_leaves_an_ambiguous_message_that_is_never_sent_again(world: World) -> None:
    ann = world.contact("ann@example.com")

    def die(_: Outgoing) -> None:
        raise Killed

    ledger = Meddler(meddle=die)
    world.use(ledger)
    with pytest.raises(Killed):
        world.work()
    assert world.row(tables.Message, contact_id=ann).state == "dispatching"
    _let_leases_run_out(world)
    assert world.work().ambiguous == 1
    assert world.row(tables.Message, contact_id=ann).state == "ambiguous"
    world.advance(days=2)
    assert (ledger.calls, world.row(tables.Message, contact_id=ann).state) == (1, "ambiguous")
    world.advance(days=2)
    settled = world.rows(tables.Message, contact_id=ann)[0]
    assert settled.state == "settled_sent"
    assert world.row(tables.Enrollment, contact_id=ann).step_id in ("pause", "more")
    assert ledger.calls == 1


def test_a_process_killed_before_dispatching_sends_once_after_the_lease(world: World) -> None:
    world.contact("ann@example.com")
    ledger = Ledger()
    world.use(ledger, launch_cap=None)
    _tick_only(world)
    dying = Postroom({"outbox": ledger}, LINKS, "other")
    sending._claim(world.database, dying, world.now, 10)
    assert world.work().due == 0
    _let_leases_run_out(world)
    assert world.work().accepted == 1
    assert len(ledger.taken) == 1


def test_the_outbox_settles_itself_by_its_files(world: World) -> None:
    ann, bob = world.contacts(["ann@example.com", "bob@example.com"])
    _tick_only(world)
    with world.database.write() as connection:
        connection.execute(update(tables.Message).values(state="dispatching", owner="gone", provider="outbox"))
    row = world.row(tables.Message, contact_id=ann)
    world.outbox.path(_mail(row)).parent.mkdir(parents=True)
    world.outbox.path(_mail(row)).write_bytes(b"Date: Mon, 02 Mar 2026 09:00:00 +0000\r\n\r\n")
    world.work()
    world.work()
    states = {row.contact_id: row.state for row in world.rows(tables.Message)}
    assert states == {ann: "settled_sent", bob: "accepted"}
    assert len(world.mails()) == 2


def test_a_stopped_process_that_wakes_up_past_its_lease_sends_nothing(world: World) -> None:
    world.contact("ann@example.com")
    _tick_only(world)
    ledger = Ledger()
    slow = Postroom({"outbox": ledger}, LINKS, "slow")
    _, claimed = sending._claim(world.database, slow, world.now, 10)
    assert claimed is not None
    ready, _ = sending.compose(slow, claimed.program, claimed.answers, claimed.artifacts, world.now)
    _let_leases_run_out(world)
    world.use(ledger)
    assert world.work().accepted == 1
    assert sending._send(world.database, slow, claimed.program, ready, world.now, Deadline(60)) == ()
    assert len(ledger.taken) == 1


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Receipt(0, Outcome.NOT_SENT, detail="connection refused"), "retry_wait"),
        (Receipt(0, Outcome.REFUSED, detail="550 no such user"), "refused"),
        (Receipt(0, Outcome.AMBIGUOUS, detail="read timeout"), "ambiguous"),
        (Receipt(0, Outcome.SENDER_REFUSED, detail="401"), "retry_wait"),
    ],
)
def test_one_bad_recipient_is_that_one_only(world: World, answer: Receipt, state: str) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    ledger = Ledger(answers={"bob@example.com": answer})
    world.use(ledger)
    world.work()
    assert [row.state for row in world.rows(tables.Message)] == ["accepted", state]


def test_a_retry_goes_out_later_with_the_same_message_id(world: World) -> None:
    world.contact("ann@example.com")
    ledger = Ledger(answers={"ann@example.com": Receipt(0, Outcome.NOT_SENT, detail="refused")})
    world.use(ledger)
    world.work()
    ledger.answers.clear()
    world.advance(hours=1)
    row = world.row(tables.Message)
    assert (row.state, row.attempts) == ("accepted", 2)
    assert ledger.taken[0].message_id == row.message_id_header


@pytest.mark.parametrize(("wish", "waits"), [(90.0, 90.0), (-5.0, 1.0), (10.0**9, 86_400.0)])
def test_a_retry_after_is_waited_for_and_burns_no_attempt(world: World, wish: float, waits: float) -> None:
    world.contact("ann@example.com")
    world.use(Ledger(answers={"ann@example.com": Receipt(0, Outcome.NOT_SENT, detail="429", retry_after=wish)}))
    world.work()
    timer = world.row(tables.Timer, kind="message")
    assert timer.due_at - world.now == timedelta(seconds=waits)
    assert world.row(tables.Message).attempts == 0


def test_a_refused_login_pauses_the_sender_and_resumes_where_it_stopped(world: World) -> None:
    world.contact("ann@example.com")
    ledger = Ledger(answers={"ann@example.com": Receipt(0, Outcome.SENDER_REFUSED, detail="401 bad token")})
    world.use(ledger)
    world.work()
    assert world.row(tables.Sender).paused_reason == "401 bad token"
    ledger.answers.clear()
    world.advance(hours=3)
    assert ledger.taken == []
    with world.database.write() as connection:
        assert senders.resume(connection, "newsletter")
    world.advance(hours=3)
    assert len(ledger.taken) == 1


def test_a_group_is_as_large_as_its_provider_has_learned_by_then(world: World) -> None:
    provider = Learner()
    world.use(provider)
    world.contacts([f"c{number}@example.com" for number in range(10)])
    assert world.work().accepted == 10
    assert provider.sizes == [1, 2, 4, 3]


def test_a_provider_that_raises_leaves_its_group_ambiguous(world: World) -> None:
    world.contact("ann@example.com")
    world.use(Ledger(raising=RuntimeError("the wire is cut")))
    assert world.work().ambiguous == 1
    assert "the wire is cut" in world.row(tables.Message).reason


def test_a_missing_variable_holds_that_message_and_the_others_go(world: World) -> None:
    hello = LEAD_TEXT.format(subject="Your {{ plan }} plan", body="welcome.")
    world.apply({"templates/leads/hello.txt": hello})
    world.contact("ann@example.com", fields={"plan": "pro"})
    world.contact("bob@example.com")
    sent = world.work()
    assert (sent.accepted, sent.held) == (1, 1)
    held = world.row(tables.Decision, outcome="hold")
    assert "plan" in held.reason
    assert world.mails()[0]["Subject"] == "Your pro plan"
    world.advance(hours=5)
    assert world.row(tables.Decision, outcome="hold").count == 2
    with world.database.write() as connection:
        connection.execute(update(tables.Contact).values(fields={"plan": "free"}))
    world.advance(hours=5)
    assert len(world.mails()) == 2


def test_two_processes_at_once_keep_the_launch_cap_together(world: World) -> None:
    """The second has claimed and sent when the first, which saw as much left, wants to."""
    world.use(ledger := Ledger(real=True), launch_cap=5)
    with world.database.write() as connection:
        instance.record_unsubscribe_test(connection, LINKS.public_url, world.now)
    world.contacts(f"c{number}@example.com" for number in range(8))
    engine.tick(world.database, "tester", world.now)
    second: list[Sent] = []

    def at_once() -> None:
        failpoints.armed.clear()
        other = replace(world.postroom, owner="second")
        second.append(sending.send_due(world.database, other, world.now, limit=3))

    failpoints.armed[failpoints.CLAIMED] = at_once
    try:
        first = sending.send_due(world.database, world.postroom, world.now, limit=4)
    finally:
        failpoints.armed.clear()
    assert (second[0].accepted, first.accepted, len(ledger.taken)) == (3, 2, 5)
    world.advance(hours=1)
    assert len(ledger.taken) == 5
    assert not any(row.state == "claimed" for row in world.rows(tables.Message)), "the others wait for tomorrow"


def test_the_launch_cap_counts_real_providers_and_waits_for_tomorrow(world: World) -> None:
    world.contacts([f"c{number}@example.com" for number in range(5)])
    ledger = Ledger(real=True)
    world.use(ledger, launch_cap=2)
    with world.database.write() as connection:
        tested = {"unsubscribe_tested_url": LINKS.public_url, "unsubscribe_tested_at": world.now + timedelta(days=3)}
        connection.execute(update(tables.Instance).values(tested))
    world.work()
    assert len(ledger.taken) == 2
    world.advance(hours=14)
    assert len(ledger.taken) == 2
    world.advance(hours=12)
    assert len(ledger.taken) == 4


def test_marketing_mail_through_a_real_provider_needs_an_answering_unsubscribe_endpoint(world: World) -> None:
    world.contact("ann@example.com")
    ledger = Ledger(real=True)
    world.use(ledger)
    world.advance(hours=3)
    assert ledger.taken == []
    reason = world.row(tables.Decision).reason
    assert reason.startswith("no unsubscribe endpoint: https://news.northwind.example has not answered")


def test_a_rehearsal_never_sends_through_a_real_provider(world: World) -> None:
    world.contact("ann@example.com")
    ledger = Ledger(real=True)
    world.use(ledger)
    with world.database.write() as connection:
        connection.execute(update(tables.Instance).values(rehearsal=True))
    with pytest.raises(Fenced, match="rehearsal"):
        world.work()
    assert ledger.taken == []


def test_nothing_is_sent_with_another_suppression_key(world: World) -> None:
    world.contact("ann@example.com")
    other = KeyRing((("k1", bytes(32)),))
    ledger = Ledger()
    with pytest.raises(SuppressionKeyError):
        sending.send_due(
            world.database, Postroom({"outbox": ledger}, type(LINKS)(LINKS.public_url, other), "x"), world.now
        )
    assert ledger.taken == []


def test_staging_rules_redirect_or_hold(world: World) -> None:
    world.contact("ann@example.com")
    ledger = Ledger()
    world.use(ledger, allow_domains=frozenset({"northwind.example"}))
    world.work()
    assert ledger.taken == []
    assert "allow_domains" in world.row(tables.Decision).reason
    world.use(ledger, redirect_all_to="qa@northwind.example")
    world.advance(days=2)
    assert {mail.to_address for mail in ledger.taken} == {"qa@northwind.example"}
    assert ledger.taken[0].subject.startswith("[to ann@example.com]")


@pytest.mark.parametrize(("verdict", "state"), [(Verdict.SENT, "settled_sent"), (Verdict.NOT_SENT, "accepted")])
def test_a_person_settles_an_ambiguous_message(world: World, verdict: Verdict, state: str) -> None:
    world.contact("ann@example.com")
    ledger = Ledger(answers={"ann@example.com": Receipt(0, Outcome.AMBIGUOUS, detail="timeout")})
    world.use(ledger)
    world.work()
    ledger.answers.clear()
    message = world.row(tables.Message)
    with world.database.write() as connection:
        settling.settle_one(connection, message.id, verdict, "olga", world.now)
    world.work()
    assert world.row(tables.Message, id=message.id).state == state


def test_a_late_receipt_is_still_the_truth(world: World) -> None:
    world.contact("ann@example.com")
    world.use(Ledger(answers={"ann@example.com": Receipt(0, Outcome.AMBIGUOUS, detail="timeout")}))
    world.work()
    message = world.row(tables.Message)
    with world.database.write() as connection:
        late = [Receipt(message.id, Outcome.ACCEPTED, provider_id="p-1")]
        settling.receipts(connection, late, timedelta(days=3), world.now)
    assert world.row(tables.Message).state == MessageState.ACCEPTED
    assert world.row(tables.Event, kind="sent").message_id == message.id


def test_sending_asks_a_constant_number_of_queries_per_page(world: World, queries: Any) -> None:
    counts = []
    world.use(Ledger())
    for size in (1, 10, 400):  # the first page stores what the others share
        world.contacts([f"c{number}@page{size}.example" for number in range(size)])
        _tick_only(world)
        with queries() as counter:
            assert sending.send_due(world.database, world.postroom, world.now).accepted == size
        counts.append(counter.count)
    assert counts[0] > counts[1] == counts[2]


def test_the_tick_and_the_review_ask_a_constant_number_of_queries(world: World, queries: Any) -> None:
    counts = []
    for size in (20, 200):
        world.contacts([f"c{number}@page{size}.example" for number in range(size)])
        with world.database.write() as connection:
            connection.execute(update(tables.Timer).where(tables.Timer.kind == "review").values(due_at=world.now))
        with queries() as counter:
            engine.tick(world.database, "tester", world.now)
            engine.review(world.database, "tester", world.now)
        counts.append(counter.count)
        world.use(Ledger())
        world.work()
    assert counts[0] == counts[1]


def test_a_database_with_an_instance_knows_its_key(world: World) -> None:
    with world.database.read() as connection:
        instance.verify_keys(connection, LINKS.ring)


def _tick_only(world: World) -> None:
    while engine.tick(world.database, "tester", world.now):
        pass


def _let_leases_run_out(world: World) -> None:
    """Turn back the leases, which only the database's own clock could let run out."""
    with world.database.write() as connection:
        past = world.now - timedelta(days=3650)
        connection.execute(update(tables.Timer).where(tables.Timer.owner.is_not(None)).values(lease_until=past))


def _mail(row: Any) -> Outgoing:
    return Outgoing(
        id=row.id,
        voice=row.voice,
        from_address="newsletter@northwind.example",
        from_name="",
        to_address=row.to_address,
        to_name="",
        subject="x",
        text="x",
        html=None,
        message_id=row.message_id_header,
        date=row.due_at,
    )
