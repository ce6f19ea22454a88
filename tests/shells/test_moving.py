"""Moves by hand: made where the lifecycle lists them, with a reason, and refused with the reason where it does not."""

from __future__ import annotations

import pytest

from nurture import moving
from nurture.core.model import ContactId
from nurture.db import tables
from nurture.errors import Refused
from tests.programs import LIFECYCLE
from tests.world import World

CAPPED = LIFECYCLE.replace("scoring:", "recycling: {at_most: 1}\nscoring:").replace(
    "cool_off: 30 days", "cool_off: 1 day"
)


def _move(world: World, contact: ContactId, to: str, reason: str = "met her at the fair") -> None:
    with world.database.write() as connection:
        moving.move(connection, world.program, contact, to, reason, "rita@northwind.example", world.now)


def test_a_move_by_hand_ends_and_begins_what_any_move_does_and_keeps_its_reason(world: World) -> None:
    ann = world.contact("ann@acme.example", owner=world.rep())
    world.work()
    _move(world, ann, "prospect")
    change = world.row(tables.StageChange, to_stage="prospect")
    assert (change.reason, change.actor) == ("met her at the fair", "rita@northwind.example")
    assert world.row(tables.Enrollment, sequence="nurture").state == "exited"
    assert world.row(tables.Enrollment, sequence="introduction").state == "active"
    assert world.row(tables.Handoff, contact_id=ann).state == "open"


def test_what_the_lifecycle_forbids_is_refused_and_nothing_is_recorded(world: World) -> None:
    ann = world.contact("ann@acme.example")
    for to, says in (("customer", "no move from 'lead'"), ("lead", "already"), ("vip", "no stage 'vip'")):
        with pytest.raises(Refused, match=says):
            _move(world, ann, to)
    assert world.rows(tables.Event, kind="updated") == []


def test_a_move_by_hand_needs_a_reason(world: World) -> None:
    with pytest.raises(Refused, match="needs a reason"):
        _move(world, world.contact("ann@acme.example"), "prospect", "  ")


def _recycled(world: World) -> ContactId:
    """Return a prospect who went quiet once and was convinced again."""
    ann = world.contact("ann@acme.example", owner=world.rep())
    world.apply(_files(CAPPED))
    for _ in range(2):
        for _ in range(2):
            world.record(ann, "content_downloaded")
        world.advance(days=40)
    return ann


def _files(lifecycle: str) -> dict[str, str]:
    return {
        "sequences/lifecycle.yaml": lifecycle,
        "sequences/introduction.yaml": "",
        "templates/prospects/first.txt": "",
        "templates/prospects/second.txt": "",
    }


def test_silent_prospects_are_recycled_and_only_so_often(world: World) -> None:
    ann = _recycled(world)
    moves = [(change.from_stage, change.to_stage) for change in world.rows(tables.StageChange) if change.from_stage]
    assert moves == [("lead", "prospect"), ("prospect", "lead"), ("lead", "prospect")]
    world.advance(days=100)
    assert world.row(tables.Contact, id=ann).stage == "prospect"
