"""The whole path against a real SMTP server: what arrives parses, threads, and carries the right headers by voice."""

from __future__ import annotations

import email
import email.policy
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from nurture.db.session import Database
from nurture.mail.keys import parse_keys
from nurture.web.app import create_app
from tests.e2e.conftest import Company
from tests.providers.servers import Postbox, free_port, smtp_server
from tests.web.conftest import answering

PEOPLE = """\
E-mail,First name,Last name,Title,Country,Company,Owner
lea@harbour.example,Lea,Ortiz,,,Harbour Freight,
ann@müller.example,Änn,"Müller, Dr.",Head of Finance,Germany,Müller & Söhne,ada@example.com
"""


@pytest.fixture
def postbox() -> Postbox:
    """What the mail server keeps."""
    return Postbox()


@pytest.fixture
def server(postbox: Postbox) -> Iterator[int]:
    """A mail server that takes everything; its port."""
    with smtp_server(postbox, enable_SMTPUTF8=True) as (port, _):
        yield port


def test_leads_and_prospects_are_written_to_over_smtp(company: Company, postbox: Postbox, server: int) -> None:
    web = free_port()
    begin(company, server, f"http://127.0.0.1:{web}")
    company("contacts", "import", company.file("people.csv", PEOPLE))
    assert "moved from lead to prospect" in company("events", "record", "ann@müller.example", "demo_requested").out

    company("run", "--once")
    assert postbox.mails == [], "marketing mail goes out once its unsubscribe pages are known to answer"
    assert "unsubscribe" in company("messages", "list", "--json").out + company("why", "lea@harbour.example").out
    answer_the_self_test(company, web)
    company.hurry()
    company("run", "--once")
    lead = [parsed(mail) for mail in postbox.mails]
    assert [mail["To"].addresses[0].addr_spec for mail in lead] == ["lea@harbour.example"] * 2

    for _ in range(2):
        (draft,) = company("approvals", "list", "--json").json
        company("approvals", "approve", str(draft["id"]), "--rep", "ada@example.com")
        company("run", "--once")
    first, second = [parsed(mail) for mail in postbox.mails[2:]]

    for mail in lead:
        check_marketing(mail, f"http://127.0.0.1:{web}/")
    for mail in (first, second):
        check_personal(mail)
    check_thread(first, second)
    assert company.lost() == []
    assert company.states() == {"accepted": 4}
    unsubscribe_by_one_click(company, web, lead[0])


def test_a_run_from_cron_asks_by_itself_whether_the_pages_answer(
    company: Company, postbox: Postbox, server: int
) -> None:
    database = Database(company.url)
    ring = parse_keys((company.folder / ".nurture" / "keys").read_text("utf-8"))
    with answering(create_app(database, ring, clock=lambda: datetime.now(UTC))) as url:
        begin(company, server, url)
        company("contacts", "import", company.file("people.csv", "email\nlea@harbour.example\n"))
        company("run", "--once")
    database.dispose()
    assert len(postbox.mails) == 2
    assert company.states() == {"accepted": 2}


def test_a_run_from_cron_says_that_the_pages_do_not_answer(company: Company, postbox: Postbox, server: int) -> None:
    begin(company, server, "http://127.0.0.1:1")
    company("contacts", "import", company.file("people.csv", "email\nlea@harbour.example\n"))
    assert "the unsubscribe pages do not answer" in company("run", "--once").err
    assert postbox.mails == []


def begin(company: Company, port: int, public_url: str) -> None:
    """Apply two short sequences that are sent through SMTP, and add a rep."""
    company.use_short_sequences()
    company.use_smtp(port, public_url=public_url)
    assert "--yes" in company("apply", code=2).err, "the first apply with a real provider asks"
    company("apply", "--yes")
    company(
        "reps", "add", "--name", "Ada Lovelace", "--email", "ada@example.com", "--signature", r"Ada\nExample Company"
    )


def answer_the_self_test(company: Company, web: int) -> None:
    """Serve until the unsubscribe pages have answered under their public URL."""
    with company.started("serve", "--port", str(web)) as serving:
        serving.go()
        serving.wait_for("unsubscribe pages answered")
        serving.process.send_signal(signal.SIGTERM)
        assert serving.end()[0] == 0


def unsubscribe_by_one_click(company: Company, web: int, mail: EmailMessage) -> None:
    """Do what a mail program does with the headers."""
    url = str(mail["List-Unsubscribe"]).strip("<>")
    with company.started("serve", "--port", str(web)) as serving:
        serving.go()
        serving.wait_for("nurture")
        with urllib.request.urlopen(url, timeout=30) as asked:
            assert asked.status == 200
        assert company("suppressions", "list", "--json").json["suppressions"] == []
        with urllib.request.urlopen(url, data=b"List-Unsubscribe=One-Click", timeout=30) as answered:
            assert (answered.status, answered.url) == (200, url)
        (wish,) = company("suppressions", "list", "--json").json["suppressions"]
    assert (wish["address"], wish["scope"], wish["reason"]) == ("lea@harbour.example", "marketing", "unsubscribed")


def parsed(mail: tuple[str, str, bytes]) -> EmailMessage:
    """Parse what arrived; the parser has nothing to complain of, and the envelope fits."""
    sender, recipient, octets = mail
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    assert [part.defects for part in found.walk() if part.defects] == []
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version"):
        assert len(found.get_all(name)) == 1, name
    assert found["To"].addresses[0].addr_spec == recipient
    assert found["From"].addresses[0].addr_spec == sender
    assert found.get_body(("plain",)) is not None
    assert found.get_body(("html",)) is not None
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    return found


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """Return one of the texts of a mail."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def check_marketing(mail: EmailMessage, public_url: str) -> None:
    """Marketing mail comes from the general address and can be left with one click."""
    assert str(mail["From"]) == "Example Company <news@example.com>"
    url = str(mail["List-Unsubscribe"]).strip("<>")
    assert url.startswith(public_url)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(mail["Feedback-ID"]).endswith(":hello:nurture:newsletter")
    for kind in ("plain", "html"):
        assert url in text_of(mail, kind)
        assert "1 Example Street" in text_of(mail, kind)
    assert mail["In-Reply-To"] is None


def check_personal(mail: EmailMessage) -> None:
    """Personal mail comes from the rep and looks like a person's."""
    assert str(mail["From"]) == "Ada Lovelace <ada@example.com>"
    assert str(mail["To"].addresses[0].display_name) == "Änn Müller, Dr."
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Precedence"):
        assert mail[name] is None, name
    assert "Hi Änn," in text_of(mail)
    assert "Ada\nExample Company" in text_of(mail).replace("\r\n", "\n")
    assert "<img" not in text_of(mail, "html")
    assert "nsubscribe" not in text_of(mail)


def check_thread(first: EmailMessage, second: EmailMessage) -> None:
    """The second mail answers the first."""
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == first["Message-ID"]
    assert str(second["References"]).split() == [first["Message-ID"]]
    assert second["Subject"] == f"Re: {first['Subject']}"
    assert "P.S." in text_of(first), "the first mail of a run says how to opt out"
    assert "P.S." not in text_of(second)


def test_an_unreachable_server_loses_nothing(company: Company, postbox: Postbox) -> None:
    port = free_port()
    company.use_short_sequences()
    company.use_smtp(port)
    company("apply", "--yes")
    company("reps", "add", "--name", "Ada Lovelace", "--email", "ada@example.com")
    company("contacts", "import", company.file("people.csv", PEOPLE))
    company("events", "record", "ann@müller.example", "demo_requested")
    company("run", "--once")
    (draft,) = company("approvals", "list", "--json").json
    company("approvals", "approve", str(draft["id"]))

    for attempt in (1, 2):
        company.hurry()
        assert company("run", "--once", "--json").json["retrying"] == 1
        (waiting,) = company("messages", "list", "--state", "retry_wait", "--json").json
        assert f"127.0.0.1:{port}" in waiting["reason"]
        assert "refused" in waiting["reason"].lower()
        assert company.ask("SELECT attempts FROM messages WHERE state = 'retry_wait'") == [(attempt,)]
        (coming,) = company("why", "ann@müller.example", "--json").json["next"]
        assert waiting["reason"] in coming["waits"]
        assert company.lost() == []

    with smtp_server(postbox, port=port):
        company.hurry()
        assert company("run", "--once", "--json").json["accepted"] == 1
        company.hurry()
        assert company("run", "--once", "--json").json["accepted"] == 0
    assert [recipient for _, recipient, _ in postbox.mails] == ["ann@xn--mller-kva.example"]
    assert company.lost() == []


def test_what_arrived_can_be_shown_again(company: Company, postbox: Postbox, server: int) -> None:
    begin(company, server, "http://127.0.0.1:1")
    company("contacts", "import", company.file("people.csv", PEOPLE))
    company("events", "record", "ann@müller.example", "demo_requested")
    company("run", "--once")
    (draft,) = company("approvals", "list", "--json").json
    read: dict[str, Any] = company("approvals", "show", str(draft["id"]), "--json").json
    company("approvals", "approve", str(draft["id"]), "--hash", read["hash"])
    company("run", "--once")

    ((_, _, octets),) = postbox.mails
    again = company("messages", "show", str(draft["id"]), "--eml", "--json").json
    assert again["same"] is True
    assert again["eml"].encode() == octets
