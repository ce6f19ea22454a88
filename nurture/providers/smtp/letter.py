"""One mail as SMTP carries it: its commands, its octets, and what a reply to each of them means for it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from nurture.mail.address import wire_address
from nurture.mail.wire import Outgoing, needs_smtputf8, to_bytes
from nurture.providers.base import Outcome, Receipt, printable
from nurture.providers.smtp.replies import Reply

MAIL, RCPT, DATA, END = "MAIL FROM", "RCPT TO", "DATA", "the mail"
"""What is answered by a reply that a mail's fate hangs on."""

NEVER = {
    MAIL: Outcome.SENDER_REFUSED,  # the recipient is not known yet: it is about us
    RCPT: Outcome.REFUSED,
    DATA: Outcome.REFUSED,
    END: Outcome.REFUSED,
}
"""What a 5xx reply means, by what it answers. 4xx is always `not_sent`; a failed login is `sender_refused`."""

ABOUT_US = frozenset({530, 534, 535, 538})
"""Replies that ask for a login wherever they stand (RFC 4954)."""

TOO_LARGE = 552

_LINE_DOT = re.compile(rb"\n\.")
_USUAL = re.compile(r"2\.0\.0 Ok: queued as ([^\s<>()]+)")  # the same, where it is easily found
_QUEUED_AS = re.compile(r"\bqueued (?:mail )?(?:for delivery )?as ([^\s<>()]+)", re.IGNORECASE)


@dataclass(slots=True)
class Letter:
    """A mail on its way. `body` is dot-stuffed, without the final dot.

    `dot_at` says behind how many octets of its connection the final dot stands, once that is said; `refusal` is what
    the first reply that refused it means, and `refused_at` what that reply answered.
    """

    outgoing: Outgoing
    mail: bytes
    rcpt: bytes
    body: bytes
    dot_at: int | None = None
    refusal: Receipt | None = None
    refused_at: str = ""

    def refuse(self, what: str, reply: Reply) -> None:
        """Take down a reply that refuses it, unless one did before."""
        if self.refusal is None:
            self.refusal, self.refused_at = judge(self, what, reply), what


def write(outgoing: Outgoing, extensions: Collection[str]) -> Letter:
    """Write a mail for a server with these extensions. Raises ValueError when that cannot be done."""
    eight_bit = "8BITMIME" in extensions
    utf8 = needs_smtputf8(outgoing)
    if utf8 and "SMTPUTF8" not in extensions:
        raise ValueError("the server does not take addresses with non-ASCII letters before the @ (no SMTPUTF8)")
    octets = to_bytes(outgoing, eight_bit=eight_bit)
    size = f" SIZE={len(octets)}" if "SIZE" in extensions else ""
    body = " BODY=8BITMIME" if eight_bit and not octets.isascii() else ""
    mail = f"MAIL FROM:<{wire_address(outgoing.from_address)}>{size}{body}{' SMTPUTF8' if utf8 else ''}\r\n"
    rcpt = f"RCPT TO:<{wire_address(outgoing.to_address)}>\r\n"
    return Letter(outgoing, mail.encode(), rcpt.encode(), octets if outgoing.undotted else stuff(octets))


def judge(letter: Letter, what: str, reply: Reply) -> Receipt:
    """Return what a reply that ends a mail's way means for it."""
    if what == END and reply.good:
        text = reply.text
        queued = _USUAL.fullmatch(text) or _QUEUED_AS.search(text)
        return Receipt(letter.outgoing.id, Outcome.ACCEPTED, queued[1] if queued else None, _detail(what, reply))
    return Receipt(letter.outgoing.id, _outcome(what, reply), detail=_detail(what, reply))


def stuff(octets: bytes) -> bytes:
    """Double the dots at line starts (RFC 5321, 4.5.2). The octets end in CRLF; the final dot is not added."""
    if _LINE_DOT.search(octets):  # twice as fast as asking for two octets in another way
        octets = octets.replace(b"\n.", b"\n..")
    return b"." + octets if octets.startswith(b".") else octets


def _outcome(what: str, reply: Reply) -> Outcome:
    if reply.later:
        return Outcome.NOT_SENT
    if not reply.never:  # neither yes nor no: nothing that the standard knows
        return Outcome.AMBIGUOUS if what == END else Outcome.NOT_SENT
    if reply.code in ABOUT_US:
        return Outcome.SENDER_REFUSED
    return Outcome.REFUSED if reply.code == TOO_LARGE else NEVER[what]


def _detail(what: str, reply: Reply) -> str:
    detail = f"{what}: {reply.code} {reply.text}"
    return detail if len(detail) <= 300 and detail.isprintable() else printable(detail)
