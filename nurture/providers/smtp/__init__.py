"""Any mail server over SMTP (RFC 5321): a few connections, kept, one mail after the other on each.

What each reply means is `letter.py`; what is said when, and what is certain when a connection breaks, is `talk.py`.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nurture.errors import ProviderError
from nurture.mail.wire import Outgoing
from nurture.providers.base import Deadline, Options, Outcome, Provider, Receipt, connect_any, printable, reason
from nurture.providers.lines import Line, Lines, Lost, NoLine
from nurture.providers.smtp.server import NoSession, Server, prepare
from nurture.providers.smtp.session import Session
from nurture.providers.smtp.talk import Sending, Talk

PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAX_BATCH = 500
OPTIONS = ("host", "port", "security", "username", "password_env", "connections", "hello_name", "ca_file")


def create(options: Mapping[str, object], *, folder: Path, secrets: Mapping[str, str]) -> Provider:
    """Return SMTP.

    Options: `host`, `port`, `security` (starttls, tls or none), `username`, `password_env` ("NURTURE_SMTP_PASSWORD"),
    `connections` (4), `hello_name` (what EHLO says; our address by default), `ca_file` (a private authority).
    """
    read = Options("smtp", options, OPTIONS)
    security = read.choice("security", tuple(PORTS), "starttls")
    host = read.text("host")
    username, ca_file = read.optional("username"), read.optional("ca_file")
    variable = read.text("password_env", "NURTURE_SMTP_PASSWORD")
    server = Server(
        host=host,
        port=read.number("port", PORTS[security], 1, 65535),
        security=security,
        context=None if security == "none" else _context(folder, ca_file),
        username=username,
        password=read.secret("password_env", variable, secrets) if username else None,
        hello_name=read.optional("hello_name"),
    )
    connections = read.number("connections", 4, 1, 100)
    if username and security == "none" and not _is_loopback(host):
        what = f"a password would go to {host} in clear text: set `security` to starttls or tls"
        raise ProviderError(what, option="security")
    return Smtp(server, connections=connections)


class Smtp:
    """Sends over up to `connections` connections at once."""

    name = "smtp"
    real = True

    def __init__(self, server: Server, *, connections: int = 4) -> None:
        """Connect when the first mail comes."""
        self._server = server
        self._lines = Lines(connections, self._open, name="smtp")
        self._rate = 10.0

    @property
    def batch(self) -> int:
        """Return how many mails went over the wire in two seconds of late, from 1 to 500."""
        return max(1, min(MAX_BATCH, round(2 * self._rate)))

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Send each mail over whichever connection is free first."""
        if not group:
            return []
        began = time.monotonic()
        sending = Sending(group)
        failed = self._lines.run(sending, Deadline(seconds))
        self._learn(sending, len(group), time.monotonic() - began)
        return [sending.receipts.get(outgoing.id) or _left_over(outgoing, failed) for outgoing in group]

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say nothing: SMTP cannot be asked afterwards."""
        return {}

    def close(self) -> None:
        """Say goodbye on every idle connection and end the threads."""
        for line in self._lines.close():
            line.talk.goodbye(Deadline(2))

    def _learn(self, sending: Sending, mails: int, seconds: float) -> None:
        sent = sum(receipt.outcome is Outcome.ACCEPTED for receipt in sending.receipts.values())
        if sent:
            busy = min(self._lines.connections, mails)
            rate = sent / max(seconds, 0.001) * self._lines.connections / busy
            self._rate = (self._rate + rate) / 2

    def _open(self, deadline: Deadline) -> Line[Sending]:
        def connect(address: str, seconds: float) -> socket.socket:
            return socket.create_connection((address, self._server.port), seconds)

        try:
            connection = connect_any(self._server.host, self._server.port, deadline, connect)
        except OSError as error:
            raise NoSession(f"cannot reach {self._server.where}: {reason(error)}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(connection, deadline.check)
        prepare(session, self._server)
        try:
            return Line(session.detach(), Talk(session.extensions, session.quit))
        except Lost as error:
            session.close()
            raise NoSession(f"{self._server.where}: {error}") from error


def _left_over(outgoing: Outgoing, failed: NoLine | None) -> Receipt:
    if failed is None:
        return Receipt(outgoing.id, Outcome.NOT_SENT, detail="the time was over before its turn")
    about_us = isinstance(failed, NoSession) and failed.about_us
    outcome = Outcome.SENDER_REFUSED if about_us else Outcome.NOT_SENT
    return Receipt(outgoing.id, outcome, detail=printable(str(failed)))


# --- options ----------------------------------------------------------------------------------------------------------


def _context(folder: Path, ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(folder / ca_file) if ca_file else None)
    except OSError as error:
        raise ProviderError(
            f"`ca_file` in [providers.smtp] cannot be read: {reason(error)}", option="ca_file"
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
