"""A mail server's place, and the way to a conversation with it: connect, greet, encrypt, log in."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field

from nurture.providers.base import Deadline, Outcome, connect_any, printable, reason
from nurture.providers.smtp.session import Lost, Reply, Session


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and how. `context` is None where the connection is not encrypted."""

    host: str
    port: int
    security: str
    context: ssl.SSLContext | None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    hello_name: str | None = None

    @property
    def where(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"


class NoSession(Exception):
    """No connection can be had; the outcome holds for every mail that waits for one."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


def open_session(server: Server, deadline: Deadline) -> Session:
    """Connect, greet, encrypt and log in. Raises NoSession; no mail was begun."""
    try:
        connection = connect_any(
            server.host,
            server.port,
            deadline,
            lambda address, seconds: socket.create_connection((address, server.port), seconds),
        )
    except OSError as error:
        raise NoSession(Outcome.NOT_SENT, f"cannot reach {server.where}: {reason(error)}") from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    session = Session(connection, deadline.check)
    try:
        _greet(session, server)
        _login(session, server)
    except Lost as error:
        session.close()
        raise NoSession(Outcome.NOT_SENT, f"{server.where}: {printable(str(error))}") from error
    except NoSession:
        session.close()
        raise
    return session


def _greet(session: Session, server: Server) -> None:
    if server.security == "tls" and server.context:
        session.start_tls(server.context, server.host)
    _expect(session.reply(), "greeting", server)
    hello = server.hello_name or _literal(session.local_address)
    _expect(session.hello(hello), "EHLO", server)
    if server.security != "starttls" or not server.context:
        return
    if "STARTTLS" not in session.extensions:
        raise NoSession(Outcome.NOT_SENT, f"{server.where} does not offer STARTTLS: nothing is sent unencrypted")
    _expect(session.command("STARTTLS"), "STARTTLS", server)
    session.start_tls(server.context, server.host)
    _expect(session.hello(hello), "EHLO", server)


def _login(session: Session, server: Server) -> None:
    if server.username is None or server.password is None:
        return
    reply = session.login(server.username, server.password)
    if not reply.good:
        outcome = Outcome.NOT_SENT if reply.later else Outcome.SENDER_REFUSED
        raise NoSession(outcome, f"{server.where} refuses the login of {server.username}: {printable(str(reply))}")


def _expect(reply: Reply, what: str, server: Server) -> None:
    if not reply.good:
        raise NoSession(Outcome.NOT_SENT, f"{server.where} answers {what} with {printable(str(reply))}")


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
