"""Real leads, exported from somebody's CRM: they are imported, and live through thirty days."""

from __future__ import annotations

import csv
import email
import email.policy
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from nurture import why
from nurture.db.tables import Base, ImportRun
from nurture.deciding import Policy
from tests.e2e.conftest import Company

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "education-leads"
MONDAY = "2026-03-02T08:00:00Z"
UNTIL = datetime(2026, 4, 1, 8, tzinfo=UTC)

PARTS = [pytest.param(40, id="a-fortieth"), pytest.param(1, id="all", marks=pytest.mark.soak)]
"""The suite takes every fortieth lead; `make soak` takes all of them."""

MONTHS = ["sqlite", pytest.param("postgresql", marks=[pytest.mark.pg, pytest.mark.soak])]
"""A month is some ten thousand statements: on PostgreSQL, too, in `make soak`."""

Row = dict[str, str]


@pytest.fixture(params=PARTS)
def leads(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Every n-th lead of the real export, and two rows that nobody can use."""
    given = os.environ.get("NURTURE_TEST_LEADS_CSV")
    if not given:
        pytest.skip("NURTURE_TEST_LEADS_CSV names no file: the life of real leads is NOT tested")
    lines = Path(given).read_text("utf-8").splitlines(keepends=True)
    assert not any(line.count('"') % 2 for line in lines), "a row goes over several lines: cut it with csv"
    header, rows = lines[0], lines[1 :: request.param]
    nobody = rows[0].replace(_number(rows[0]), "no number", 1)
    part = tmp_path / "leads.csv"
    part.write_text("".join([header, *rows, nobody, "cut off,66"]), encoding="utf-8")
    return part


@pytest.fixture
def school(tmp_path: Path, database_url: str) -> Company:
    """A company with the leads' own fields, whose program lives in a rehearsal that begins on a Monday."""
    folder = tmp_path / "company"
    made = Company(folder, f"sqlite:///{folder / 'nurture.db'}")
    made("init", folder)
    made.file("leads.fields.yaml", (EXAMPLE / "leads.fields.yaml").read_bytes())
    made("apply")
    made("rehearse", "--to", database_url, "--at", MONDAY)
    made.url = database_url
    return made


def test_every_lead_is_a_contact_or_a_rejected_row(leads: Path, school: Company) -> None:
    rows = read(leads)
    said = imported(school, leads)

    rejected = read(Path(said["rejected_file"]))
    assert said["rows"] == len(rows) == said["created"] + said["rejected"]
    assert [row["line"] for row in rejected] == [str(len(rows)), str(len(rows) + 1)]
    assert "no number" in rejected[0]["reason"]
    assert "2 cells" in rejected[1]["reason"]
    known = {address for (address,) in school.ask("SELECT email_key FROM addresses")}
    assert known == {address(row) for row in rows[:-2]}


def test_their_wishes_are_suppressions_of_the_right_reason(leads: Path, school: Company) -> None:
    imported(school, leads)
    stored = school.ask("SELECT address, scope, reason FROM suppressions")
    assert Counter(stored) == Counter(wish for row in read(leads)[:-2] for wish in wishes(row))
    assert {reason for _, _, reason in stored} == {"hard_bounce", "asked_not_to", "unsubscribed"}


def test_a_second_import_changes_nothing(leads: Path, school: Company) -> None:
    imported(school, leads)
    school("run", "--once", "--at", "2026-03-02T08:05:00Z")  # time goes on: whatever an import touched would show
    before = dump(school)
    assert before["contacts"]
    again = imported(school, leads)

    assert again["unchanged"] == again["rows"] - 2
    assert again["rejected"] == 2
    assert sum(again[name] for name in ("created", "updated", "suppressed", "events", "accounts")) == 0
    assert dump(school) == before


def test_scores_are_joined_by_the_id_of_the_owners_system(leads: Path, school: Company) -> None:
    imported(school, leads)
    shutil.copytree(EXAMPLE / "sequences", school.folder / "definitions")
    ranks = {}
    for lifecycle in ("trained", "by-hand"):
        out = school.folder / f"{lifecycle}.csv"
        school("score", "export", "--csv", out, "--lifecycle", school.folder / "definitions" / f"{lifecycle}.yaml")
        ranks[lifecycle] = {row["external_id"]: float(row["rank_score"]) for row in read(out)}
    converted = {row["Prospect ID"]: row["Converted"] == "1" for row in read(leads)[:-2]}
    for rank in ranks.values():
        assert rank.keys() == converted.keys()
        best = sorted(rank, key=lambda key: -rank[key])[: len(rank) // 5]
        assert sum(converted[key] for key in best) > len(best) * 0.6
    assert ranks["trained"] != ranks["by-hand"]


@pytest.mark.parametrize("database_url", MONTHS, indirect=True)
def test_a_month_passes_and_nobody_is_written_to_against_their_will(leads: Path, school: Company) -> None:
    imported(school, leads)
    school("run", "--until", UNTIL.isoformat())

    mails = outbox(school)
    written_to = {mail["To"].addresses[0].addr_spec for mail in mails}
    suppressed = {address for (address,) in school.ask("SELECT address FROM suppressions")}
    assert len(suppressed) > 10
    assert not written_to & suppressed

    every = {address for (address,) in school.ask("SELECT email_key FROM addresses")}
    assert written_to <= every
    assert len(written_to) > len(every) * 0.8
    assert_one_for_each_origin(school, mails)
    assert_explained(school, every - written_to)
    assert school.lost() == []


def assert_one_for_each_origin(school: Company, mails: list[EmailMessage]) -> None:
    """Each mail was sent once: by the database, by its Message-ID, and by what the contact sees."""
    assert len(mails) == school.states()["accepted"]
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)
    twice = Counter((mail["To"], mail["Subject"]) for mail in mails)
    assert [seen for seen, times in twice.items() if times > 1] == []
    origins = school.ask(
        "SELECT count(*), count(DISTINCT m.origin_key) FROM messages m JOIN enrollments e ON e.id = m.enrollment_id "
        "GROUP BY e.contact_id, e.sequence, e.run, m.step_id HAVING count(*) > 1"
    )
    assert origins == []


def assert_explained(school: Company, addresses: set[str]) -> None:
    """Whoever got nothing: `nurture why` says what keeps them, and names the suppression of those who have one."""
    assert addresses
    keys = school.ask("SELECT email_key, contact_id FROM addresses")
    suppressed = {address for (address,) in school.ask("SELECT address FROM suppressions")}
    with school.reading() as connection:
        for key, contact in keys:
            if key not in addresses:
                continue
            said = why.explain(connection, contact, Policy(), UNTIL)
            assert said.reasons or said.next, key
            if key in suppressed:
                assert any(reason.startswith("suppressed for ") for reason in said.reasons), (key, said.reasons)
    assert "suppressed for" in school("why", min(addresses & suppressed)).out


def imported(school: Company, leads: Path) -> dict[str, Any]:
    """Import the leads with the mapping file; return what was said."""
    said = school("contacts", "import", leads, "--mapping", EXAMPLE / "mapping.yaml", "--json").json
    return dict(said)


def read(path: Path) -> list[Row]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def address(row: Row) -> str:
    """Return the address that the mapping makes."""
    return f"lead-{row['Lead Number']}@leads.example"


def wishes(row: Row) -> Iterator[tuple[str, str, str]]:
    """Yield the suppressions that a lead must have: a bounce says more than a wish, unsubscribing is its own scope."""
    activities = {row["Last Activity"], row["Last Notable Activity"]}
    if "Email Bounced" in activities:
        yield address(row), "all", "hard_bounce"
    elif row["Do Not Email"] == "Yes":
        yield address(row), "all", "asked_not_to"
    if "Unsubscribed" in activities:
        yield address(row), "marketing", "unsubscribed"


def dump(school: Company) -> dict[str, list[str]]:
    """Return every row of every table, but for the book of imports, which notes that there was another one."""
    with school.reading() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in Base.metadata.sorted_tables
            if table is not ImportRun.__table__
        }


def outbox(school: Company) -> list[EmailMessage]:
    """Return every mail that was written."""
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in school.mails()]  # type: ignore[misc]


def _number(line: str) -> str:
    return line.split(",")[1]
