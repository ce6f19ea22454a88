"""Sending loads only what gates read; whatever else a situation holds, the decision and its reasons are the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from nurture import deciding, drafts, engine
from nurture.core.decide import decide
from nurture.core.events import INBOUND
from nurture.core.gates.approval import VOIDING
from nurture.core.model import Situation
from nurture.core.words import MessageState
from nurture.db import enrollments, situations, tables
from tests.world import LINKS, World


def test_gates_decide_the_same_over_everything_that_is_known(world: World) -> None:
    _people(world)
    since = world.now
    with world.database.read() as connection:
        rows = list(connection.execute(select(tables.Message.__table__).order_by(tables.Message.id)))
        kept = deciding.load(connection, world.program, rows, world.postroom.policy, {}, world.now)
        known = {row.contact_id for row in rows}
        whole = situations.load(connection, known, world.program.lifecycle.memory, world.now, kinds=INBOUND | VOIDING)
    outcomes = set()
    for pending in kept:
        for now in (since, since + timedelta(days=2), since + timedelta(days=40)):
            short = decide(pending.due, now)
            assert short == decide(replace(pending.due, situation=whole[pending.due.situation.contact.id]), now)
            outcomes.add(f"{type(short).__name__} {short.checks[-1].gate}")
    assert {"Send lateness", "Cancel consent", "Cancel enrollment", "Hold approval"} <= outcomes


def test_of_whom_nothing_is_told_gates_see_but_the_contact_and_its_run(world: World) -> None:
    """And messages, of which gates read those of somebody with a wish alone (as the tests of cohorts say)."""
    _people(world)
    told = {f"{name}@x.example" for name in "bcde"} | {f"{name}@y.example" for name in "ab"}
    with world.database.read() as connection:
        rows = list(connection.execute(select(tables.Message.__table__).order_by(tables.Message.id)))
        found = deciding.load(connection, world.program, rows, world.postroom.policy, {}, world.now)
        people = {each.due.situation.contact.id for each in found}
        runs = enrollments.by_ids(connection, {row.enrollment_id for row in rows}).values()
        apart = deciding.told_of(connection, world.program, people, runs, world.now)
    for pending in found:
        seen = pending.due.situation
        assert (seen.contact.email in told) == (seen.contact.id in apart)
        if seen.contact.id not in apart:
            assert replace(seen, messages=()) == Situation(seen.contact, enrollments=seen.enrollments)
    assert apart != people


def _people(world: World) -> None:
    """Contacts in every kind of trouble, each with a message that nobody has sent yet."""
    rita = world.rep()
    plain, replied, gone, bounced, moved = (world.contact(f"{n}@x.example", owner=rita) for n in "abcde")
    personal = [world.contact(f"{n}@y.example", owner=rita, stage="prospect") for n in "abc"]
    for contact in personal:
        world.record(contact, "stage_entered", stage="prospect")
    assert plain
    while engine.tick(world.database, "tester", world.now):
        pass
    world.now += timedelta(days=1)
    while engine.tick(world.database, "tester", world.now) + drafts.draft_due(
        world.database, LINKS, "tester", world.now
    ):
        pass
    world.now += timedelta(hours=1)
    world.record(replied, "replied")
    world.record(gone, "unsubscribed")
    world.record(bounced, "bounced", permanent=True)
    world.record(moved, "complained")
    world.record(personal[0], "unsubscribed")
    world.record(personal[1], "unsubscribed")
    world.record(personal[1], "demo_requested")
    assert world.rows(tables.Message, state=MessageState.AWAITING_APPROVAL)
