"""The one door: what follows from events, whatever their order, however often they come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import permutations
from typing import Any

import pytest

from nurture import drafts, intake
from nurture.core.model import Event
from nurture.db import tables, timers
from nurture.db.session import Database
from tests.world import World


def test_a_duplicate_event_has_one_effect(world: World) -> None:
    ann = world.contact("ann@example.com")
    event = Event("content_downloaded", world.now, "site", "d-1", ann)
    for expected in (1, 0):
        with world.database.write() as connection:
            recorded = intake.record(connection, world.program, [event, event], world.now)
        assert (recorded.added, recorded.duplicates) == (expected, 2 - expected)
    assert world.row(tables.Standing, contact_id=ann).engagement == 2000


def test_events_about_nobody_are_counted_and_change_nothing(world: World) -> None:
    with world.database.write() as connection:
        recorded = intake.record(
            connection,
            world.program,
            [Event("replied", world.now, "x", "1", 999_999)],
            world.now,  # type: ignore[arg-type]
        )
    assert recorded.unknown == 1
    assert world.rows(tables.Event) == []


def test_a_new_contact_is_scored_and_enrolled(world: World) -> None:
    ann = world.contact("ann@example.com", account={"name": "Acme", "employees": 90})
    assert world.row(tables.Standing, contact_id=ann).grade == "A"
    assert world.row(tables.Enrollment, contact_id=ann).sequence == "nurture"


def test_engagement_makes_a_prospect_and_hands_them_to_a_rep(world: World) -> None:
    rita = world.rep()
    ann = world.contact("ann@example.com")
    world.record(ann, "content_downloaded")
    recorded = world.record(ann, "content_downloaded")
    assert recorded.moved == (("lead", "prospect"),)
    contact = world.row(tables.Contact, id=ann)
    assert (contact.stage, contact.owner_id) == ("prospect", rita.id)
    handoff = world.row(tables.Handoff, contact_id=ann)
    assert (handoff.state, handoff.rep_id) == ("open", rita.id)
    assert [run.state for run in world.rows(tables.Enrollment, sequence="nurture")] == ["exited"]
    assert [run.state for run in world.rows(tables.Enrollment, sequence="introduction")] == ["active"]
    change = world.row(tables.StageChange, to_stage="prospect")
    assert change.reason == "qualified"
    assert change.rule.startswith("sequences/lifecycle.yaml:")


def test_handoffs_go_round_the_reps(world: World) -> None:
    world.rep("rita@northwind.example")
    world.rep("sam@northwind.example", "Sam Sen")
    for number in range(4):
        someone = world.contact(f"c{number}@example.com")
        world.record(someone, "content_downloaded")
        world.record(someone, "content_downloaded")
    owners = [contact.owner_id for contact in world.rows(tables.Contact)]
    assert sorted(owners.count(owner) for owner in set(owners)) == [2, 2]


def test_a_reply_ends_the_run_cancels_unsent_mail_and_opens_a_task(world: World) -> None:
    rita = world.rep()
    ann = world.contact("ann@example.com", owner=rita)
    world.work()
    world.advance(days=2)
    world.record(ann, "replied")
    world.advance(days=10)
    assert len(world.mails()) == 1
    run = world.row(tables.Enrollment, contact_id=ann)
    assert (run.state, run.reason) == ("exited", "replied")
    task = world.row(tables.Task, contact_id=ann)
    assert (task.rep_id, task.state) == (rita.id, "open")


@pytest.mark.parametrize("kind", ["auto_replied", "bounced", "delivered", "opened", "sent"])
def test_what_is_no_reply_ends_no_run(world: World, kind: str) -> None:
    ann = world.contact("ann@example.com")
    world.work()
    world.record(ann, kind)
    assert world.row(tables.Enrollment, contact_id=ann).state == "waiting"


def test_a_hard_bounce_suppresses_everything(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.record(ann, "bounced", permanent=True)
    assert [(row.scope, row.reason) for row in world.rows(tables.Suppression)] == [("all", "hard_bounce")]
    world.advance(days=10)
    assert world.mails() == []


STORIES = list(permutations(["unsubscribed", "replied", "clicked", "content_downloaded"]))


@pytest.mark.parametrize("order", STORIES[::8], ids=" ".join)
def test_any_order_of_events_gives_the_same_state(world: World, order: tuple[str, ...]) -> None:
    ann = world.contact("ann@example.com")
    with world.database.write() as connection:
        for kind in order:
            intake.record(connection, world.program, [Event(kind, world.now, "site", kind, ann)], world.now)
    assert [(row.scope, row.reason) for row in world.rows(tables.Suppression)] == [("marketing", "unsubscribed")]
    assert world.row(tables.Enrollment, contact_id=ann).state == "exited"
    assert world.row(tables.Standing, contact_id=ann).engagement == 2000


def test_somebody_who_goes_quiet_becomes_a_lead_again_by_time_alone(world: World) -> None:
    rita = world.rep()
    ann = world.contact("ann@example.com")
    world.record(ann, "content_downloaded")
    world.record(ann, "content_downloaded")
    for _ in range(60):
        world.advance(days=1)
        for draft in world.rows(tables.Message, state="awaiting_approval"):
            with world.database.write() as connection:
                drafts.skip(connection, draft.id, rita, world.now)
    moves = [(change.from_stage, change.to_stage) for change in world.rows(tables.StageChange)]
    assert moves == [("lead", "prospect"), ("prospect", "lead")]


def test_record_asks_a_constant_number_of_queries(
    world: World, queries: Callable[[], AbstractContextManager[Any]]
) -> None:
    counts = []
    for size in (10, 1_000):
        with queries() as counter:
            world.contacts([f"c{number}@page{size}.example" for number in range(size)])
        counts.append(counter.count)
    assert counts[0] == counts[1]


def test_nothing_unfinished_lacks_its_timer(world: World, database: Database) -> None:
    world.rep()
    for number in range(5):
        someone = world.contact(f"c{number}@example.com")
        for _ in range(number):
            world.record(someone, "content_downloaded")
    for _ in range(10):
        world.advance(days=1)
        with database.read() as connection:
            assert timers.lost(connection) == []
