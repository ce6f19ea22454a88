"""Importing contacts, events and suppressions: idempotent, restartable, and never weakening a suppression."""

from __future__ import annotations

import csv
import gc
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nurture.core.mapping import Mapping, Target, parse_expression
from nurture.core.words import Scope
from nurture.db import situations, suppressions, tables
from nurture.errors import ImportFailed, ProgramError, UsageError
from nurture.importing.contacts import import_contacts, open_contacts, understood
from nurture.importing.events import import_events
from nurture.importing.newcomers import situations_of
from nurture.importing.page import Setting, write_people
from nurture.importing.report import ImportReport, Tally
from nurture.importing.run import PAGE
from nurture.importing.wishes import export_suppressions, import_suppressions
from nurture.mail.keys import KeyRing
from nurture.people import suppress_address
from nurture.program.mapping import load_mapping
from tests.databases import Queries
from tests.world import RING, World

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "education-leads"

PEOPLE = """\
Email,First name,Last name,Company,Website,Country
ann@acme.example,Ann,Archer,Acme,https://www.acme.example/,Germany
bob@acme.example,Bob,Baker,ACME,acme.example,
cat@birch.example,Cat,Cooper,Birch,,France
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "people.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def run(world: World, path: Path, mapping: Mapping | None = None, *added: str, **options: Any) -> ImportReport:
    targets = [Target(field, parse_expression(text)) for field, _, text in (each.partition("=") for each in added)]
    opened = open_contacts(path, world.program, mapping, targets, **options)
    return import_contacts(world.database, world.program, RING, opened, world.now)


def rejected(report: ImportReport) -> list[dict[str, str]]:
    if report.rejected is None:
        return []
    with report.rejected.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def everything(world: World) -> dict[str, list[Any]]:
    """Return every row that an import may write."""
    models: Sequence[type[tables.Base]] = (
        tables.Contact, tables.Address, tables.ExternalId, tables.Account, tables.Event, tables.StageChange,
        tables.Suppression, tables.Enrollment, tables.Message, tables.Task, tables.Standing,
    )  # fmt: skip
    return {model.__tablename__: world.rows(model) for model in models}


# --- what becomes of rows ---------------------------------------------------------------------------------------------


def test_rows_become_contacts_with_addresses_accounts_and_events(world: World, file: Callable[..., Path]) -> None:
    report = run(world, file(PEOPLE), source="fair")

    assert (report.rows, report.counts["created"], report.counts["accounts"]) == (3, 3, 2)
    ann, bob, cat = world.rows(tables.Contact)
    assert (ann.first_name, ann.last_name, ann.country, ann.source, ann.stage) == (
        "Ann", "Archer", "Germany", "fair", world.program.lifecycle.start,
    )  # fmt: skip
    assert ann.account_id == bob.account_id != cat.account_id
    assert [(a.name, a.domain) for a in world.rows(tables.Account)] == [("Acme", "acme.example"), ("Birch", None)]
    assert [a.email_key for a in world.rows(tables.Address)] == [
        "ann@acme.example", "bob@acme.example", "cat@birch.example",
    ]  # fmt: skip
    assert {e.kind for e in world.rows(tables.Event, contact_id=ann.id)} >= {"created", "imported"}
    assert [(c.from_stage, c.to_stage) for c in world.rows(tables.StageChange, contact_id=ann.id)] == [(None, "lead")]


def test_new_contacts_enter_the_sequences_of_their_first_stage(world: World, file: Callable[..., Path]) -> None:
    run(world, file(PEOPLE))
    assert [(run.sequence, run.run) for run in world.rows(tables.Enrollment)] == [("nurture", 1)] * 3


def test_a_second_import_changes_nothing(world: World, file: Callable[..., Path]) -> None:
    path = file(PEOPLE)
    run(world, path)
    before = everything(world)
    world.advance(days=0)
    world.now = world.now.replace(hour=11)

    report = run(world, path)

    assert (report.counts["unchanged"], report.counts["created"], report.counts["events"]) == (3, 0, 0)
    after = everything(world)
    assert {name: after[name] for name in ("contacts", "addresses", "accounts", "stage_changes", "suppressions")} == {
        name: before[name] for name in ("contacts", "addresses", "accounts", "stage_changes", "suppressions")
    }
    assert [e for e in after["events"] if e.source in ("import", "people")] == [
        e for e in before["events"] if e.source in ("import", "people")
    ]


def test_what_changed_is_updated_and_told(world: World, file: Callable[..., Path]) -> None:
    run(world, file(PEOPLE))
    world.now = world.now.replace(hour=11)
    report = run(world, file("Email,First name,Last name\nANN@acme.example,Anna,\n", "later.csv"))

    assert report.counts["updated"] == 1
    ann = world.rows(tables.Contact)[0]
    assert (ann.first_name, ann.last_name, ann.country, ann.updated_at) == ("Anna", "Archer", "Germany", world.now)
    (told,) = world.rows(tables.Event, contact_id=ann.id, kind="updated")
    assert told.data["changed"] == ["first_name"]


def test_a_contact_is_found_by_external_id_and_gets_the_further_address(
    world: World, file: Callable[..., Path]
) -> None:
    run(world, file("Id,Email\n7,ann@acme.example\n"), source="crm")
    report = run(world, file("Id,Email\n7,ann@new.example\n", "later.csv"), source="crm")

    assert report.counts["updated"] == 1
    (ann,) = world.rows(tables.Contact)
    assert [(a.email_key, a.contact_id, a.is_primary) for a in world.rows(tables.Address)] == [
        ("ann@acme.example", ann.id, True),
        ("ann@new.example", ann.id, False),
    ]


def test_one_address_a_thousand_times_is_one_contact(world: World, file: Callable[..., Path]) -> None:
    rows = "".join(f"ann@acme.example,Ann {number}\n" for number in range(1000))
    report = run(world, file("Email,First name\n" + rows))

    assert report.rows == 1000
    (ann,) = world.rows(tables.Contact)
    assert ann.first_name == "Ann 999"
    assert len(world.rows(tables.Enrollment)) == 1


def test_an_id_and_an_address_of_two_contacts_reject_the_row(world: World, file: Callable[..., Path]) -> None:
    run(world, file("Id,Email\n1,ann@acme.example\n2,bob@acme.example\n"), source="crm")
    report = run(world, file("Id,Email\n1,bob@acme.example\n", "later.csv"), source="crm")
    assert [row["reason"] for row in rejected(report)] == [
        "its id and its address belong to two different contacts: merge them first"
    ]


def test_every_bad_row_is_told_with_line_and_reason_and_the_others_are_taken(
    world: World, file: Callable[..., Path]
) -> None:
    report = run(
        world,
        file(
            "Email,First name,Owner,Plan\n"
            "ann@acme.example,Ann,,pro\n"
            "nobody,No,,\n"
            ",Nameless,,\n"
            "bob@acme.example,Bob,boss@northwind.example,\n"
            "cat@acme.example,=cmd(),,gold\n"
            "dan@acme.example,Dan\n"
        ),
    )
    assert (report.counts["created"], report.counts["rejected"]) == (1, 5)
    told = rejected(report)
    assert [row["line"] for row in told] == ["3", "4", "5", "6", "7"]
    for row, reason in zip(
        told,
        ("email:", "neither an address nor an id", "no active rep boss@", "plan: 'gold' is not one of", "has 2 cells"),
        strict=True,
    ):
        assert reason in row["reason"]
    assert told[3]["First name"] == "'=cmd()"


def test_rejected_rows_can_be_mended_and_imported(world: World, file: Callable[..., Path]) -> None:
    report = run(world, file("Email,First name\nann,+Ann\n"))
    assert report.rejected is not None
    mended = (
        report.rejected.read_text("utf-8-sig")
        .replace("2,email", "2,mended: email")
        .replace(",ann,", ",ann@acme.example,")
    )
    assert run(world, file(mended, "mended.csv")).counts["created"] == 1
    assert world.row(tables.Contact).first_name == "+Ann"


def test_owners_are_reps(world: World, file: Callable[..., Path]) -> None:
    rita = world.rep()
    run(world, file(f"Email,Owner\nann@acme.example,{rita.email.upper()}\n"))
    assert world.row(tables.Contact).owner_id == rita.id


# --- mappings ---------------------------------------------------------------------------------------------------------


def test_expressions_constants_and_own_fields(world: World, file: Callable[..., Path]) -> None:
    path = file("Number;Label;Tier\n12;Ada Lovelace;PRO\n")
    run(world, path, Mapping(), "email=lead-{Number}@leads.example", "name=Label", "fields.plan=Tier", "country==UK")
    contact = world.row(tables.Contact)
    assert (contact.first_name, contact.last_name, contact.country, contact.fields) == (
        "Ada", "Lovelace", "UK", {"plan": "pro"},
    )  # fmt: skip
    assert world.row(tables.Address).email == "lead-12@leads.example"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("fields.plam=Email", "did you mean 'fields.plan'"),
        ("frist_name=Email", "did you mean 'first_name'"),
        ("first_name=Frist name", "did you mean 'First name'"),
        ("account.industry=Email", "map `account.name` or `account.domain`"),
    ],
)
def test_what_does_not_exist_is_told_before_anything_is_read(
    world: World, file: Callable[..., Path], target: str, told: str
) -> None:
    path = file("Email,First name\nann@acme.example,Ann\n")
    with pytest.raises(UsageError, match=told):
        run(world, path, Mapping((Target("email", parse_expression("Email")),)), target)
    assert world.rows(tables.Contact) == []
    assert world.rows(tables.ImportRun) == []


def test_columns_about_no_company_are_left_out_and_told(world: World, file: Callable[..., Path]) -> None:
    report = run(world, file("Email,Industry,Company size\nann@acme.example,Retail,70\n"))
    assert (report.counts["created"], report.ignored) == (1, ("Industry", "Company size"))
    assert world.rows(tables.Account) == []

    named = run(world, file("Email,Industry,Firm\nann@acme.example,Retail,Acme\n", "n.csv"), None, "account.name=Firm")
    assert named.ignored == ()
    assert world.row(tables.Account).industry == "Retail"


def test_mistakes_of_a_mapping_file_are_told_with_their_lines(world: World, file: Callable[..., Path]) -> None:
    mapping = load_mapping(
        file(
            "kind: mapping\nname: m\nfields:\n  email: Emial\n  first_name: First name\n"
            "events:\n  - {kind: form_submited}\n",
            "m.yaml",
        )
    )
    with pytest.raises(ProgramError) as failed:
        run(world, file("Email,First name\na@b.example,A\n"), mapping)
    assert [(problem.line, problem.hint) for problem in failed.value.problems] == [
        (7, "did you mean 'form_submitted'?"),
        (4, "did you mean 'Email'?"),
    ]


def test_a_table_that_names_nobody_is_refused(world: World, file: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="map `email` or `id`"):
        run(world, file("Colour,Shoe size\nred,42\n"))


def test_value_tables_and_blank_words(world: World, file: Callable[..., Path]) -> None:
    mapping = load_mapping(
        file(
            "kind: mapping\nname: m\nblank: [Select]\nfields:\n  email: E\n  title: T\n"
            "  fields.plan: {from: P, values: {Gold: pro}, otherwise: free}\n",
            "m.yaml",
        )
    )
    run(world, file("E,T,P\na@b.example,select,gold\nb@b.example,Boss,tin\n"), mapping)
    assert [(c.title, c.fields) for c in world.rows(tables.Contact)] == [
        (None, {"plan": "pro"}),
        ("Boss", {"plan": "free"}),
    ]


def test_rows_tell_events_once(world: World, file: Callable[..., Path]) -> None:
    mapping = load_mapping(
        file(
            "kind: mapping\nname: m\nfields:\n  email: E\nevents:\n"
            "  - {kind: content_downloaded, when: {column: D}, at: D, data: {asset: A}}\n"
            "  - {kind: page_viewed, when: {column: A, is: [Guide]}}\n",
            "m.yaml",
        )
    )
    path = file("E,D,A\na@b.example,2026-02-01,Guide\nb@b.example,,Else\nc@b.example,2027-01-01,Guide\n")
    report = run(world, path, mapping)
    run(world, path, mapping)

    (download,) = world.rows(tables.Event, kind="content_downloaded")
    assert (download.at.isoformat(), download.data) == ("2026-02-01T00:00:00+00:00", {"asset": "Guide"})
    (view,) = world.rows(tables.Event, kind="page_viewed")
    assert view.at == world.now
    assert "lies in the future" in rejected(report)[0]["reason"]


# --- suppressions -----------------------------------------------------------------------------------------------------


def wished(world: World) -> list[tuple[str | None, str, str]]:
    return [(row.address, row.scope, row.reason) for row in world.rows(tables.Suppression)]


def test_rows_that_wish_it_are_suppressed_before_anything_begins(world: World, file: Callable[..., Path]) -> None:
    mapping = load_mapping(
        file(
            "kind: mapping\nname: m\nfields:\n  email: E\nsuppressed_when:\n"
            '  - {column: No, is: "Yes", reason: asked_not_to, scope: marketing}\n',
            "m.yaml",
        )
    )
    report = run(world, file("E,No\na@b.example,yes\nb@b.example,No\n"), mapping)

    assert report.counts["suppressed"] == 1
    assert wished(world) == [("a@b.example", "marketing", "asked_not_to")]
    assert [run.contact_id for run in world.rows(tables.Enrollment)] == [world.rows(tables.Contact)[1].id]


def test_an_import_never_weakens_a_suppression(world: World, file: Callable[..., Path]) -> None:
    with world.database.write() as connection:
        suppress_address(
            connection, world.program, RING, "ANN@acme.example", Scope.ALL, "complained", "test", world.now
        )
    run(world, file(PEOPLE))
    run(world, file(PEOPLE + "dan@acme.example,Dan,,,,\n", "later.csv"))

    assert wished(world) == [("ann@acme.example", "all", "complained")]
    ann = world.rows(tables.Contact)[0]
    assert world.rows(tables.Enrollment, contact_id=ann.id) == []


def test_a_suppression_of_an_older_key_holds_for_a_new_address(world: World, file: Callable[..., Path]) -> None:
    with world.database.write() as connection:
        suppress_address(
            connection, world.program, RING, "ann@acme.example", Scope.ALL, "complained", "test", world.now
        )
    ring = KeyRing((("k2", bytes(range(1, 33))), *RING.keys))
    opened = open_contacts(file(PEOPLE), world.program)
    import_contacts(world.database, world.program, ring, opened, world.now)

    with world.database.read() as connection:
        address = world.rows(tables.Address)[0]
        assert address.address_hash.startswith("k2:")
        assert suppressions.by_hashes(connection, [address.address_hash])


def test_suppressing_an_address_ends_its_runs(world: World) -> None:
    contact = world.contact("ann@acme.example")
    with world.database.write() as connection:
        added = suppress_address(
            connection, world.program, RING, "ann@acme.example", Scope.ALL, "asked", "test", world.now
        )
        again = suppress_address(
            connection, world.program, RING, "ann@acme.example", Scope.ALL, "else", "test", world.now
        )
    assert (added, again) == (True, False)
    assert wished(world)[0] == ("ann@acme.example", "all", "asked")
    assert [run.state for run in world.rows(tables.Enrollment, contact_id=contact)] == ["exited"]


def test_suppressions_go_out_and_come_back(world: World, file: Callable[..., Path], tmp_path: Path) -> None:
    path = file(
        "address,scope,reason\nann@acme.example,marketing,=cmd()\nbob,all,x\nCAT@acme.example,,\ndan@x.example,some,\n"
    )
    report = import_suppressions(
        world.database, world.program, RING, path, world.now, scope=Scope.PERSONAL, reason="list"
    )
    assert wished(world) == [
        ("ann@acme.example", "marketing", "=cmd()"),
        ("cat@acme.example", "personal", "list"),
    ]
    assert [row["line"] for row in rejected(report)] == ["3", "5"]

    exported = tmp_path / "out.csv"
    with exported.open("w", newline="") as out:
        assert export_suppressions(world.database, out) == 2
    assert "'=cmd()" in exported.read_text()
    again = import_suppressions(world.database, world.program, RING, exported, world.now)
    assert again.counts["suppressed"] == 0


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_are_imported_once_with_their_data(world: World, file: Callable[..., Path]) -> None:
    contact = world.contact("ann@acme.example")
    path = file(
        "Email,Kind,At,Id,Asset,Pages\n"
        "ann@acme.example,content_downloaded,2026-02-20T10:00:00Z,e1,Guide,3\n"
        "ann@acme.example,content_downloaded,2026-02-20T10:00:00Z,e1,Guide,3\n"
        "who@acme.example,page_viewed,2026-02-20,,,\n"
        "ann@acme.example,page_vieved,2026-02-20,,,\n",
        "events.csv",
    )
    report = import_events(world.database, world.program, path, world.now, source="site")
    import_events(world.database, world.program, path, world.now, source="site")

    (event,) = world.rows(tables.Event, contact_id=contact, kind="content_downloaded")
    assert (event.source, event.external_id, event.data) == ("import:site", "e1", {"asset": "Guide", "pages": 3})
    assert [row["reason"] for row in rejected(report)] == [
        "there is no contact who@acme.example: import contacts first",
        "there is no event kind 'page_vieved'",
    ]


def test_events_without_a_column_for_the_person_are_refused(world: World, file: Callable[..., Path]) -> None:
    with pytest.raises(ImportFailed, match="whom are the events about"):
        import_events(world.database, world.program, file("Kind,At\nclicked,2026-01-01\n"), world.now)


# --- what is known of new contacts ------------------------------------------------------------------------------------

NEWCOMERS = """\
Email,First name,Title,Company,Website,Employees,Country,Owner,Plan,Tech stack
ann@acme.example,Ann,CFO,Acme,acme.example,1200,Germany,rep@northwind.example,pro,SAP; Jira
bob@acme.example,Bob,,ACME,,,,,,
eve@old.example,Eve,Analyst,Old,old.example,,,,free,Excel
gone@acme.example,Gus,,,,,,,,
"""


def test_what_is_known_of_new_contacts_is_what_would_be_loaded(world: World, file: Callable[..., Path]) -> None:
    world.rep("rep@northwind.example")
    run(world, file("Email,Company,Website,Employees\nold@old.example,Old Inc,old.example,70\n", "old.csv"))
    with world.database.write() as connection:
        suppress_address(connection, world.program, RING, "gone@acme.example", Scope.ALL, "asked", "test", world.now)
    opened = open_contacts(file(NEWCOMERS), world.program)
    setting = Setting(world.program, RING, "fair", "fair", "hash", world.now)

    with world.database.write() as connection:
        rows, tally = list(opened.table.rows()), Tally()
        new, _, _ = write_people(connection, understood(opened.reader, rows, tally, world.now), setting, tally)
        known = situations_of(connection, new, world.program.lifecycle, setting.origin, world.now)
        loaded = situations.load(connection, known.keys(), world.program.lifecycle.memory, world.now)

    assert not tally.bad
    assert [known[key].contact.first_name for key in sorted(known)] == ["Ann", "Bob", "Eve", "Gus"]
    assert known == loaded


# --- long files -------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_import_goes_on_where_it_stopped(world: World, file: Callable[..., Path]) -> None:
    rows = [
        f"person{number}@acme.example,Person" if number % 100 else f"broken {number}," for number in range(3 * PAGE)
    ]
    path = file("Email,First name\n" + "\n".join(rows) + "\n")
    opened = open_contacts(path, world.program)

    def kill(done: int, total: int) -> None:
        if world.rows(tables.Contact):
            raise Killed

    with pytest.raises(Killed):
        import_contacts(world.database, world.program, RING, opened, world.now, progress=kill)
    begun = world.row(tables.ImportRun)
    assert 0 < begun.rows_done < 3 * PAGE

    report = import_contacts(world.database, world.program, RING, opened, world.now)
    assert (report.resumed_at, report.rows) == (begun.rows_done, 3 * PAGE)
    broken = 3 * PAGE // 100
    assert (report.counts["created"], report.counts["rejected"]) == (3 * PAGE - broken, broken)
    assert [row["line"] for row in rejected(report)] == [str(2 + 100 * number) for number in range(broken)]


def test_the_number_of_statements_does_not_depend_on_the_rows(
    world: World, file: Callable[..., Path], queries: Callable[[], AbstractContextManager[Queries]]
) -> None:
    def statements(count: int, name: str) -> int:
        rows = "".join(f"{name}{n}@acme.example,Ann,Acme {name} {n}\n" for n in range(count))
        path = file(f"Email,First name,Company\n{rows}", f"{name}.csv")
        with queries() as counter:
            run(world, path)
        return counter.count

    assert statements(10, "few") == statements(1000, "many")


def test_an_import_leaves_no_cycles_that_keep_its_pages(world: World, file: Callable[..., Path]) -> None:
    for name in ("first", "second"):  # what is made once and for all is made by the first
        rows = "".join(f"{name}{n}@acme.example,Ann,Acme {n}\n" for n in range(20))
        opened = open_contacts(file(f"Email,First name,Company\n{rows}", f"{name}.csv"), world.program)
        gc.collect()
        gc.disable()
        try:
            import_contacts(world.database, world.program, RING, opened, world.now)
            left = gc.collect()
        finally:
            gc.enable()
    assert left < 20


def test_real_leads_import_completely(world: World, tmp_path: Path) -> None:
    given = os.environ.get("NURTURE_TEST_LEADS_CSV")
    if not given:
        pytest.skip("NURTURE_TEST_LEADS_CSV names no file: the import of real leads is NOT tested")
    leads = Path(given)
    program = world.apply({"leads.fields.yaml": (EXAMPLE / "leads.fields.yaml").read_text("utf-8")})
    mapping = load_mapping(EXAMPLE / "mapping.yaml")
    opened = open_contacts(leads, program, mapping, rejected=tmp_path / "rejected.csv")
    report = import_contacts(world.database, program, RING, opened, world.now)
    with leads.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))

    assert report.rows == len(rows) == report.counts["created"] + report.counts["rejected"]
    assert Counter(row.reason for row in world.rows(tables.Suppression)) == _wishes(rows)
    again = import_contacts(world.database, program, RING, replace(opened), world.now)
    assert again.counts["unchanged"] == len(rows)
    assert again.counts["events"] == 0


def _wishes(rows: Sequence[dict[str, str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        activities = {row["Last Activity"], row["Last Notable Activity"]}
        if "Email Bounced" in activities:
            found["hard_bounce"] += 1
        elif row["Do Not Email"] == "Yes":
            found["asked_not_to"] += 1
        found["unsubscribed"] += "Unsubscribed" in activities
    return found
