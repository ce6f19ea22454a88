"""`nurture approvals`: a rep reads, decides, and what goes out is what was read."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell

Ask = Callable[[str], list[Any]]


@pytest.fixture
def draft(office: Shell) -> int:
    """The number of the draft to Ann."""
    (line,) = office("approvals", "list", "--json").json
    return int(line["id"])


def test_the_list_says_what_is_due_for_whom(office: Shell, draft: int) -> None:
    (line,) = office("approvals", "list", "--json").json
    assert {name: line[name] for name in ("id", "email", "company", "sequence", "step", "rep", "edited")} == {
        "id": draft, "email": "ann@acme.example", "company": "Acme", "sequence": "prospect-follow-up",
        "step": "answer", "rep": "ada@example.com", "edited": False,
    }  # fmt: skip
    assert line["due"].startswith("2026-03-0")
    said = office("approvals", "list").out
    assert "Ann Bell <ann@acme.example>" in said
    assert line["subject"] in said
    assert "1 draft waits." in said


def test_a_draft_stands_beside_all_that_its_rep_should_know(office: Shell, draft: int) -> None:
    said = office("approvals", "show", str(draft)).out
    found = office("approvals", "show", str(draft), "--json").json
    assert found["hash"] in said
    assert len(found["hash"]) == 12
    for part in (found["text"].splitlines()[0], "Director of Finance", "Acme", "score: fit", "asked for a demo"):
        assert part in said
    assert found["contact"]["facts"]["owner"] == "Ada Lovelace <ada@example.com>"
    assert found["timeline"][-1]["kind"] == "created"


def test_what_was_approved_goes_out_to_the_byte_and_the_follow_up_shows_it(
    office: Shell, draft: int, stored: Ask
) -> None:
    found = office("approvals", "show", str(draft), "--json").json
    said = office("approvals", "approve", str(draft), "--hash", found["hash"])
    assert f"{draft} approved, goes out 2026-03-04" in said.out
    office("run", "--until", "2026-03-17T12:00:00Z")
    assert stored(f"SELECT state FROM messages WHERE id = {draft}") == [("accepted",)]
    (path,) = [p for p in office.folder.rglob("*.eml") if b"To: Ann Bell" in p.read_bytes()]
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip() == found["text"].rstrip()  # type: ignore[union-attr]
    (follow_up,) = office("approvals", "list", "--json").json
    shown = office("approvals", "show", str(follow_up["id"]), "--json").json
    assert [sent["subject"] for sent in shown["thread"]] == [found["subject"]]
    assert "before it in this thread" in office("approvals", "show", str(follow_up["id"])).out


def test_a_hash_of_something_else_is_refused(office: Shell, draft: int) -> None:
    said = office("approvals", "approve", str(draft), "--hash", "0" * 12, code=1)
    assert "changed since you read it" in said.err
    assert "at least 12" in office("approvals", "approve", str(draft), "--hash", "0", code=2).err


def test_an_edit_makes_another_draft_of_it(office: Shell, draft: int, stored: Ask) -> None:
    before = office("approvals", "show", str(draft), "--json").json["hash"]
    office("approvals", "approve", str(draft))
    after = office("approvals", "edit", str(draft), "--subject", "Monday?", "--text", r"Hi Ann,\n\nyes.", "--json").json
    assert after["hash"] != before
    assert stored(f"SELECT state, subject, text_body, edited FROM messages WHERE id = {draft}") == [
        ("awaiting_approval", "Monday?", "Hi Ann,\n\nyes.", 1)
    ]
    assert "changed" in office("approvals", "approve", str(draft), "--hash", before, code=1).err
    office("approvals", "approve", str(draft), "--hash", after["hash"])


def test_a_text_may_come_from_a_file(office: Shell, draft: int, stored: Ask) -> None:
    office("approvals", "edit", str(draft), "--text-file", office.file("mail.txt", "Hi Ann,\nfrom a file.\n"))
    assert stored(f"SELECT text_body FROM messages WHERE id = {draft}") == [("Hi Ann,\nfrom a file.\n",)]
    assert "cannot be read" in office("approvals", "edit", str(draft), "--text-file", "nowhere", code=2).err
    assert "give one" in office("approvals", "edit", str(draft), "--text-file", "x", "--text", "y", code=2).err


def test_without_options_the_editor_opens(office: Shell, draft: int, stored: Ask, tmp_path: Path) -> None:
    (subject,) = stored(f"SELECT subject FROM messages WHERE id = {draft}")[0]
    with_editor = replace(
        office, environ={**office.environ, "EDITOR": _editor(tmp_path, "s/^Subject: .*/Subject: Quick one/")}
    )
    with_editor("approvals", "edit", str(draft))
    assert stored(f"SELECT subject FROM messages WHERE id = {draft}") == [("Quick one",)] != [(subject,)]
    headless = replace(office, environ={**office.environ, "EDITOR": _editor(tmp_path, "1d")})
    assert "first line" in headless("approvals", "edit", str(draft), code=2).err
    idle = replace(office, environ={**office.environ, "EDITOR": "true"})
    assert "nothing was changed" in idle("approvals", "edit", str(draft), code=2).err


def test_rejecting_takes_a_reason_and_skipping_goes_on(office: Shell, draft: int, stored: Ask) -> None:
    office("approvals", "reject", str(draft), code=2)
    office("approvals", "reject", str(draft), "--reason", "a competitor")
    assert stored(f"SELECT state, reason FROM messages WHERE id = {draft}") == [("cancelled", "rejected: a competitor")]
    assert "too late" in office("approvals", "skip", str(draft), code=1).err
    assert "No draft waits." in office("approvals", "list").out


def test_a_skipped_mail_lets_the_run_go_on(office: Shell, draft: int, stored: Ask) -> None:
    assert f"{draft} skipped" in office("approvals", "skip", str(draft)).out
    (state,) = stored("SELECT state FROM enrollments WHERE sequence = 'prospect-follow-up'")
    assert state == ("active",)


def test_a_draft_is_snoozed_for_a_while_or_until_a_moment(office: Shell, draft: int) -> None:
    (told,) = office("approvals", "snooze", str(draft), "--until", "2 business days", "--json").json
    assert told["due_at"] == "2026-03-06T12:00:00Z"
    office("approvals", "snooze", str(draft), "--until", "2026-03-09T10:30:00Z")
    assert office("approvals", "list", "--json").json[0]["due"] == "2026-03-09T10:30:00Z"
    assert "has passed" in office("approvals", "snooze", str(draft), "--until", "2026-03-01", code=1).err
    assert "no moment" in office("approvals", "snooze", str(draft), "--until", "soon", code=2).err


def test_with_several_reps_one_says_who_one_is(office: Shell, draft: int) -> None:
    office("reps", "add", "--name", "Sam Sen", "--email", "sam@example.com")
    said = office("approvals", "approve", str(draft), code=2)
    assert "--rep or NURTURE_REP: ada@example.com, sam@example.com" in said.err
    assert "only its owner" in office("approvals", "approve", str(draft), "--rep", "sam@example.com", code=1).err
    assert "no rep" in office("approvals", "approve", str(draft), "--rep", "eve@example.com", code=1).err
    assert office("approvals", "list", "--rep", "sam@example.com", "--json").json == []
    assert len(office("approvals", "list", "--json").json) == 1
    ada = replace(office, environ={**office.environ, "NURTURE_REP": "ada@example.com"})
    ada("approvals", "approve", str(draft))


def test_all_at_once_are_unread_drafts_of_one_template(office: Shell, draft: int) -> None:
    office("events", "record", "bob@acme.example", "demo_requested")
    office("run", "--until", "2026-03-05T06:00:00Z")
    assert len(office("approvals", "list", "--json").json) == 2
    office("approvals", "edit", str(draft), "--subject", "Another")
    approved = office("approvals", "approve", "--all", "--json").json
    assert [each["done"] for each in approved] == [True]
    assert approved[0]["id"] != draft
    assert "one by one" in office("approvals", "approve", "--all", code=1).err
    assert "their IDs, or --all" in office("approvals", "approve", code=2).err


def test_drafts_of_several_templates_are_approved_template_by_template(office: Shell, stored: Ask, draft: int) -> None:
    office("events", "record", "bob@acme.example", "demo_requested")
    office("run", "--until", "2026-03-05T06:00:00Z")
    stored(f"UPDATE messages SET template = 'prospects/other' WHERE id = {draft}")
    said = office("approvals", "approve", "--all", code=1)
    assert "prospects/follow-up (1), prospects/other (1)" in said.err
    (approved,) = office("approvals", "approve", "--all", "--template", "prospects/other", "--json").json
    assert approved["id"] == draft


def test_one_that_is_refused_does_not_stop_the_others(office: Shell, draft: int) -> None:
    office("events", "record", "bob@acme.example", "demo_requested")
    office("run", "--until", "2026-03-05T06:00:00Z")
    ids = [str(line["id"]) for line in office("approvals", "list", "--json").json]
    office("approvals", "approve", ids[0])
    told = office("approvals", "approve", *ids, "--json", code=1).json
    assert [each["done"] for each in told] == [False, True]


def test_what_voids_an_approval_is_in_the_list(office: Shell, draft: int) -> None:
    office("approvals", "approve", str(draft))
    office("events", "record", "ann@acme.example", "owner_changed")
    (line,) = office("approvals", "list", "--json").json
    assert (line["id"], line["sent_back_because"]) == (draft, "owner changed")
    assert "SENT BACK" in office("approvals", "show", str(draft)).out


def test_marketing_mail_and_unknown_numbers_are_told(office: Shell, stored: Ask) -> None:
    ((marketing,), *_) = stored("SELECT id FROM messages WHERE voice = 'marketing'")
    assert "marketing mail" in office("approvals", "show", str(marketing), code=1).err
    assert "no draft" in office("approvals", "approve", str(marketing), code=1).err
    assert "no message 99" in office("approvals", "show", "99", code=1).err


def _editor(folder: Path, script: str) -> str:
    """Return an editor that changes its file by a sed script and is seen to have saved it."""
    path = folder / "editor.sh"
    path.write_text(f'#!/bin/sh\nsed -i \'{script}\' "$1"\ntouch -t 203001010000 "$1"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)
