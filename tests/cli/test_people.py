"""Commands about people: contacts, reps, events and suppressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import Shell

Ask = Callable[[str], list[Any]]


def test_contacts_are_imported_and_the_guess_is_told(nurture: Shell, stored: Ask) -> None:
    file = nurture.file("people.csv", "E-Mail;First Name;Shoe\nann@acme.example;Ann;42\nbroken;B;43\n")
    said = nurture("contacts", "import", file)

    assert "email = {E-Mail}" in said.err
    assert "not read: Shoe" in said.err
    assert "people.csv.rejected.csv" in said.out
    assert stored("SELECT first_name, source FROM contacts") == [("Ann", "people")]


def test_an_import_tells_programs_what_became_of_it(nurture: Shell) -> None:
    file = nurture.file("people.csv", "Mail,Number\nx,7\n")
    said = nurture(
        "contacts", "import", file, "--map", "email=lead-{Number}@leads.example", "--source", "old", "--json"
    )
    assert {name: said.json[name] for name in ("rows", "created", "source", "rejected_file")} == {
        "rows": 1, "created": 1, "source": "old", "rejected_file": None,
    }  # fmt: skip
    assert (
        nurture("contacts", "import", file, "--map", "email=lead-{Number}@leads.example", "--json").json["unchanged"]
        == 1
    )


def test_a_mapping_file_is_read(nurture: Shell, stored: Ask) -> None:
    mapping = nurture.file(
        "m.yaml", "kind: mapping\nname: m\nsource: fair\nfields: {email: Adresse, first_name: Wer}\n"
    )
    nurture("contacts", "import", nurture.file("p.csv", "Wer;Adresse\nAnn;ann@acme.example\n"), "--mapping", mapping)
    assert stored("SELECT first_name, source FROM contacts") == [("Ann", "fair")]


def test_mistakes_are_one_clear_line_each(nurture: Shell) -> None:
    file = nurture.file("people.csv", "Email\nann@acme.example\n")
    said = nurture("contacts", "import", file, "--map", "frist_name=Email", code=2)
    assert said.err.splitlines()[-1] == "error: there is no field 'frist_name', did you mean 'first_name'?"
    assert "write field=column" in nurture("contacts", "import", file, "--map", "email", code=2).err
    assert "PDF" in nurture("contacts", "import", nurture.file("x.csv", "%PDF-1.4"), code=1).err
    assert "cannot be read" in nurture("contacts", "import", "nowhere.csv", code=1).err
    assert (
        "m.yaml:3:"
        in nurture(
            "contacts",
            "import",
            file,
            "--mapping",
            nurture.file("m.yaml", "kind: mapping\nname: m\nfilds: {}\n"),
            code=1,
        ).err
    )


def test_reps_have_a_mailbox_of_their_own(nurture: Shell, stored: Ask) -> None:
    nurture("reps", "add", "--name", "Ada Lovelace", "--email", "Ada@Example.com", "--signature", r"Ada\nExample")
    nurture("reps", "add", "--name", "Ada King", "--email", "ada@example.com", "--time-zone", "Europe/London")

    assert stored("SELECT name, email, signature, time_zone FROM reps") == [
        ("Ada King", "ada@example.com", "Ada\nExample", "Europe/London")
    ]
    assert stored("SELECT voice, address, display_name, provider FROM senders WHERE rep_id IS NOT NULL") == [
        ("personal", "ada@example.com", "Ada King", "outbox")
    ]
    (rep,) = nurture("reps", "list", "--json").json
    assert (rep["name"], rep["contacts"]) == ("Ada King", 0)
    assert "Ada King" in nurture("reps", "list").out


def test_a_rep_needs_an_address_a_name_and_a_real_zone(nurture: Shell) -> None:
    assert "is no address" in nurture("reps", "add", "--name", "A", "--email", "ada", code=2).err
    assert (
        "time zone" in nurture("reps", "add", "--name", "A", "--email", "a@b.example", "--time-zone", "X", code=2).err
    )
    assert (
        "cannot stand in a mail" in nurture("reps", "add", "--name", "A\nBcc: x", "--email", "a@b.example", code=2).err
    )


def test_an_event_is_recorded_once_per_id(nurture: Shell, stored: Ask) -> None:
    nurture("contacts", "import", nurture.file("people.csv", "Email\nann@acme.example\n"))
    words = ("events", "record", "Ann@acme.example", "content_downloaded", "--data", "asset=Guide", "--data", "pages=3")
    moment = ("--at", "2026-01-02T09:00:00Z", "--id", "d1")

    assert nurture(*words, *moment, "--json").json["added"]
    assert "Known already" in nurture(*words, *moment).out
    assert stored("SELECT data FROM events WHERE external_id = 'd1'") == [('{"asset":"Guide","pages":3}',)]


def test_what_cannot_be_recorded_is_told(nurture: Shell) -> None:
    nurture("contacts", "import", nurture.file("people.csv", "Email\nann@acme.example\n"))
    assert "no contact" in nurture("events", "record", "who@acme.example", "clicked", code=1).err
    assert "did you mean 'clicked'" in nurture("events", "record", "ann@acme.example", "clickd", code=2).err
    assert "future" in nurture("events", "record", "ann@acme.example", "clicked", "--at", "2100-01-01", code=2).err
    assert "key=value" in nurture("events", "record", "ann@acme.example", "clicked", "--data", "x", code=2).err


def test_events_come_from_a_file(nurture: Shell, stored: Ask) -> None:
    nurture("contacts", "import", nurture.file("people.csv", "Email\nann@acme.example\n"))
    file = nurture.file("events.csv", "email,kind,at\nann@acme.example,event_attended,2026-01-02\n")
    assert nurture("events", "import", file, "--source", "webinar", "--json").json["events"] == 1
    assert stored("SELECT source FROM events WHERE kind = 'event_attended'") == [("import:webinar",)]


def test_suppressions_are_added_listed_and_exported(nurture: Shell, stored: Ask) -> None:
    assert nurture("suppressions", "add", "Ann@acme.example", "--reason", "by phone", "--json").json["added"]
    assert "already" in nurture("suppressions", "add", "ann@acme.example").out
    file = nurture.file("list.csv", "email,reason\nbob@acme.example,old system\n")
    assert nurture("suppressions", "import", file, "--scope", "marketing", "--json").json["suppressed"] == 1

    listed = nurture("suppressions", "list", "--json").json
    assert listed["counts"] == {"all": 1, "marketing": 1}
    assert [row["address"] for row in listed["suppressions"]] == ["bob@acme.example", "ann@acme.example"]
    assert "ann@acme.example" in nurture("suppressions", "list").out
    header, first, *_ = nurture("suppressions", "export").out.splitlines()
    assert header.replace(",", ", ") in " ".join(nurture("suppressions", "export", "--help").out.split())
    assert first.startswith("ann@acme.example,k1:")
    nurture("suppressions", "export", nurture.folder / "out.csv")
    assert "bob@acme.example" in (nurture.folder / "out.csv").read_text()


def test_a_rehearsal_lives_in_its_own_time(nurture: Shell, stored: Ask) -> None:
    from datetime import UTC, datetime

    from nurture.db import instance
    from nurture.db.session import Database

    database = Database(f"sqlite:///{nurture.folder / 'nurture.db'}")
    with database.write() as connection:
        instance.make_rehearsal(connection, datetime(2026, 3, 2, 9, tzinfo=UTC))
    database.dispose()
    nurture("contacts", "import", nurture.file("people.csv", "Email\nann@acme.example\n"))
    assert stored("SELECT created_at FROM contacts") == [("2026-03-02 09:00:00.000000",)]


def test_a_contact_is_enrolled_by_hand(nurture: Shell, stored: Ask) -> None:
    nurture("contacts", "import", nurture.file("people.csv", "email\nann@acme.example\n"))
    said = nurture("contacts", "enroll", "ann@acme.example", "lead-education", "--reason", "met at the fair")
    assert "ann@acme.example is in lead-education, run 1." in said.out
    found = stored("SELECT run, enroll_reason FROM enrollments WHERE sequence = 'lead-education'")
    assert found == [(1, "met at the fair")]


def test_who_cannot_be_enrolled_is_told_why(office: Shell) -> None:
    said = office("contacts", "enroll", "ann@acme.example", "lead-welcome", code=1)
    assert "lead-welcome does not take this contact" in said.err
    assert "there is no sequence 'welcome'" in office("contacts", "enroll", "ann@acme.example", "welcome", code=1).err


def test_wishes_can_be_brought_before_anything_is_applied(bare: Shell) -> None:
    bare("init", bare.folder)
    gone = bare.file("gone.csv", "email\nann@acme.example\n")
    assert bare("suppressions", "import", gone, "--json").json["suppressed"] == 1
    bare("suppressions", "add", "bob@acme.example")
    assert bare("suppressions", "list", "--json").json["counts"] == {"all": 2}
