"""The first and last words on an SMTP connection: a line out, its reply in, every wait within a deadline (RFC 5321).

What mails are sent in between is `talk.py`. A conversation that ends without its reply raises `Lost`.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections import deque
from collections.abc import Callable

from nurture.providers.base import Deadline
from nurture.providers.lines import Lost
from nurture.providers.smtp.replies import Replies, Reply


class Session:
    """One connection. `left` returns the seconds that remain, and raises TimeoutError when none do."""

    def __init__(self, connection: socket.socket, left: Callable[[], float]) -> None:
        """Take over a connected socket; nothing is read or written yet."""
        self.left = left
        self.extensions: dict[str, str] = {}
        self._socket = connection
        self._replies = Replies()
        self._heard: deque[Reply] = deque()

    def hello(self, name: str) -> Reply:
        """Say EHLO (HELO where that is unknown) and learn the extensions, their names in upper case."""
        reply = self.command(f"EHLO {name}")
        if reply.code in {500, 502, 504}:
            self.extensions = {}
            return self.command(f"HELO {name}")
        words = [line.partition(" ") for line in reply.text.split("\n")[1:]]
        self.extensions = {keyword.upper(): values.strip() for keyword, _, values in words}
        return reply

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Wrap the connection in TLS and check the certificate. Raises Lost.

        Whatever the server said before the handshake is refused: somebody in between could have said it.
        """
        if self._heard or self._replies.begun:
            raise Lost("the server spoke before the TLS handshake")
        try:
            self._socket.settimeout(self.left())
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise Lost(f"TLS failed: the certificate is not good for {host} ({error.verify_message})") from error
        except OSError as error:
            raise Lost(f"TLS failed: {error.strerror or error}") from error
        self.extensions = {}

    def login(self, username: str, password: str) -> Reply:
        """Authenticate with PLAIN or LOGIN, whichever is offered; a made-up 504 says that neither is."""
        offered = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            return self.command(f"AUTH PLAIN {_base64(f'{chr(0)}{username}{chr(0)}{password}')}")
        if "LOGIN" not in offered:
            return Reply(504, "the server offers neither AUTH PLAIN nor AUTH LOGIN")
        reply = self.command("AUTH LOGIN")
        for answer in (username, password):
            if reply.code != 334:
                return reply
            reply = self.command(_base64(answer))
        return reply

    def command(self, line: str) -> Reply:
        """Write one line and read its reply. Raises Lost."""
        self.write(line.encode() + b"\r\n")
        return self.reply()

    def write(self, octets: bytes) -> None:
        """Hand octets to the connection. Raises Lost; then not all of them went out."""
        try:
            self._socket.settimeout(self.left())
            self._socket.sendall(octets)
        except OSError as error:
            raise Lost(_words(error)) from error

    def reply(self) -> Reply:
        """Read one reply of any number of lines. Raises Lost."""
        while not self._heard:
            self._heard.extend(self._replies.heard(self._receive()))
        return self._heard.popleft()

    def close(self) -> None:
        """Close the connection without a word."""
        self._socket.close()

    def quit(self, deadline: Deadline) -> None:
        """Say goodbye, as far as the time allows, and close."""
        self.left = deadline.check
        try:
            self.command("QUIT")
        except Lost:
            pass
        self.close()

    @property
    def local_address(self) -> str:
        """Return our own IP address as this connection shows it."""
        return str(self._socket.getsockname()[0])

    def detach(self) -> socket.socket:
        """Return the connection for others to read and write. Raises Lost when the server already said more."""
        if self._heard or self._replies.begun:
            raise Lost("the server speaks out of turn")
        return self._socket

    def _receive(self) -> bytes:
        try:
            self._socket.settimeout(self.left())
            octets = self._socket.recv(8192)
        except OSError as error:
            raise Lost(_words(error)) from error
        if not octets:
            raise Lost("the server closed the connection")
        return octets


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _words(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else (error.strerror or str(error) or "the connection broke")
