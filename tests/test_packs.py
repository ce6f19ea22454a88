"""Every definition pack is a complete program with all shipped sequences, and a life in it goes both ways."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from nurture.core.conditions import say
from nurture.core.words import Role, Voice
from nurture.db import tables
from nurture.db.session import Database
from nurture.handoff.answers import accept
from nurture.program.definitions import packs, shipped_lifecycles
from nurture.program.folder import read_folder
from nurture.reports.picture import picture
from tests import databases
from tests.programs import small
from tests.world import World, _built

ROOT = Path(__file__).parent.parent
NAMES = ["bant", "champ", "icp-intent", "interest-first", "scored", "two-way"]


def program_of(pack: str) -> dict[str, str]:
    """Return the files of the shipped folder with another definition named."""
    files, problems = read_folder(ROOT)
    assert not problems
    house = files["nurture.toml"].replace('lifecycle = "scored"', f'lifecycle = "{pack}"')
    return {**files, "nurture.toml": house}


def test_these_packs_are_shipped() -> None:
    assert sorted(packs()) == NAMES
    assert [each.name for each in shipped_lifecycles()] == NAMES


@pytest.mark.parametrize("pack", NAMES)
def test_a_pack_is_complete_and_all_shipped_sequences_run_under_it(pack: str) -> None:
    program = _built(tuple(sorted(program_of(pack).items()))).program
    assert program.lifecycle.name == pack
    assert len(program.sequences) == 5
    roles = {stage.role for stage in program.lifecycle.stages}
    assert roles == set(Role)
    voices = {(stage.role, stage.voice) for stage in program.lifecycle.stages}
    assert {(Role.NURTURE, Voice.MARKETING), (Role.ENGAGE, Voice.PERSONAL)} <= voices


# What makes somebody a prospect under each definition; the lives of the people in between are the engine's.
CONVINCING: dict[str, list[tuple[str, dict[str, str]]]] = {
    "scored": [("demo_requested", {})],
    "two-way": [("demo_requested", {}), ("called", {})],
    "icp-intent": [("content_downloaded", {}), ("intent_signaled", {}), ("demo_requested", {})],
    "bant": [("form_submitted", {"budget": "planned", "need": "reports", "timeline": "now"})],
    "champ": [("form_submitted", {"challenges": "the close", "budget": "planned", "priority": "at the top"})],
    "interest-first": [("form_submitted", {})],
}
IDEAL = {"name": "Harbor", "industry": "Logistics", "employees": 400, "country": "DE", "revenue": 60_000_000}


@pytest.mark.parametrize("pack", NAMES)
def test_a_life_under_a_pack_goes_there_and_back_with_the_shipped_sequences(pack: str, tmp_path: Path) -> None:
    database = Database(databases.sqlite_url(tmp_path))  # the shells themselves are tested on both
    world = World(database, tmp_path)
    world.apply({**dict.fromkeys(small(), ""), **program_of(pack)})
    rep = world.rep()
    ann = world.contact("ann@harbor.example", owner=rep, account=IDEAL, title="CFO", country="DE")
    roles = {stage.name: stage.role for stage in world.program.lifecycle.stages}
    world.advance(days=1)
    assert [mail["To"].addresses[0].addr_spec for mail in world.mails()] == ["ann@harbor.example"]
    for kind, data in CONVINCING[pack]:
        world.record(ann, kind, **data)
    assert roles[world.row(tables.Contact, id=ann).stage] is Role.ENGAGE
    with world.database.write() as connection:
        accept(connection, world.program, world.row(tables.Handoff, contact_id=ann).id, rep, world.now)
    world.advance(days=2)
    draft = world.row(tables.Message, voice=Voice.PERSONAL, state="awaiting_approval")
    assert draft.template.startswith("prospects/")
    world.advance(days=210)
    assert roles[world.row(tables.Contact, id=ann).stage] is Role.NURTURE
    moved = [(roles.get(change.from_stage), roles[change.to_stage]) for change in world.rows(tables.StageChange)]
    back = world.rows(tables.StageChange)[moved.index((Role.ENGAGE, Role.NURTURE))]
    assert back.actor == "engine"
    assert back.rule.startswith(f"sequences/lifecycles/{pack}.yaml:")
    assert not [run for run in world.rows(tables.Enrollment) if run.state == "failed"]
    database.dispose()


@pytest.mark.parametrize("pack", NAMES)
def test_the_page_of_a_pack_tells_every_stage_and_move_and_shows_its_picture(pack: str) -> None:
    pages = ROOT / "docs" / "definitions"
    (lifecycle,) = [each for each in shipped_lifecycles() if each.name == pack]
    page = (pages / ("bant.md" if pack == "champ" else f"{pack}.md")).read_text("utf-8")
    assert f"({pack}.svg)" in page
    assert all(f"`{stage.name}` | {stage.role} | {stage.voice} | {stage.owner}" in page for stage in lifecycle.stages)
    assert all(f"| {say(move.when)} | {move.reason} |" in page for move in lifecycle.moves if move.when)
    assert (pages / f"{pack}.svg").read_text("utf-8") == picture(lifecycle), "nurture lifecycle show NAME --svg FILE"
    ElementTree.fromstring(picture(lifecycle))
