"""A mail server's place, and the way into a conversation with it: greet, encrypt, log in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from nurture.providers.lines import Lost, NoLine
from nurture.providers.smtp.replies import Reply
from nurture.providers.smtp.session import Session


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


class NoSession(NoLine):
    """No connection can be had, so no mail was begun. `about_us` says that the server refuses our login."""

    def __init__(self, detail: str, *, about_us: bool = False) -> None:
        super().__init__(detail)
        self.about_us = about_us


def prepare(session: Session, server: Server) -> None:
    """Greet, encrypt and log in on a new connection. Raises NoSession; the connection is closed then."""
    try:
        _greet(session, server)
        _login(session, server)
    except Lost as error:
        session.close()
        raise NoSession(f"{server.where}: {error}") from error
    except NoSession:
        session.close()
        raise


def _greet(session: Session, server: Server) -> None:
    if server.security == "tls" and server.context:
        session.start_tls(server.context, server.host)
    _expect(session.reply(), "greeting", server)
    hello = server.hello_name or _literal(session.local_address)
    _expect(session.hello(hello), "EHLO", server)
    if server.security != "starttls" or not server.context:
        return
    if "STARTTLS" not in session.extensions:
        raise NoSession(f"{server.where} does not offer STARTTLS: nothing is sent unencrypted")
    _expect(session.command("STARTTLS"), "STARTTLS", server)
    session.start_tls(server.context, server.host)
    _expect(session.hello(hello), "EHLO", server)


def _login(session: Session, server: Server) -> None:
    if server.username is None or server.password is None:
        return
    reply = session.login(server.username, server.password)
    if not reply.good:
        detail = f"{server.where} refuses the login of {server.username}: {reply}"
        raise NoSession(detail, about_us=not reply.later)


def _expect(reply: Reply, what: str, server: Server) -> None:
    if not reply.good:
        raise NoSession(f"{server.where} answers {what} with {reply}")


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
