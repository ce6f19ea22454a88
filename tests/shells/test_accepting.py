"""A page of accepted mail is settled in a few statements, and every row is what one message after the other leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from nurture import engine, intake, live, settling
from nurture.core.model import Contact, ContactId, Event, MessageId
from nurture.core.schedule import after_message, rest
from nurture.core.words import LIVE_ENROLLMENTS, TimerKind
from nurture.db import enrollments, messages, situations, tables, timers
from nurture.providers.base import Outcome, Receipt
from tests.databases import Queries
from tests.programs import LIFECYCLE
from tests.world import World

SETTLE_AFTER = timedelta(days=3)
ODD = 'He said "hi" \\o/ in\tÅrhus 😀 \x7f — 100 %'
SPREAD = {
    "sequences/nurture.yaml": """\
kind: sequence
name: nurture
voice: marketing
audience: {role: nurture}
enroll_when: [{event: created}]
sender: newsletter
window: {days: mon-fri, hours: "08:00-18:00", spread: 30 minutes}
steps:
  - {id: hello, email: leads/hello}
  - {id: more, email: leads/more, delay: 71 hours}
"""
}


@pytest.fixture
def page(world: World) -> list[int]:
    """Send a page as far as the wire, message n to contact n: runs in every kind of state, and a mail without a run."""
    world.contacts([f"u{number}@example.com" for number in range(30)])
    engine.tick(world.database, "tester", world.now)
    later = world.now + timedelta(days=2)
    with world.database.write() as connection:
        timers.claim(connection, TimerKind.MESSAGE, "tester", world.now, 100, 60)
        connection.execute(
            text("UPDATE messages SET state = 'dispatching', owner = 'tester', attempts = 2, reason = 'x'")
        )
        for key, subject in [(1, ODD), (2, None), (3, "")]:
            connection.execute(update(tables.Message).where(tables.Message.id == key).values(subject=subject))
        _change(connection, tables.Contact, 4, erased_at=world.now)
        _change(connection, tables.Contact, 5, merged_into=6)
        _change(connection, tables.Enrollment, 7, state="paused", paused_until=later)
        _change(connection, tables.Enrollment, 8, state="exited", ended_at=world.now)
        _change(connection, tables.Enrollment, 9, step_id="more")
        _change(connection, tables.Enrollment, 10, step_id="gone")
        connection.execute(update(tables.Enrollment).where(tables.Enrollment.id % 2 == 0).values(sender_id=None))
        _change(connection, tables.Message, 11, enrollment_id=None)
        _change(connection, tables.Message, 12, state="ambiguous")
        _change(connection, tables.Message, 13, state="settled_sent")
        timers.clear(connection, TimerKind.ENROLLMENT, [14])
    return [row.id for row in world.rows(tables.Message)]


def test_every_row_is_what_one_message_after_the_other_leaves(world: World, page: list[int]) -> None:
    found = [Receipt(key, Outcome.ACCEPTED, provider_id=f"p-{key}" if key % 3 else None) for key in page]
    found[14] = Receipt(page[14], Outcome.ACCEPTED, provider_id="p", wire_id="<theirs@example.com>")
    found[15] = Receipt(page[15], Outcome.NOT_SENT, detail="busy")
    found[16] = Receipt(page[16], Outcome.REFUSED, detail="no such user")
    found[17] = Receipt(page[17], Outcome.ACCEPTED, retry_after=1.0)
    known = {contact.id: contact for contact in _contacts(world, page) if contact.id % 7}
    together = _rows_after(world, lambda c: settling.receipts(c, found, SETTLE_AFTER, world.now, known=known))
    alone = _rows_after(world, lambda c: [_settle(c, world, receipt, known) for receipt in found])
    for name, rows in alone.items():
        assert together[name] == rows, name
    assert sum(row["kind"] == "sent" for row in together["events"]) == 25


def test_the_slots_of_the_next_mail_are_spread(world: World) -> None:
    world.apply(SPREAD)
    world.contacts([f"u{number}@example.com" for number in range(20)])
    world.work()
    world.now += timedelta(hours=1)
    world.work()
    due = {timer.due_at for timer in world.rows(tables.Timer, kind="enrollment")}
    assert len(due) > 10
    assert {run.step_id for run in world.rows(tables.Enrollment)} == {"more"}
    with world.database.read() as connection:
        assert timers.lost(connection) == []


def test_a_page_takes_few_statements(
    world: World, page: list[int], queries: Callable[[], AbstractContextManager[Queries]]
) -> None:
    found = [Receipt(key, Outcome.ACCEPTED, provider_id=f"p-{key}") for key in page[17:]]
    with queries() as counted, world.database.write() as connection:
        settling.receipts(connection, found, SETTLE_AFTER, world.now)
    assert counted.count <= 10


@pytest.mark.parametrize(
    ("last", "waits"), [(Receipt(0, Outcome.ACCEPTED), False), (Receipt(0, Outcome.REFUSED, detail="no"), True)]
)
def test_only_that_all_of_a_page_was_accepted_does_not_wait_for_the_disk(
    world: World, page: list[int], last: Receipt, waits: bool
) -> None:
    found = [*(Receipt(key, Outcome.ACCEPTED) for key in page[17:29]), replace(last, id=page[29])]
    sqlite = world.database.dialect == "sqlite"  # where it would gain nothing
    with world.database.write() as connection:
        if not sqlite:  # as servers have it that are no test
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
        settling.receipts(connection, found, SETTLE_AFTER, world.now)
        sync = connection.exec_driver_sql("PRAGMA synchronous" if sqlite else "SHOW synchronous_commit").scalar_one()
    assert sync == (2 if sqlite else "on" if waits else "off")


def test_whoever_settles_mail_holds_its_recipients(world: World, page: list[int]) -> None:
    with world.database.write() as connection:
        situations.lock_recipients(connection, page[20:25])
        if world.database.dialect == "sqlite":  # the one writer is the lock
            return
        with world.database.write() as other:
            assert situations.lock(other, page[18:27], wait=False) == [*page[18:20], *page[25:27]]


def test_what_follows_from_sent_mail_follows_where_the_program_names_it(world: World) -> None:
    lifecycle = LIFECYCLE.replace("level == 'MQL'", "did('sent')")
    world.apply({"sequences/lifecycle.yaml": lifecycle})
    world.contact("ann@example.com")
    world.work()
    assert world.row(tables.Contact).stage == "prospect"
    assert len(world.rows(tables.Event, kind="sent")) == 1


def _change(connection: Connection, model: type[tables.Base], key: int, **values: Any) -> None:
    table = model.__table__
    connection.execute(update(table).where(table.c.id == key).values(**values))


def _contacts(world: World, ids: Sequence[int]) -> list[Contact]:
    with world.database.read() as connection:
        return [found.contact for found in situations.persons(connection, [ContactId(key) for key in ids]).values()]


def _rows_after(world: World, work: Callable[[Connection], object]) -> dict[str, list[dict[str, Any]]]:
    """Do it, return every row that it may have written, and undo it."""
    found = {}
    with world.database.engine.connect() as connection, connection.begin() as transaction:
        work(connection)
        for model in (tables.Message, tables.Enrollment, tables.Timer, tables.Event, tables.Task, tables.Sender):
            table = model.__table__
            rows = connection.execute(select(table).order_by(*table.primary_key)).mappings().all()
            kept = [{name: value for name, value in row.items() if (model, name) != _COUNTED} for row in rows]
            found[table.name] = sorted(kept, key=_by_name) if model is tables.Event else kept
        transaction.rollback()
    return found


_COUNTED = (tables.Event, "id")
"""Keys of events go on counting after a rollback."""


def _by_name(event: dict[str, Any]) -> str:
    return str(event["external_id"])


def _settle(connection: Connection, world: World, receipt: Receipt, known: dict[ContactId, Contact]) -> None:
    """Settle one message as if there were no other: what is accepted plainly, all else as ever."""
    (row,) = messages.by_ids(connection, [receipt.id])
    if receipt.outcome is not Outcome.ACCEPTED or row.state not in settling.IN_FLIGHT:
        settling.receipts(connection, [receipt], SETTLE_AFTER, world.now, known=known)
        return
    now, program = world.now, live.current(connection)
    changes = {"id": row.id, "state": "accepted", "reason": None, "owner": None, "sent_at": now}
    changes["attempts"] = row.attempts - 1 if receipt.retry_after is not None else row.attempts
    changes |= {"provider_id": receipt.provider_id, "wire_id": receipt.wire_id}
    messages.save(connection, [changes], now)
    timers.clear(connection, TimerKind.MESSAGE, [row.id])
    before = enrollments.by_ids(connection, [row.enrollment_id]) if row.enrollment_id is not None else {}
    for run in before.values():
        sequence = live.versions(connection, {run.version_id})[run.version_id]
        step = sequence.step(run.step_id or "")
        if run.state not in LIVE_ENROLLMENTS or step is None:
            continue
        plan = after_message(sequence, replace(run, sender_id=row.sender_id), step, "sent", now, now)
        if run.contact_id in known:
            plan = rest(plan, sequence, known[run.contact_id], program.lifecycle, program.company, now)
        enrollments.save(connection, [plan.enrollment], now, before)
        if plan.enrollment.state in LIVE_ENROLLMENTS:
            timers.set_timers(connection, [(TimerKind.ENROLLMENT, run.id, plan.due_at or now)])
        else:
            timers.clear(connection, TimerKind.ENROLLMENT, [run.id])
            data = {
                "sequence": run.sequence,
                "reason": plan.enrollment.reason,
                "disposition": None,
                "state": "completed",
            }
            over = Event("sequence_completed", now, "engine", f"sequence_completed:{run.id}", run.contact_id, data=data)
            intake.record(connection, program, [over], now)
    data = {"template": row.template, "voice": row.voice, "step": row.step_id, "subject": row.subject}
    key = ContactId(row.contact_id)
    told = Event("sent", now, "engine", f"sent:{row.id}", key, data=data, message_id=MessageId(row.id))
    intake.record(connection, program, [told], now)
