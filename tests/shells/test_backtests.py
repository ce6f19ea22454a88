"""What lifecycles make of the same history, and scoring everybody anew when another one goes live."""

from __future__ import annotations

from dataclasses import replace

from nurture import backtests, engine, live
from nurture.backtests import Parting
from nurture.core.conditions import Did
from nurture.core.lifecycle import Lifecycle
from nurture.core.schema import read_lifecycle
from nurture.db import programs, tables
from tests.databases import count_queries
from tests.programs import LIFECYCLE, NURTURE
from tests.world import World

ANSWERED = LIFECYCLE.replace("level == 'MQL'", "did('replied')")
LOWER = LIFECYCLE.replace("engagement >= 40", "engagement >= 20")


def _read(text: str, file: str = "other.yaml") -> Lifecycle:
    return replace(read_lifecycle(text, file), hash=file)


def _two_people(world: World) -> None:
    """Ann downloads and buys, Bob answers; both come to be prospects under one lifecycle each."""
    rep = world.rep()
    ann, bob = world.contact("ann@acme.example", owner=rep), world.contact("bob@acme.example", owner=rep)
    world.advance(days=1)
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.record(bob, "replied")
    world.advance(days=1)
    world.record(ann, "purchased")


def test_two_lifecycles_are_compared_over_everybodys_history(world: World) -> None:
    _two_people(world)
    differing: list[Parting] = []
    found = backtests.compare(
        world.database, world.program.lifecycle, _read(ANSWERED), world.now, each=differing.append
    )
    assert (found.contacts, found.differing) == (2, 2)
    assert dict(found.confusion) == {("customer", "lead"): 1, ("lead", "prospect"): 1}
    assert (found.first.engaged, found.first.converted, found.first.unengaged) == (1, 1, 0)
    assert (found.second.engaged, found.second.converted, found.second.unengaged) == (1, 0, 0)
    ann, bob = differing
    assert ann.fork is not None
    assert (ann.email, ann.fork.first, ann.fork.step.move.reason) == ("ann@acme.example", True, "qualified")
    assert bob.fork is not None
    assert (bob.email, bob.fork.first, bob.fork.step.move.rule) == ("bob@acme.example", False, "other.yaml:10")


def test_the_live_lifecycle_makes_of_history_what_it_did(world: World) -> None:
    _two_people(world)
    found = backtests.compare(world.database, world.program.lifecycle, world.program.lifecycle, world.now)
    assert found.differing == 0
    assert {stage: count for (stage, _), count in found.confusion.items()} == {"customer": 1, "lead": 1}
    assert {row.stage for row in world.rows(tables.Contact)} == {"customer", "lead"}


def test_success_may_be_what_a_condition_says(world: World) -> None:
    _two_people(world)
    found = backtests.compare(
        world.database, world.program.lifecycle, _read(ANSWERED), world.now, outcome=Did("purchased")
    )
    assert (found.second.converted, found.second.unengaged, found.second.rate) == (0, 1, 0.0)


def test_comparing_changes_nothing_and_asks_a_constant_number_of_queries(world: World) -> None:
    world.contacts([f"p{number}@acme.example" for number in range(3)])
    before = {model: world.rows(model) for model in (tables.Contact, tables.Event, tables.Standing, tables.Timer)}
    counts = []
    for turn in range(2):
        with count_queries(world.database) as queries:
            backtests.compare(world.database, world.program.lifecycle, _read(ANSWERED), world.now)
        counts.append(queries.count)
        assert before == {model: world.rows(model) for model in before}
        world.contacts([f"q{turn}{number}@acme.example" for number in range(30)])
        before = {model: world.rows(model) for model in before}
    assert counts[0] == counts[1]


# --- another lifecycle goes live --------------------------------------------------------------------------------------


def test_a_back_test_says_who_would_change_their_level_and_who_would_move(world: World) -> None:
    ann, bob = world.contacts(["ann@acme.example", "bob@acme.example"])
    world.record(ann, "content_downloaded")
    found = backtests.restandings(world.database, world.program.lifecycle, _read(LOWER), world.now)
    assert (found.contacts, found.looked_at, found.up, found.down, found.changed) == (2, 2, 1, 0, 1)
    assert dict(found.levels) == {(None, "MQL"): 1}
    assert dict(found.moves) == {("lead", "prospect"): 1}
    (one,) = found.examples
    assert (one.contact_id, one.before.level, one.after.level, one.moves_to) == (ann, None, "MQL", "prospect")
    back = backtests.restandings(world.database, _read(LOWER), world.program.lifecycle, world.now)
    assert (back.up, back.down) == (0, 1)
    assert world.row(tables.Standing, contact_id=bob).level is None


def test_a_sample_is_even_and_says_how_many_it_looked_at(world: World) -> None:
    world.contacts([f"p{number}@acme.example" for number in range(10)])
    found = backtests.restandings(world.database, world.program.lifecycle, _read(LOWER), world.now, at_most=5)
    assert (found.contacts, found.looked_at) == (10, 5)


def test_applying_another_lifecycle_scores_everybody_anew_in_pages_afterwards(world: World) -> None:
    people = world.contacts([f"p{number}@acme.example" for number in range(5)])
    world.work()
    world.record(people[3], "content_downloaded")
    world.apply({"sequences/lifecycle.yaml": LOWER})
    assert world.row(tables.Contact, id=people[3]).stage == "lead"
    old = {row.model_hash for row in world.rows(tables.Standing)}
    pages = []
    while page := engine.review(world.database, "tester", world.now, limit=2):
        pages.append(page)
    assert pages == [2, 2, 1]
    assert {row.model_hash for row in world.rows(tables.Standing)} == {world.program.lifecycle.hash} != old
    assert world.row(tables.Contact, id=people[3]).stage == "prospect"
    with world.database.read() as connection:
        assert not programs.restanding(connection)


def test_applying_the_same_lifecycle_with_other_mail_scores_nobody_anew(world: World) -> None:
    world.contact("ann@acme.example")
    world.work()
    world.apply({"sequences/nurture.yaml": NURTURE.replace("3 days", "4 days")})
    with world.database.read() as connection:
        assert not programs.restanding(connection)


def test_going_back_to_the_first_lifecycle_scores_everybody_anew_again(world: World) -> None:
    ann = world.contact("ann@acme.example")
    world.record(ann, "content_downloaded")
    for changes in ({"sequences/lifecycle.yaml": LOWER}, {}, {"sequences/lifecycle.yaml": LOWER}):
        world.advance(minutes=1)
        world.apply(changes)
        world.work()
        assert world.row(tables.Standing, contact_id=ann).model_hash == world.program.lifecycle.hash


def test_a_program_that_can_no_longer_be_read_does_not_stand_in_the_way_of_the_next(world: World) -> None:
    text = LIFECYCLE.replace("name: small", "name: small\ndescription: of an older version")
    world.apply({"sequences/lifecycle.yaml": text})
    with world.database.write() as connection:
        blob = tables.Blob.__table__
        connection.execute(blob.update().where(blob.c.content == text).values(content="kind: lifecycle\nold: true\n"))
    live._cached.clear()
    world.apply({"sequences/lifecycle.yaml": LOWER})
    with world.database.read() as connection:
        assert programs.restanding(connection)
