"""`nurture handoffs` and `nurture reps`: who takes what marketing hands over, and what they say to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import Shell

TEAM = """\
name,email,time_zone,country,region,hours,territory,most_open_handoffs
Bo Li,bo@example.com,America/New_York,US,,,US;CA,5
Ada Lovelace,ada@example.com,Europe/Berlin,de,BY,"mon-thu 08:00-12:00, 13:00-17:00; fri 08:00-13:00",,
"""


def test_a_team_is_imported_shown_and_changed(office: Shell) -> None:
    assert "1 reps added, 1 changed." in office("reps", "import", office.file("team.csv", TEAM)).out
    ada, bo = office("reps", "list", "--json").json
    assert (ada["country"], ada["hours"]) == ("DE", "mon-thu 08:00-12:00, 13:00-17:00; fri 08:00-13:00")
    assert (bo["territory"], bo["most_open_handoffs"], bo["now"]) == (["US", "CA"], 5, "is free")
    office("reps", "set", "bo@example.com", "--handoffs-per-day", "3", "--inactive", "--hours", "usual")
    shown = office("reps", "show", "bo@example.com").out
    assert "not active" in shown
    assert "as the company" in shown


def test_an_import_of_reps_takes_all_rows_or_none(office: Shell) -> None:
    bad = TEAM + "Cy,cy@example.com,Mars/Crater,,,,,\nDee,dee@example.com,,XX,,,,\n,x@example.com,,,,,,\n"
    err = office("reps", "import", office.file("team.csv", bad), code=1).err
    assert "line 4: there is no time zone 'Mars/Crater'" in err
    assert "line 5: there are no public holidays for 'XX'" in err
    assert "line 6: has no name" in err
    assert [rep["email"] for rep in office("reps", "list", "--json").json] == ["ada@example.com"]


def test_time_off_is_added_listed_and_removed(office: Shell) -> None:
    added = office("reps", "time-off", "add", "ada@example.com", "2026-03-04", "2026-03-06", "--json").json
    assert office("reps", "list", "--json").json[0]["now"] == "is away until 2026-03-09"
    (listed,) = office("reps", "time-off", "list", "--json").json
    assert (listed["id"], listed["first_day"], listed["last_day"]) == (added["id"], "2026-03-04", "2026-03-06")
    again = office("reps", "time-off", "add", "ada@example.com", "2026-03-04", "2026-03-06", code=2)
    assert "has 2026-03-04 to 2026-03-06 off already" in again.err
    office("reps", "time-off", "remove", str(added["id"]))
    assert "no time off 1" in office("reps", "time-off", "remove", "1", code=1).err
    assert "lies before" in office("reps", "time-off", "add", "ada@example.com", "2026-03-06", "2026-03-04", code=2).err


def test_values_that_are_not_right_are_named(office: Shell) -> None:
    for words, what in (
        (["--hours", "whenever"], "write days and times"),
        (["--region", "BY"], "--country"),
        (["--time-zone", "Berlin"], "there is no time zone 'Berlin'"),
        ([], "say what to change"),
    ):
        assert what in office("reps", "set", "ada@example.com", *words, code=2).err
    assert "there is no rep bo@example.com" in office("reps", "set", "bo@example.com", "--inactive", code=1).err


def test_a_rep_sees_and_accepts_a_handoff(office: Shell) -> None:
    (waiting,) = office("handoffs", "list", "--json").json
    assert (waiting["email"], waiting["rep"]) == ("ann@acme.example", "ada@example.com")
    shown = office("handoffs", "show", "1").out
    assert "owns the contact" in shown
    assert "core industry" in shown
    assert "Handoff 1 is accepted: the contact is Ada Lovelace's." in office("handoffs", "accept", "1").out
    assert "was accepted by ada@example.com" in office("handoffs", "accept", "1", code=1).err
    assert "No open handoff." in office("handoffs", "list").out


def test_a_rep_rejects_for_a_reason_and_the_report_knows(office: Shell, stored: Callable[[str], list[Any]]) -> None:
    assert (
        "it has bad_fit, no_budget, not_now, wrong_person"
        in office("handoffs", "reject", "1", "--reason", "x", code=2).err
    )
    told = office("handoffs", "reject", "1", "--reason", "not_now", "--note", "frozen", "--json").json
    assert (told["stage"], told["until"]) == ("lead", "2026-06-02T12:00:00Z")
    assert stored("SELECT stage, barred_why FROM contacts WHERE id = 1") == [("lead", "not_now")]
    report = office("report", "handoffs", "--json").json
    assert (report["total"]["rejected"], report["reasons"]) == (1, {"not_now": 1})
    header, total, *rest = office("report", "handoffs", "--csv").out.splitlines()
    assert header.startswith("group,name,opened,accepted,rejected")
    assert total == "total,all,1,0,1,0,0,1,0,,1.0,not_now 1"
    assert any(line.startswith("fit rule,core industry,1,0,1") for line in rest)
    assert "not_now 1" in office("report", "handoffs").out


def test_a_rep_returns_a_contact_for_a_while(office: Shell) -> None:
    told = office("handoffs", "return", "1", "--until", "30 days", "--reason", "after the fair", "--json").json
    assert (told["stage"], told["until"]) == ("lead", "2026-04-03T12:00:00Z")
    assert "is past" in office("handoffs", "return", "1", "--until", "2020-01-01", code=2).err
    office("run", "--until", "2026-04-04T00:00:00Z")
    assert [row["state"] for row in office("handoffs", "list", "--all", "--json").json].count("open") == 1


def test_doctor_says_that_contacts_wait_for_a_rep(office: Shell) -> None:
    office("reps", "set", "ada@example.com", "--inactive")
    office("run", "--once")
    found = office("doctor", code=1).out
    assert "1 contacts wait for sales, and there is no rep" in found
