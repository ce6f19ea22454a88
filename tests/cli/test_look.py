"""Looking: why, score, contacts show, preview and the summary. Nothing of it changes anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

import pytest

from tests.cli.conftest import Shell

Ask = Callable[[str], list[Any]]

WORDS = [
    ("why", "ann@acme.example"),
    ("score", "ann@acme.example", "--fresh"),
    ("contacts", "show", "ann@acme.example"),
    ("report", "summary"),
    ("preview", "lead-welcome", "welcome", "--contact", "ann@acme.example"),
    ("messages", "list"),
    ("approvals", "list"),
    ("approvals", "show", "1"),
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_looking_changes_nothing(office: Shell, stored: Ask, words: tuple[str, ...]) -> None:
    tables = ("events", "messages", "decisions", "timers", "enrollments", "standings", "approvals")
    before = [stored(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]
    assert office(*words).out
    office(*words, "--json").json  # noqa: B018 - it is JSON
    assert [stored(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables] == before


def test_why_names_the_next_mail_its_time_and_its_rule(office: Shell) -> None:
    resting = office("why", "bob@acme.example").out
    assert "waits at step settle until 2026-03-05" in resting
    assert "lead-education: may enter, once this happens: the contact finished a sequence" in resting
    office("run", "--until", "2026-03-05T12:00:00Z")
    said = office("why", "bob@acme.example", "--json").json
    (coming,) = said["next"]
    assert coming["sequence"] == "lead-education"
    assert re.fullmatch(r"sequences/leads/[a-z-]+\.yaml:\d+", coming["rule"])
    assert said["decided"][0]["at"] <= coming["about"]
    assert any(answer["what"].startswith("send") and answer["rule"] for answer in said["decided"])
    shown = office("why", "bob@acme.example").out
    assert coming["rule"] in shown
    assert "What comes next" in shown


def test_why_tells_of_a_draft_and_of_silence(office: Shell) -> None:
    (coming,) = office("why", "ann@acme.example", "--json").json["next"]
    assert coming["waits"] == "waits for the approval of ada@example.com"
    office("events", "record", "ann@acme.example", "purchased")
    said = office("why", "ann@acme.example").out
    assert "Nobody writes to them now" in said
    assert "stage customer is silent" in said
    assert "sequences/lifecycle.yaml:" in said


def test_why_of_nobody_is_told(office: Shell) -> None:
    assert "no contact" in office("why", "eve@acme.example", code=1).err
    assert "is no address" in office("why", "eve", code=2).err


def test_a_score_is_a_receipt_that_agrees_when_it_is_computed_again(office: Shell) -> None:
    stored = office("score", "ann@acme.example", "--json").json
    assert stored["agrees"] is True
    intent = next(category for category in stored["categories"] if category["events"])
    assert intent["events"][0]["kind"] == "demo_requested"
    assert stored["engagement"] == pytest.approx(sum(category["points"] for category in stored["categories"]))
    fresh = office("score", "ann@acme.example", "--fresh", "--json").json
    assert fresh["as_of"] == "2026-03-04T12:00:00Z"
    assert fresh["engagement"] < stored["categories"][0]["cap"] + intent["events"][0]["fresh"]
    said = office("score", "bob@acme.example").out
    assert "What would change it" in said
    assert "one more:" in said


def test_a_stored_score_that_is_wrong_is_told(office: Shell, stored: Ask) -> None:
    stored("UPDATE standings SET engagement = 1")
    assert "not what computing it again gives" in office("score", "ann@acme.example").err


def test_a_contact_is_shown_with_everything_that_happened(office: Shell) -> None:
    found = office("contacts", "show", "Ann@acme.example", "--json").json
    assert found["facts"]["company"] == "Acme"
    assert [run["sequence"] for run in found["sequences"]] == ["lead-welcome", "prospect-follow-up"]
    assert {"asked for a demo", "became known", "entered a stage"} <= {each["what"] for each in found["timeline"]}
    assert len(office("contacts", "show", "ann@acme.example", "--limit", "2", "--json").json["timeline"]) == 2
    assert "asked for a demo" in office("contacts", "show", "ann@acme.example").out


def test_a_preview_is_the_mail_with_its_headers(office: Shell, stored: Ask) -> None:
    said = office("preview", "lead-welcome", "welcome", "--contact", "cy@tiny.example").out
    assert said.startswith('From: "Example Company" <news@example.com>\nTo: "Cy Dent" <cy@tiny.example>\n')
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in said
    assert "Hello Cy," in said
    found = office("preview", "prospect-introduction", "introduce", "--contact", "ann@acme.example", "--json").json
    assert found["headers"]["From"] == '"Ada Lovelace" <ada@example.com>'
    assert "List-Unsubscribe" not in found["headers"]
    assert found["rule"].startswith("sequences/prospects/introduction.yaml:")


def test_the_html_part_can_be_looked_at(office: Shell) -> None:
    page = office.folder / "mail.html"
    office("preview", "lead-welcome", "welcome", "--contact", "cy@tiny.example", "--html", page)
    assert "<html" in page.read_text()


def test_a_test_mail_is_marked_and_never_touches_the_contact(office: Shell, stored: Ask) -> None:
    tables = ("events", "messages", "decisions", "timers", "send_counts", "suppressions")
    before = [stored(f"SELECT * FROM {table}") for table in tables]
    known = set(office.folder.rglob("*.eml"))
    words = ("preview", "lead-welcome", "welcome", "--contact", "cy@tiny.example")

    said = office(*words, "--send-to", "me@example.com")

    assert "test to me@example.com through outbox: accepted" in said.err
    (path,) = set(office.folder.rglob("*.eml")) - known
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert (mail["To"], mail["Subject"][:7]) == ("me@example.com", "[TEST] ")
    assert [stored(f"SELECT * FROM {table}") for table in tables] == before
    link = re.search(r"<(.*)>", mail["List-Unsubscribe"])
    own = re.search(r"List-Unsubscribe: <(.*)>", office(*words).out)
    assert link
    assert own
    assert _unsubscribes(office, link[1]) == "me@example.com"
    assert _unsubscribes(office, own[1]) == "cy@tiny.example"


def test_a_test_goes_to_nobody_who_must_not_be_written_to(office: Shell) -> None:
    words = ("preview", "lead-welcome", "welcome", "--contact", "cy@tiny.example", "--send-to")
    office("suppressions", "add", "me@example.com")
    assert "is suppressed" in office(*words, "me@example.com", code=1).err
    assert "is no address" in office(*words, "me", code=2).err


def test_a_preview_that_cannot_be_is_told(office: Shell) -> None:
    to = ("--contact", "bob@acme.example")
    assert "did you mean 'lead-welcome'" in office("preview", "lead-wellcome", "welcome", *to, code=1).err
    assert "did you mean 'welcome'" in office("preview", "lead-welcome", "wellcome", *to, code=1).err
    assert (
        "'settle' is a wait step of lead-welcome that sends no mail: there are welcome"
        in office("preview", "lead-welcome", "settle", *to, code=1).err
    )
    assert (
        "no owner"
        in office("preview", "prospect-introduction", "introduce", "--contact", "cy@tiny.example", code=1).err
    )


def test_a_preview_is_of_the_folder_as_it_is_unless_one_asks_for_what_is_live(office: Shell) -> None:
    text = office.folder / "templates" / "leads" / "welcome.txt"
    text.write_text(text.read_text().replace("Thank you", "Many thanks"))
    words = ("preview", "lead-welcome", "welcome", "--contact", "cy@tiny.example")
    draft = office(*words)
    assert "Many thanks" in draft.out
    assert "not applied" in draft.err
    assert "Thank you" in office(*words, "--live").out


def test_the_summary_counts_what_happened(office: Shell) -> None:
    office("events", "record", "bob@acme.example", "replied")
    office("suppressions", "add", "cy@tiny.example", "--reason", "by phone")
    found = office("report", "summary", "--json").json
    assert found["contacts"] == 3
    assert {stage["name"]: stage["contacts"] for stage in found["stages"]} == {
        "lead": 2, "prospect": 1, "customer": 0, "disqualified": 0,
    }  # fmt: skip
    assert found["moves"] == [{"from": "lead", "to": "prospect", "count": 1}]
    assert found["sent"] == {"marketing": 2}
    assert found["messages"]["personal"] == {"awaiting_approval": 1}
    assert found["ambiguous"] == 0
    (drafts,) = found["drafts"]
    assert (drafts["rep"], drafts["waiting"]) == ("ada@example.com", 1)
    heard = {line["kind"]: line["contacts"] for line in found["heard"]}
    assert (heard["replied"], heard["bounced"]) == (1, 0)
    assert found["tasks"] == [{"rep": "ada@example.com", "open": 2, "overdue": 1}]  # the reply, and a late handoff
    assert {"scope": "all", "reason": "by phone", "count": 1} in found["suppressions"]
    said = office("report", "summary").out
    assert "3 contacts" in said
    assert "Ambiguous: 0" in said


def test_the_summary_counts_from_a_moment_on(office: Shell) -> None:
    found = office("report", "summary", "--since", "2026-03-04", "--json").json
    assert (found["moves"], found["sent"], found["contacts"]) == ([], {}, 3)
    assert "no moment" in office("report", "summary", "--since", "spring", code=2).err


def _unsubscribes(office: Shell, url: str) -> str:
    """Return whose address an unsubscribe link is about."""
    from nurture.mail.keys import parse_keys
    from nurture.program.links import read_unsubscribe

    ring = parse_keys((office.folder / ".nurture" / "keys").read_text())
    token = read_unsubscribe(url.rpartition("/")[2], ring)
    assert token is not None
    names = {ring.address_hash(email): email for email in ("me@example.com", "cy@tiny.example")}
    return names[token.address_hash]
