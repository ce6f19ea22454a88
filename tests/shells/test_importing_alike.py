"""An import that asks once for all who are alike leaves the same rows behind as one that asks about everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nurture.core.words import Scope
from nurture.db import tables
from nurture.db.session import Database
from nurture.importing.contacts import open_contacts, understood
from nurture.importing.newcomers import Newcomers
from nurture.importing.page import Setting, write_page
from nurture.importing.report import Tally
from nurture.people import suppress_address
from nurture.program.mapping import load_mapping
from tests.conftest import BOTH
from tests.databases import postgresql_url, sqlite_url
from tests.programs import LIFECYCLE
from tests.world import RING, World

RULES = LIFECYCLE.replace(
    """      - {when: "account.employees >= 50", points: 50, label: big enough}\n""",
    """      - {when: "account.employees >= 50", points: 20, label: big enough}
      - {when: {field: title, op: contains, value: chief}, points: 20, label: decides}
      - {when: "email_domain in ('gmail.com', 'web.de')", points: -5, label: private}
      - {when: "fields.seats > 10", points: 7, label: many}
      - {when: {field: owner, op: known}, points: 1, label: owned}
""",
).replace("moves:\n", "moves:\n  - {from: lead, to: prospect, when: \"country == 'Iceland'\", reason: near}\n")

CHANGES = {
    "sequences/lifecycle.yaml": RULES,
    "fields.yaml": "kind: fields\nfields:\n  plan: {type: choice, label: Plan, choices: [free, pro]}\n"
    "  seats: {type: number, label: Seats}\n",
    "segments.yaml": """\
kind: segments
segments:
  seated: {when: "fields.seats >= 12 and locale == 'xx' or source == 'fair'"}
  greats: {when: "contains(title, 'GRÖSSE') or contains(title, 'größe')", exclude: suppressed}
  rich: {when: "account.employees > 1000 and not idle('1 business day')"}
""",
}
MAPPING = """\
kind: mapping
name: m
fields: {id: Id, email: Email, first_name: Name, title: Title, country: Country, owner: Owner, account.name: Company,
  account.domain: Site, account.employees: Staff, account.technologies: Tools, fields.plan: Plan, fields.seats: Seats}
suppressed_when: [{column: "No", is: "yes", reason: asked_not_to, scope: marketing}]
events: [{kind: content_downloaded, when: {column: Got}, data: {asset: Got}}]
"""
HEADER = ("Id,Email,Name,Title,Country,Owner,Company,Site,Staff,Tools,Plan,Seats,No,Got",)
TITLES = ("CFO", "", "Chief of staff", "Analyst", "Größe")
FILE = "\n".join(
    HEADER
    + tuple(
        f"{n if n % 3 else ''},p{n}@{('acme.example', 'gmail.com', 'old.example')[n % 3]},Ann {n},{TITLES[n % 5]},"
        f"{('Germany', '', 'Iceland')[(n % 13 == 0) + (n % 4 == 0)]},{'rita@northwind.example' if n % 6 == 0 else ''},"
        f"{('Acme', 'ACME', 'Birch', '')[n % 4]},{('acme.example', '', 'old.example')[n % 3]},"
        f"{('70', '', '1200')[n % 3]},{('SAP; Jira', '')[n % 2]},{('pro', 'free', '')[n % 3]},{n % 17},"
        f"{'yes' if n % 10 == 9 else ''},{'Guide' if n % 8 == 7 else ''}"
        for n in range(60)
    )
    + (
        "900,,Nameless,CFO,,,,,,,,,,",
        "901,p1@gmail.com,Again,,,,,,,,,,,",
        ",gone@acme.example,Gus,,,,,,,,,,,",
        ",p2@old.example,Again too,,,,,,,,,,,",
        "902,x@acme.example,X,,,,,,,,,,,",
        "902,y@acme.example,,,,,,,,,,,,",
    )
)  # fmt: skip


@pytest.fixture(params=BOTH)
def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[World]]:
    """Two worlds that are the same."""
    with ExitStack() as stack:
        postgresql = request.param == "postgresql"
        urls = [stack.enter_context(postgresql_url()) if postgresql else sqlite_url(tmp_path) for _ in range(2)]
        yield [World(_opened(stack, url), tmp_path / str(place), changes=CHANGES) for place, url in enumerate(urls)]


def _opened(stack: ExitStack, url: str) -> Database:
    database = Database(url)
    stack.callback(database.dispose)
    return database


def test_asking_once_for_all_who_are_alike_leaves_the_same_rows(worlds: list[World], tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(FILE, encoding="utf-8")
    mapping = tmp_path / "m.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    told = []
    for world, together in zip(worlds, (True, False), strict=True):
        world.rep("rita@northwind.example")
        world.contact("known@old.example", account={"name": "Old", "domain": "old.example", "employees": 51})
        opened = open_contacts(path, world.program, load_mapping(mapping))
        setting = Setting(world.program, RING, "fair", "fair", "hash", world.now)
        newcomers = Newcomers(world.program, setting.origin, world.now) if together else None
        tally = Tally()
        with world.database.write() as connection:
            suppress_address(
                connection, world.program, RING, "gone@acme.example", Scope.ALL, "asked", "test", world.now
            )
            page = understood(opened.reader, list(opened.table.rows()), tally, world.now)
            write_page(connection, page[:40], setting, tally, newcomers)
            write_page(connection, page[40:], setting, tally, newcomers)
        told.append(+tally.counts)

    assert told[0] == told[1]
    assert told[0]["created"] == 63
    assert {run.sequence for run in worlds[0].rows(tables.Enrollment)} == {"nurture", "introduction"}
    assert {row.segment for row in worlds[0].rows(tables.SegmentMember)} == {"seated", "greats", "rich"}
    assert everything(worlds[0]) == everything(worlds[1])


NUMBERED = {"events", "enrollments", "stage_changes", "standings", "timers", "handoffs", "suppressions", "addresses"}
"""Tables whose own keys follow the order of writing, which is not the same."""


def everything(world: World) -> dict[str, list[Any]]:
    """Return every row of every table, runs named by whose they are instead of by number."""
    runs = {run.id: f"{run.contact_id}/{run.sequence}/{run.run}" for run in world.rows(tables.Enrollment)}
    changes = {change.id: f"{change.contact_id}/{change.to_stage}" for change in world.rows(tables.StageChange)}
    found = {}
    for name, model in ((mapper.class_.__tablename__, mapper.class_) for mapper in tables.Base.registry.mappers):
        rows = [dict(row._mapping) for row in world.rows(model)]
        for row in rows:
            if name in NUMBERED:
                row.pop("id", None)
            if name == "timers" and row["kind"] == "enrollment":
                row["subject_id"] = runs[row["subject_id"]]
            if name == "events" and row["kind"].startswith("sequence_"):
                row["external_id"] = runs[int(row["external_id"].rpartition(":")[2])]
            if name == "events" and row["kind"] in ("stage_entered", "stage_left"):
                row["external_id"] = changes[int(row["external_id"].rpartition(":")[2])]
            if name == "events" and row["kind"] == "segment_entered":
                row["external_id"] = "numbered"
        found[name] = sorted((list(row.items()) for row in rows), key=repr)
    return found
