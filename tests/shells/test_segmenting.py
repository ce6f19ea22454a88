from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from nurture import engine, intake, segmenting
from nurture.core.model import ContactId, Event
from nurture.core.words import Scope, TimerKind
from nurture.db import segments, tables
from nurture.db.session import Database
from nurture.people import suppress_address
from tests import databases
from tests.conftest import BOTH
from tests.databases import Queries
from tests.world import RING, World

SEGMENTS = """\
kind: segments
segments:
  readers: {when: "did('clicked', within='30 days')"}
  big: {when: "account.employees >= 50 and fields.plan == 'pro'"}
  quiet: {when: "idle('10 business days') and role == 'nurture'"}
  warm: {when: "engagement >= 15"}
  busy: {when: "active_sequences >= 1 or open_tasks >= 1 or open_handoff"}
  written: {when: "sent_messages >= 2 or did('opened')"}
  core-readers: {when: "in_segment('readers') or in_segment('big')", exclude: [quiet, suppressed]}
"""

NAMES = ("readers", "big", "quiet", "warm", "busy", "written", "core-readers")

WELCOME = """\
kind: sequence
name: for-readers
voice: marketing
audience: {segment: core-readers}
enroll_when: [{segment_entered: [readers, core-readers]}]
priority: 60
sender: newsletter
window: always
steps:
  - id: which
    branch:
      - if: in_segment('big')
        then: [{id: big-mail, email: leads/hello}]
      - else: [{id: small-mail, email: leads/more}]
"""


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path, changes={"segments.yaml": SEGMENTS})


def kept(world: World) -> dict[str, set[int]]:
    """Return who is in which segment, as it is kept."""
    found: dict[str, set[int]] = {name: set() for name in NAMES}
    for row in world.rows(tables.SegmentMember):
        found[row.segment].add(row.contact_id)
    return found


def asked(world: World) -> dict[str, set[int]]:
    """Return who is in which segment, as asking everybody now finds it."""
    rules, lifecycle = world.program.segments.rules, world.program.lifecycle
    with world.database.read() as connection:
        return {
            name: set(connection.scalars(segments.select(connection, rules[name], lifecycle, world.now)))
            for name in NAMES
        }


def of(world: World, contact: ContactId) -> set[str]:
    return {row.segment for row in world.rows(tables.SegmentMember, contact_id=contact)}


def told(world: World, contact: ContactId) -> list[tuple[str, Any]]:
    kinds = ("segment_entered", "segment_left")
    events = [row for row in world.rows(tables.Event, contact_id=contact) if row.kind in kinds]
    return [(row.kind, row.data["segment"]) for row in events]


def test_entering_and_leaving_are_events(world: World) -> None:
    ann = world.contact("ann@leads.example")
    assert "readers" not in of(world, ann)
    world.record(ann, "clicked")
    assert {"readers", "core-readers"} <= of(world, ann)
    assert ("segment_entered", "readers") in told(world, ann)
    world.advance(days=30)
    assert "readers" not in of(world, ann)
    assert told(world, ann)[-2:] == [("segment_left", "readers"), ("segment_entered", "quiet")] or (
        "segment_left",
        "readers",
    ) in told(world, ann)


def test_time_alone_takes_people_in(world: World) -> None:
    ann = world.contact("ann@leads.example")
    assert "quiet" not in of(world, ann)
    world.advance(days=13)
    assert "quiet" not in of(world, ann)
    world.advance(days=1)
    assert "quiet" in of(world, ann)


def test_whoever_is_excluded_is_out(world: World) -> None:
    ann = world.contact("ann@leads.example")
    world.record(ann, "clicked")
    assert "core-readers" in of(world, ann)
    with world.database.write() as connection:
        suppress_address(connection, world.program, RING, "ann@leads.example", Scope.ALL, "asked", "test", world.now)
    assert "core-readers" not in of(world, ann)
    assert "readers" in of(world, ann)


def test_entering_a_segment_enrolls_and_branches_ask_for_segments(world: World) -> None:
    world.apply({"segments.yaml": SEGMENTS, "sequences/readers.yaml": WELCOME})
    small = world.contact("small@leads.example")
    big = world.contact("big@leads.example", account={"employees": 400}, fields={"plan": "pro"})
    runs = {row.contact_id for row in world.rows(tables.Enrollment, sequence="for-readers")}
    assert runs == {big}
    world.record(small, "clicked")
    world.work()
    mails = {
        row.contact_id: row.template for row in world.rows(tables.Message) if row.step_id in ("big-mail", "small-mail")
    }
    assert mails == {small: "leads/more", big: "leads/hello"}


def test_a_colleague_whose_company_changed_is_asked_again(world: World) -> None:
    ann = world.contact("ann@leads.example", account={"employees": 10}, fields={"plan": "pro"})
    with world.database.write() as connection:
        connection.execute(tables.Account.__table__.update().values(employees=500))
        intake.review_people_of(connection, [world.row(tables.Account).id], world.now)
    world.work()
    assert "big" in of(world, ann)


def test_a_new_segment_is_filled_without_events(world: World) -> None:
    world.apply({"segments.yaml": ""})
    readers = world.contacts([f"r{number}@leads.example" for number in range(7)])
    for contact in readers[:4]:
        world.record(contact, "clicked")
    assert world.rows(tables.SegmentMember) == []
    before = len(world.rows(tables.Event))
    world.apply({"segments.yaml": SEGMENTS})
    assert segmenting.fill(world.database, world.now, page=3) == 7
    assert kept(world) == asked(world)
    assert kept(world)["readers"] == set(readers[:4])
    assert len(world.rows(tables.Event)) == before
    assert segmenting.fill(world.database, world.now) == 0


def test_time_takes_people_out_who_were_there_before_the_segment_was(world: World) -> None:
    world.apply({"segments.yaml": "", "sequences/nurture.yaml": ""})
    ann = world.contact("ann@leads.example")
    world.record(ann, "clicked")
    world.apply({"segments.yaml": SEGMENTS, "sequences/nurture.yaml": ""})
    segmenting.fill(world.database, world.now)
    assert "readers" in of(world, ann)
    world.advance(days=31)
    assert "readers" not in of(world, ann)


def test_a_changed_segment_is_filled_again_and_one_that_is_gone_emptied(world: World) -> None:
    world.contacts(["a@leads.example", "b@leads.example"])
    world.apply({"segments.yaml": "kind: segments\nsegments: {big: {when: \"role == 'nurture'\"}}"})
    segmenting.fill(world.database, world.now)
    assert {row.segment for row in world.rows(tables.SegmentMember)} == {"big"}
    assert [row.segment for row in world.rows(tables.SegmentFill)] == ["big"]
    world.apply({"segments.yaml": ""})
    segmenting.fill(world.database, world.now)
    assert world.rows(tables.SegmentMember) == []
    assert world.rows(tables.SegmentFill) == []


def page(world: World, contacts: list[ContactId], kind: str) -> None:
    made = [Event(kind, world.now, "test", f"{kind}:{key}:{next(world.keys)}", key) for key in contacts]
    with world.database.write() as connection:
        intake.record(connection, world.program, made, world.now)


def test_a_page_costs_the_same_whatever_its_size(
    world: World, queries: Callable[[], AbstractContextManager[Queries]]
) -> None:
    many = world.contacts([f"c{number}@leads.example" for number in range(40)])
    with queries() as one:
        page(world, many[:1], "clicked")
    with queries() as all_of_them:
        page(world, many[1:], "clicked")
    assert all_of_them.count == one.count


def test_without_segments_nobody_asks_for_them(
    world: World, queries: Callable[[], AbstractContextManager[Queries]]
) -> None:
    world.apply({"segments.yaml": ""})
    segmenting.fill(world.database, world.now)
    ann = world.contact("ann@leads.example")
    with queries() as counted:
        world.record(ann, "clicked")
        engine.tick(world.database, "tester", world.now)
        engine.review(world.database, "tester", world.now)
    assert not [statement for statement in counted.statements if "segment" in statement]


KINDS = ("clicked", "opened", "content_downloaded", "demo_requested", "replied", "complained", "unsubscribed")
PLANS = ({"fields.plan": "pro"}, {"fields.plan": "free"}, {"fields.plan": None})

steps = st.one_of(
    st.tuples(st.just("happens"), st.integers(0, 3), st.sampled_from(KINDS)),
    st.tuples(st.just("changes"), st.integers(0, 3), st.sampled_from(PLANS)),
    st.tuples(st.just("passes"), st.integers(1, 40), st.sampled_from(("days", "hours"))),
)


STORY: list[tuple[str, int, Any]] = [
    ("happens", 0, "clicked"),
    ("happens", 2, "content_downloaded"),
    ("passes", 9, "days"),
    ("happens", 0, "opened"),
    ("happens", 3, "unsubscribed"),
    ("changes", 1, {"fields.plan": "free"}),
    ("passes", 15, "days"),
    ("happens", 2, "demo_requested"),
    ("happens", 2, "content_downloaded"),
    ("passes", 3, "days"),
    ("happens", 2, "replied"),
]


def test_membership_is_what_asking_everybody_finds(world: World) -> None:
    _live(world, STORY)


@pytest.mark.soak
@pytest.mark.parametrize("kind", BOTH)
def test_membership_is_what_asking_everybody_finds_after_any_history(kind: str, tmp_path: Path) -> None:
    def live(url: str) -> None:
        database = Database(url)

        @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(history=st.lists(steps, min_size=4, max_size=10))
        def histories(history: list[tuple[str, int, Any]]) -> None:
            _begin_again(database)
            _live(World(database, tmp_path, changes={"segments.yaml": SEGMENTS}), history)

        histories()
        database.dispose()

    if kind == "sqlite":
        live(databases.sqlite_url(tmp_path))
    else:
        with databases.postgresql_url() as url:
            live(url)


def _live(world: World, history: list[tuple[str, int, Any]]) -> None:
    world.rep()
    contacts = world.contacts(["a@l.example", "b@l.example"], account={"employees": 60}, fields={"plan": "pro"})
    contacts += world.contacts(["c@l.example", "d@l.example"])
    for what, number, value in history:
        if what == "happens":
            world.record(contacts[number], value)
        elif what == "changes":
            world.record(contacts[number], "updated", set=value)
        else:
            world.advance(**{value: number})
        world.work()
    # What time changed within the last hour waits for its review; and a review that enrolls asks for another.
    for _ in range(2):
        world.now += timedelta(seconds=1)
        page(world, contacts, "time_passed")
        world.work()
    assert kept(world) == asked(world)
    assert any(asked(world).values())


def _begin_again(database: Database) -> None:
    with database.write() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in reversed(tables.Base.metadata.sorted_tables):
            connection.execute(table.delete())


def test_reviews_are_asked_for_once(world: World) -> None:
    ann = world.contact("ann@leads.example")
    world.record(ann, "clicked")
    world.work()
    waiting = world.rows(tables.Timer, kind=TimerKind.REVIEW.value)
    assert [timer.subject_id for timer in waiting] == [ann]
    assert waiting[0].due_at > world.now
