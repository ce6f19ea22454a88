"""`nurture messages`: what was written can be shown again, and what nobody knows is settled by a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Shell

Ask = Callable[[str], list[Any]]


@pytest.fixture
def welcome(office: Shell) -> int:
    """The number of the marketing mail to Cy."""
    (line,) = office("messages", "list", "--contact", "cy@tiny.example", "--json").json
    return int(line["id"])


def test_messages_are_listed_by_state_and_contact(office: Shell) -> None:
    every = office("messages", "list", "--json").json
    assert sorted(line["to_address"] for line in every) == ["ann@acme.example", "bob@acme.example", "cy@tiny.example"]
    waiting = office("messages", "list", "--state", "awaiting_approval", "--json").json
    assert [line["voice"] for line in waiting] == ["personal"]
    (mine,) = office("messages", "list", "--contact", "Bob@acme.example", "--json").json
    assert (mine["state"], mine["sequence"]) == ("accepted", "lead-welcome")
    assert len(office("messages", "list", "--limit", "1", "--json").json) == 1
    assert "cy@tiny.example" in office("messages", "list").out
    assert "no contact" in office("messages", "list", "--contact", "eve@acme.example", code=1).err


def test_the_list_tells_the_message_id_that_the_provider_knows(office: Shell, welcome: int, stored: Ask) -> None:
    ((ours,),) = stored(f"SELECT message_id_header FROM messages WHERE id = {welcome}")
    (line,) = office("messages", "list", "--contact", "cy@tiny.example", "--json").json
    (sent,) = [p for p in office.folder.rglob("*.eml") if b"To: Cy Dent" in p.read_bytes()]
    assert line["message_id"] == ours
    assert f"Message-ID: {ours}".encode() in sent.read_bytes()
    assert ours not in office("messages", "list").out
    stored(f"UPDATE messages SET state = 'ambiguous', sent_at = NULL WHERE id = {welcome}")
    assert ours in office("messages", "list", "--state", "ambiguous").out
    stored(f"UPDATE messages SET wire_id = '<theirs@example>' WHERE id = {welcome}")
    assert "<theirs@example>" in office("messages", "list", "--state", "ambiguous").out


def test_a_message_shows_the_decisions_about_it(office: Shell, welcome: int) -> None:
    found = office("messages", "show", str(welcome), "--json").json
    (decision,) = found["decisions"]
    assert decision["outcome"] == "send"
    assert re.fullmatch(r"sequences/leads/welcome\.yaml:\d+", decision["rule"])
    assert decision["checks"][0] == {
        "gate": "program",
        "passed": True,
        "reason": "",
        "inputs": decision["checks"][0]["inputs"],
    }
    assert decision["rule"] in office("messages", "show", str(welcome)).out
    assert "no message 99" in office("messages", "show", "99", code=1).err


def test_marketing_mail_is_rendered_again_and_is_the_same_to_the_byte(office: Shell, welcome: int) -> None:
    said = office("messages", "show", str(welcome), "--eml")
    (sent,) = [p for p in office.folder.rglob("*.eml") if b"To: Cy Dent" in p.read_bytes()]
    assert said.out.encode() == sent.read_bytes().replace(b"\r\n", b"\n")
    assert "the same as what was sent" in said.err
    assert office("messages", "show", str(welcome), "--eml", "--json").json["same"] is True


def test_it_is_rendered_from_what_it_kept_and_not_from_what_is_applied_by_now(
    office: Shell, welcome: int, stored: Ask
) -> None:
    text = office.folder / "templates" / "leads" / "welcome.txt"
    text.write_text(text.read_text().replace("Thank you", "Many thanks"))
    office("apply")
    stored("UPDATE contacts SET account_id = NULL, country = NULL")
    assert "the same as what was sent" in office("messages", "show", str(welcome), "--eml").err


def test_a_mail_that_comes_out_differently_says_so(office: Shell, welcome: int, stored: Ask) -> None:
    stored("UPDATE contacts SET first_name = 'Cynthia' WHERE first_name = 'Cy'")
    said = office("messages", "show", str(welcome), "--eml", code=1)
    assert "not the same as what was sent" in said.err
    assert "To: Cynthia Dent" in said.out


def test_personal_mail_is_shown_as_it_was_stored(office: Shell) -> None:
    (line,) = office("messages", "list", "--state", "awaiting_approval", "--json").json
    key = str(line["id"])
    said = office("messages", "show", key, "--eml")
    assert "not sent yet" in said.err
    assert f"Subject: {line['subject']}" in said.out
    office("approvals", "approve", key)
    office("run", "--until", "2026-03-05T12:00:00Z")
    assert "the same as what was sent" in office("messages", "show", key, "--eml").err
    assert line["subject"] in office("messages", "show", key).out


def test_mail_that_was_redirected_is_recognized(bare: Shell, made: Any, stored: Ask) -> None:
    import shutil

    shutil.copytree(made, bare.folder)
    settings = bare.folder / "nurture.toml"
    settings.write_text(settings.read_text() + '\n[safety]\nredirect_all_to = "stage@example.com"\n')
    always = bare.folder / "sequences" / "leads" / "welcome.yaml"
    always.write_text(re.sub(r"(?m)^window:.*$", "window: always", always.read_text()))
    bare("apply")
    bare("contacts", "import", bare.file("p.csv", "Email,First name,Company\ncy@tiny.example,Cy,Tiny\n"))
    stored("UPDATE timers SET due_at = '2026-01-01 00:00:00.000000'")
    bare("run", "--once")
    stored("UPDATE timers SET due_at = '2026-01-01 00:00:00.000000'")
    bare("run", "--once")
    (line,) = bare("messages", "list", "--json").json
    said = bare("messages", "show", str(line["id"]), "--eml")
    assert "redirected to stage@example.com" in said.err
    assert "Subject: [to cy@tiny.example]" in said.out


def test_what_nobody_knows_is_settled_by_a_person(office: Shell, welcome: int, stored: Ask) -> None:
    stored(f"UPDATE messages SET state = 'ambiguous', sent_at = NULL WHERE id = {welcome}")
    assert "--yes" in office("messages", "settle", str(welcome), "--sent", code=2).err
    assert "--sent, --not-sent or --resend" in office("messages", "settle", str(welcome), code=2).err
    assert "say which" in office("messages", "settle", "--sent", code=2).err
    office("messages", "settle", str(welcome), "--sent", "--yes")
    assert stored(f"SELECT state, reason FROM messages WHERE id = {welcome}") == [
        ("settled_sent", "settled as sent by a person")
    ]
    again = office("messages", "settle", str(welcome), "--sent", "--yes", code=1)
    assert "only an ambiguous one is settled" in again.err


def test_doctor_says_what_to_do_about_it_from_the_first_minute(office: Shell, welcome: int, stored: Ask) -> None:
    today = "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"
    stored(f"UPDATE messages SET state = 'ambiguous', sent_at = NULL, dispatching_at = {today} WHERE id = {welcome}")
    told = office("doctor", "--json", code=1).json["findings"]  # its timer is missing, too
    assert [each["state"] for each in told if each["name"] == "ambiguous messages"] == ["ok"]
    assert "`nurture messages list --state ambiguous` names them" in office("doctor", code=1).out


def test_what_was_not_sent_is_sent_again(office: Shell, welcome: int, stored: Ask) -> None:
    stored(f"UPDATE messages SET state = 'ambiguous', sent_at = NULL WHERE id = {welcome}")
    settled = office("messages", "settle", str(welcome), "--not-sent", "--yes", "--json").json
    assert settled == {"settled": [welcome], "as": "not_sent", "new": []}
    assert stored(f"SELECT kind FROM timers WHERE subject_id = {welcome} AND kind = 'message'") == [("message",)]


def test_nothing_is_settled_when_one_of_them_cannot_be(office: Shell, welcome: int, stored: Ask) -> None:
    stored(f"UPDATE messages SET state = 'ambiguous', sent_at = NULL WHERE id = {welcome}")
    office("messages", "settle", str(welcome), "99", "--sent", "--yes", code=1)
    assert stored(f"SELECT state FROM messages WHERE id = {welcome}") == [("ambiguous",)]


def test_all_of_a_sender_are_settled_together(office: Shell, welcome: int, stored: Ask) -> None:
    stored("UPDATE messages SET state = 'ambiguous', sent_at = NULL WHERE voice = 'marketing' AND state = 'accepted'")
    count = len(stored("SELECT id FROM messages WHERE state = 'ambiguous'"))
    assert (
        "there is no sender 'nobody'"
        in office("messages", "settle", "--all", "--sender", "nobody", "--sent", "--yes", code=1).err
    )
    asked = office("messages", "settle", "--all", "--sender", "newsletter", "--not-sent", code=2).err
    assert f"{count} messages as not sent? They are sent again." in asked
    office("messages", "settle", "--all", "--sender", "newsletter", "--sent", "--yes")
    assert stored("SELECT id FROM messages WHERE state = 'ambiguous'") == []


def test_what_is_resent_is_a_new_message(office: Shell, welcome: int, stored: Ask) -> None:
    stored(f"UPDATE messages SET state = 'ambiguous', sent_at = NULL WHERE id = {welcome}")
    assert "Whoever has it already gets it twice" in office("messages", "settle", str(welcome), "--resend", code=2).err
    said = office("messages", "settle", str(welcome), "--resend", "--yes", "--json").json
    assert (said["settled"], said["as"]) == ([welcome], "resent")
    assert stored(f"SELECT origin_key, state FROM messages WHERE id = {said['new'][0]}") == [
        (f"resend:{welcome}:1", "ready")
    ]
