"""Any mail server over SMTP (RFC 5321): a few connections, kept, one mail after the other on each.

Until the final dot is written a mail is certainly not sent; once it is, only the server's reply can say. What went
wrong decides between `not_sent`, `refused`, `sender_refused` and `ambiguous`; the table is at the top.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nurture.errors import ProviderError
from nurture.mail.address import wire_address
from nurture.mail.wire import Outgoing, needs_smtputf8, to_bytes
from nurture.providers.base import Deadline, Options, Outcome, Provider, Receipt, connect_any, printable, reason
from nurture.providers.smtp.server import NoSession, Server, prepare
from nurture.providers.smtp.session import Lost, Reply, Session, stuff

NEVER = {
    "MAIL FROM": Outcome.SENDER_REFUSED,  # the recipient is not known yet: it is about us
    "RCPT TO": Outcome.REFUSED,
    "DATA": Outcome.REFUSED,
    "the mail": Outcome.REFUSED,
}
"""What a 5xx reply means, by what it answers. 4xx is always `not_sent`; a failed login is `sender_refused`."""

ABOUT_US = frozenset({530, 534, 535, 538})
"""Replies that ask for a login wherever they stand (RFC 4954)."""

TOO_LARGE = 552

PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAX_BATCH = 200
_QUEUED_AS = re.compile(r"\bqueued (?:mail )?(?:for delivery )?as ([^\s<>()]+)", re.IGNORECASE)


def create(options: Mapping[str, object], *, folder: Path, secrets: Mapping[str, str]) -> Provider:
    """Return SMTP.

    Options: `host`, `port`, `security` (starttls, tls or none), `username`, `password_env` ("NURTURE_SMTP_PASSWORD"),
    `connections` (4), `hello_name` (what EHLO says; our address by default), `ca_file` (a private authority).
    """
    read = Options("smtp", options)
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
    read.finish()
    if username and security == "none" and not _is_loopback(host):
        raise ProviderError(f"a password would go to {host} in clear text: set `security` to starttls or tls")
    return Smtp(server, connections=connections)


class Smtp:
    """Sends over up to `connections` connections at once, one worker thread each."""

    name = "smtp"
    real = True

    def __init__(self, server: Server, *, connections: int = 4) -> None:
        """Connect when the first mail comes."""
        self._server = server
        self._connections = connections
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="smtp")
        self._rate = 10.0

    @property
    def batch(self) -> int:
        """Return how many mails went over the wire in two seconds of late, from 1 to 200."""
        return max(1, min(MAX_BATCH, round(2 * self._rate)))

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Send each mail over whichever connection is free first."""
        if not group:
            return []
        began = time.monotonic()
        run = _Run(group, Deadline(seconds))
        workers = [self._pool.submit(self._work, run) for _ in range(min(self._connections, len(group)))]
        for worker in workers:
            worker.result()
        self._learn(run, len(workers), time.monotonic() - began)
        return [run.receipts.get(outgoing.id) or run.left_over(outgoing) for outgoing in group]

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say nothing: SMTP cannot be asked afterwards."""
        return {}

    def close(self) -> None:
        """Say goodbye on every idle connection and end the threads."""
        self._pool.shutdown()
        with self._lock:
            sessions, self._idle = self._idle, []
        for session in sessions:
            session.left = Deadline(2).check
            session.quit()

    def _learn(self, run: _Run, workers: int, seconds: float) -> None:
        sent = sum(receipt.outcome is Outcome.ACCEPTED for receipt in run.receipts.values())
        if sent:
            rate = sent / max(seconds, 0.001) * self._connections / workers
            self._rate = (self._rate + rate) / 2

    def _work(self, run: _Run) -> None:
        """Send mails of the run until there are none left, or no connection can be had."""
        session: Session | None = None
        while run.deadline.left() > 0 and (outgoing := run.next()):
            try:
                session = session or self._session(run.deadline)
            except NoSession as failed:
                run.give_back(outgoing, failed)
                return
            receipt, usable = _deliver(session, outgoing)
            if usable or session.fresh or receipt.outcome is not Outcome.NOT_SENT:
                run.receipts[outgoing.id] = receipt
            else:  # a kept connection came to its end: the mail was certainly not sent, and takes a new one
                run.give_back(outgoing)
            session.fresh = False
            if not usable:
                session.close()
                session = None
        if session:
            with self._lock:
                self._idle.append(session)

    def _session(self, deadline: Deadline) -> Session:
        """Return a connection that answers: an idle one, else a new one."""
        while True:
            with self._lock:
                session = self._idle.pop() if self._idle else None
            if session is None:
                return _open(self._server, deadline)
            session.left = deadline.check
            try:
                if session.command("RSET").good:
                    return session
            except Lost:
                pass
            session.close()


class _Run:
    """One call of `send`: the mails that wait, shared by the workers, and the receipts so far."""

    def __init__(self, group: Sequence[Outgoing], deadline: Deadline) -> None:
        self.deadline = deadline
        self.receipts: dict[int, Receipt] = {}
        self._waiting = deque(group)
        self._failed: NoSession | None = None

    def next(self) -> Outgoing | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def give_back(self, outgoing: Outgoing, failed: NoSession | None = None) -> None:
        self._failed = failed or self._failed
        self._waiting.appendleft(outgoing)

    def left_over(self, outgoing: Outgoing) -> Receipt:
        if self._failed:
            outcome = Outcome.SENDER_REFUSED if self._failed.about_us else Outcome.NOT_SENT
            return Receipt(outgoing.id, outcome, detail=printable(str(self._failed)))
        return Receipt(outgoing.id, Outcome.NOT_SENT, detail="the time was over before its turn")


def _open(server: Server, deadline: Deadline) -> Session:
    def connect(address: str, seconds: float) -> socket.socket:
        return socket.create_connection((address, server.port), seconds)

    try:
        connection = connect_any(server.host, server.port, deadline, connect)
    except OSError as error:
        raise NoSession(f"cannot reach {server.where}: {reason(error)}") from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    session = Session(connection, deadline.check)
    prepare(session, server)
    return session


# --- options ----------------------------------------------------------------------------------------------------------


def _context(folder: Path, ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(folder / ca_file) if ca_file else None)
    except OSError as error:
        raise ProviderError(f"`ca_file` in [providers.smtp] cannot be read: {reason(error)}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- one mail ---------------------------------------------------------------------------------------------------------


def _deliver(session: Session, outgoing: Outgoing) -> tuple[Receipt, bool]:
    """Send one mail; say what became of it, and whether the connection can carry another."""
    try:
        commands, octets = _prepare(session, outgoing)
    except ValueError as error:
        return Receipt(outgoing.id, Outcome.REFUSED, detail=reason(error)), True
    try:
        for what, line, code in commands:
            reply = session.command(line)
            if reply.code // 100 != code:
                return _answered(outgoing, what, reply), _clear(session, reply)
        session.write(octets)
    except Lost as error:
        return Receipt(outgoing.id, Outcome.NOT_SENT, detail=f"lost before the mail was over: {error}"), False
    try:
        session.write(b".\r\n")
        reply = session.reply()
    except Lost as error:
        return Receipt(outgoing.id, Outcome.AMBIGUOUS, detail=f"no answer after the mail was over: {error}"), False
    return _answered(outgoing, "the mail", reply), reply.code != 421


def _prepare(session: Session, outgoing: Outgoing) -> tuple[list[tuple[str, str, int]], bytes]:
    """Return the commands as (what, line, first digit of the reply that goes on), and the stuffed octets."""
    eight_bit = "8BITMIME" in session.extensions
    utf8 = needs_smtputf8(outgoing)
    if utf8 and "SMTPUTF8" not in session.extensions:
        raise ValueError("the server does not take addresses with non-ASCII letters before the @ (no SMTPUTF8)")
    octets = to_bytes(outgoing, eight_bit=eight_bit)
    mail = f"MAIL FROM:<{wire_address(outgoing.from_address)}>"
    if "SIZE" in session.extensions:
        mail += f" SIZE={len(octets)}"
    if eight_bit and not octets.isascii():
        mail += " BODY=8BITMIME"
    if utf8:
        mail += " SMTPUTF8"
    commands = [("MAIL FROM", mail, 2), ("RCPT TO", f"RCPT TO:<{wire_address(outgoing.to_address)}>", 2)]
    return [*commands, ("DATA", "DATA", 3)], stuff(octets)


def _answered(outgoing: Outgoing, what: str, reply: Reply) -> Receipt:
    detail = printable(f"{what}: {reply}")
    if what == "the mail" and reply.good:
        queued = _QUEUED_AS.search(reply.text)
        return Receipt(outgoing.id, Outcome.ACCEPTED, provider_id=queued[1] if queued else None, detail=detail)
    return Receipt(outgoing.id, _judge(what, reply), detail=detail)


def _judge(what: str, reply: Reply) -> Outcome:
    if reply.later:
        return Outcome.NOT_SENT
    if not reply.never:  # neither yes nor no: nothing that the standard knows
        return Outcome.AMBIGUOUS if what == "the mail" else Outcome.NOT_SENT
    if reply.code in ABOUT_US:
        return Outcome.SENDER_REFUSED
    return Outcome.REFUSED if reply.code == TOO_LARGE else NEVER[what]


def _clear(session: Session, reply: Reply) -> bool:
    """Forget the mail that was begun; tell whether the connection can carry another."""
    try:
        return reply.code != 421 and session.command("RSET").good
    except Lost:
        return False
