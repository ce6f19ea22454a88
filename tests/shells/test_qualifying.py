"""What is known of contacts is stored beside their score, moves them, and is forgotten when it is stale."""

from __future__ import annotations

import pytest

from nurture import intake, live, qualifying, tasks
from nurture.core.model import AccountId, ContactId, Event
from nurture.db import tables
from nurture.errors import UsageError
from nurture.looking.qualification import qualification
from nurture.looking.scores import score
from tests.databases import count_queries
from tests.programs import LIFECYCLE
from tests.world import World

SLOTS = """\
qualification:
  fresh_for: 30 days
  slots:
    budget:
      values: [none, planned, approved]
      against: [none]
      from:
        - {event: demo_requested, value: planned, confidence: 0.6}
    need: {fresh_for: 90 days}
"""
QUALIFIED = LIFECYCLE.replace("\"level == 'MQL'\"", '"slots_filled >= 2"').replace(
    "\"idle('20 business days') and active_sequences == 0\"", '"slots_filled < 2"'
)
ACCOUNTS = LIFECYCLE.replace("cap: 30, events: {", "cap: 60, account_cap: 30, events: {intent_signaled: 20, ")


def _say(world: World, contact: ContactId, evidence: str | None = None, **values: str | None) -> intake.Recorded:
    with world.database.write() as connection:
        return qualifying.state(connection, world.program, contact, values, evidence, 1.0, "rita", world.now)


def _standing(world: World, contact: ContactId) -> tuple[object, object]:
    row = world.row(tables.Standing, contact_id=contact)
    return row.slots, row.slots_filled


def test_slots_move_a_contact_and_going_stale_moves_them_back(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": QUALIFIED + SLOTS})
    ann = world.contact("ann@acme.example", owner=world.rep())
    assert _standing(world, ann) == ({}, 0)
    assert _say(world, ann, budget="Approved").moved == ()
    assert _say(world, ann, "call notes", need="reports").moved == (("lead", "prospect"),)
    assert _standing(world, ann) == ({"budget": "approved", "need": "reports"}, 2)
    world.advance(days=30)
    assert world.row(tables.Contact, id=ann).stage == "lead"
    assert _standing(world, ann) == ({"need": "reports"}, 1)
    with world.database.read() as connection:
        budget, need = qualification(connection, world.program, ann, world.now).slots
    assert (budget.fresh, need.fresh) == (False, True)
    assert need.said is not None
    assert need.said.evidence == "call notes"


def test_a_value_that_speaks_against_does_not_count_and_events_fill_slots_too(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": QUALIFIED + SLOTS})
    ann = world.contact("ann@acme.example")
    _say(world, ann, budget="none")
    assert _standing(world, ann) == ({"budget": "none"}, 0)
    _say(world, ann, budget=None)
    world.record(ann, "demo_requested")
    assert _standing(world, ann) == ({"budget": "planned"}, 1)


def test_what_a_rep_learns_while_doing_a_task_fills_slots(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": QUALIFIED + SLOTS})
    rep = world.rep()
    ann = world.contact("ann@acme.example", owner=rep)
    world.record(ann, "replied")
    task = world.row(tables.Task, kind="reply")
    learned = {"budget": "planned", "need": "speed"}
    with world.database.write() as connection:
        tasks.finish(connection, world.program, task.id, rep, "spoke with her", world.now, slots=learned)
    assert world.row(tables.Contact, id=ann).stage == "prospect"
    evidence = {event.data["evidence"] for event in world.rows(tables.Event, kind="slot_set")}
    assert evidence == {f"{task.title}: spoke with her"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"bugdet": "1"}, "there are budget, need"),
        ({"budget": "much"}, "holds none, planned"),
        ({"need": " "}, "value"),
    ],
)
def test_slots_and_values_that_there_are_not_are_named(world: World, values: dict[str, str], says: str) -> None:
    world.apply({"sequences/lifecycle.yaml": QUALIFIED + SLOTS})
    ann = world.contact("ann@acme.example")
    with pytest.raises(UsageError, match=says):
        _say(world, ann, **values)
    assert world.rows(tables.Event, kind="slot_set") == []


# --- signals about accounts -------------------------------------------------------------------------------------------


def _signal(world: World, account: int, key: str = "1", **data: object) -> None:
    signal = Event("intent_signaled", world.now, "vendor", key, account_id=AccountId(account), data=data)
    with world.database.write() as connection:
        intake.record(connection, world.program, [signal], world.now)


def test_a_signal_about_a_company_lifts_its_people_up_to_the_cap(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": ACCOUNTS})
    ann, bob = world.contacts(["ann@acme.example", "bob@acme.example"], account={"name": "Acme"})
    cy = world.contact("cy@else.example", account={"name": "Else"})
    account = world.row(tables.Contact, id=ann).account_id
    for key in "123":
        _signal(world, account, key)
    world.work()
    points = [world.row(tables.Standing, contact_id=each).engagement for each in (ann, bob, cy)]
    assert points == [3000, 3000, 0]
    world.record(bob, "demo_requested")
    assert world.row(tables.Standing, contact_id=bob).engagement == 6000
    assert world.row(tables.Contact, id=bob).stage == "prospect"


def test_somebody_new_at_a_company_that_showed_intent_is_lifted_at_once(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": ACCOUNTS})
    ann = world.contact("ann@acme.example", account={"name": "Acme"})
    account = world.row(tables.Contact, id=ann).account_id
    _signal(world, account, strength=0.5)
    bob = world.contact("bob@acme.example", account_id=account)
    assert world.row(tables.Standing, contact_id=bob).engagement == 1000


def test_a_signal_that_expires_is_gone_on_that_day(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": ACCOUNTS.replace("engagement >= 40", "engagement >= 15")})
    ann = world.contact("ann@acme.example", owner=world.rep(), account={"name": "Acme"})
    _signal(world, world.row(tables.Contact, id=ann).account_id, expires_at="2026-03-05T09:00:00Z")
    world.work()
    assert world.row(tables.Standing, contact_id=ann).level == "MQL"
    world.advance(days=2, hours=23)
    assert world.row(tables.Standing, contact_id=ann).level == "MQL"
    world.advance(hours=2)
    row = world.row(tables.Standing, contact_id=ann)
    assert (row.level, row.engagement) == (None, 0)


def test_a_program_that_asks_for_none_of_this_pays_nothing_for_it(world: World) -> None:
    ann = world.contact("ann@acme.example", account={"name": "Acme"})
    _signal(world, world.row(tables.Contact, id=ann).account_id)
    assert _standing(world, ann) == (None, None)
    with count_queries(world.database) as queries, world.database.write() as connection:
        clicked = Event("clicked", world.now, "test", "c", ann)
        intake.record(connection, live.current(connection), [clicked], world.now)
    assert not [statement for statement in queries.statements if "events.account_id" in statement.split("FROM")[-1]]


def test_scoring_afresh_agrees_with_what_is_stored_slots_and_signals_included(world: World) -> None:
    world.apply({"sequences/lifecycle.yaml": ACCOUNTS + SLOTS.replace("demo_requested", "clicked")})
    ann = world.contact("ann@acme.example", account={"name": "Acme"})
    _signal(world, world.row(tables.Contact, id=ann).account_id)
    _say(world, ann, budget="approved", need="reports")
    world.advance(days=3)
    world.record(ann, "demo_requested")
    with world.database.read() as connection:
        found = score(connection, world.program, ann, False, world.now)
    assert found.agrees is True
    assert found.receipt.standing == found.stored
    assert found.stored is not None
    assert found.stored.slots == (("budget", "approved"), ("need", "reports"))
