"""kill -9 while mail is on the wire: nobody gets a mail twice, nothing is lost, and what nobody knows is visible."""

from __future__ import annotations

import asyncio
import email
import threading
from collections import Counter

from aiosmtpd.smtp import SMTP

from tests.e2e.conftest import Company
from tests.processes import PATIENCE
from tests.providers.servers import Postbox, smtp_server

PEOPLE = 60

ONE_MAIL = """\
kind: sequence
name: hello
voice: personal
audience: {role: engage}
enroll_when: [{stage_entered: {role: engage}}]
sender: owner
window: always
steps:
  - {id: first, email: prospects/follow-up, content: product}
"""


class Silent(Postbox):
    """Takes mail and, while `silent`, never says so. Says that something has come."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.silent = True
        self.come = threading.Event()
        self._after = after

    async def handle_DATA(self, server: SMTP, session: object, envelope) -> str:  # noqa: N802
        said = await super().handle_DATA(server, session, envelope)
        if self.silent and len(self.mails) > self._after:
            self.come.set()
            await asyncio.Event().wait()
        return said

    def taken(self) -> Counter[str]:
        """Return how often each mail was taken, by Message-ID."""
        return Counter(email.message_from_bytes(octets)["Message-ID"] for _, _, octets in self.mails)


def test_a_process_killed_while_it_sends_sends_nothing_twice(company: Company) -> None:
    postbox = Silent(after=5)
    with smtp_server(postbox) as (port, _):
        begin(company, port)
        with company.started("run", "--once") as running:
            running.go()
            assert postbox.come.wait(PATIENCE)
            running.process.kill()
            running.process.wait(PATIENCE)
        postbox.silent = False
        unknown = company.states()["dispatching"]
        assert 0 < unknown < PEOPLE

        # Until the leases are over, nobody touches what was in flight.
        company("run", "--once")
        assert company.states()["dispatching"] == unknown
        assert max(postbox.taken().values()) == 1

        company.hurry()
        company("run", "--once")
        assert company.states() == {"ambiguous": unknown, "accepted": PEOPLE - unknown}
        assert max(postbox.taken().values()) == 1
        assert company.lost() == []
        settle(company, postbox, unknown)


def begin(company: Company, port: int) -> None:
    """Bring many approved mails of one rep on their way; personal ones, which need no unsubscribe pages."""
    company.use_short_sequences()
    (company.folder / "sequences/leads/hello.yaml").unlink()
    company.file("sequences/prospects/answer.yaml", ONE_MAIL)
    company.use_smtp(port)
    company("apply", "--yes")
    company("reps", "add", "--name", "Ada Lovelace", "--email", "ada@example.com")
    rows = "".join(f"ann{number}@acme.example,Head of Finance,Germany,ada@example.com\n" for number in range(PEOPLE))
    company("contacts", "import", company.file("people.csv", f"Email,Title,Country,Owner\n{rows}"))
    asked = "".join(f"ann{number}@acme.example,demo_requested,d{number}\n" for number in range(PEOPLE))
    company("events", "import", company.file("events.csv", f"email,kind,id\n{asked}"))
    company("run", "--once")
    company("approvals", "approve", "--all", "--template", "prospects/follow-up")


def settle(company: Company, postbox: Postbox, unknown: int) -> None:
    """Say what the server's own book says: what it has was sent, the rest was not and goes out now."""
    assert isinstance(postbox, Silent)
    rows = company.ask("SELECT id, message_id_header FROM messages WHERE state = 'ambiguous'")
    listed = company("messages", "list", "--state", "ambiguous", "--limit", str(PEOPLE), "--json").json
    assert {row["id"] for row in listed} == {key for key, _ in rows}
    assert {row["reason"] for row in listed} == {
        "the process stopped while it was sending: nobody knows whether it went out"
    }
    taken = postbox.taken()
    for option, found in (("--sent", True), ("--not-sent", False)):
        ids = [str(key) for key, message in rows if (message in taken) is found]
        if ids:
            company("messages", "settle", *ids, option, "--yes")
    company("run", "--once")
    assert sum(company.states().values()) == PEOPLE
    assert set(company.states()) <= {"accepted", "settled_sent"}
    assert len(postbox.taken()) == PEOPLE
    assert max(postbox.taken().values()) == 1
    assert company.lost() == []
