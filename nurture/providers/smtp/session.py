"""One SMTP conversation over one socket: lines out, replies in, every wait within a deadline (RFC 5321).

What a reply means for a mail is not known here. A conversation that ends without its reply raises `Lost`.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple

MAX_REPLY_LINE = 4096
MAX_REPLY_LINES = 100
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_LINE_DOT = re.compile(rb"^\.", re.MULTILINE)


class Lost(Exception):
    """The conversation is over: the connection broke, the time ran out, or the other side does not speak SMTP."""


class Reply(NamedTuple):
    """A reply's code and words; the words of several lines are joined with newlines."""

    code: int
    text: str

    @property
    def good(self) -> bool:
        """Tell whether it says yes."""
        return 200 <= self.code < 300

    @property
    def later(self) -> bool:
        """Tell whether it says "not now"."""
        return 400 <= self.code < 500

    @property
    def never(self) -> bool:
        """Tell whether it says no for good."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        """Return the code and the words on one line."""
        return f"{self.code} {' '.join(self.text.split())}".strip()


class Session:
    """One connection. `left` returns the seconds that remain, and raises TimeoutError when none do.

    `fresh` is for its user: whether it has carried no mail yet.
    """

    def __init__(self, connection: socket.socket, left: Callable[[], float]) -> None:
        """Take over a connected socket; nothing is read or written yet."""
        self.left = left
        self.fresh = True
        self.extensions: dict[str, str] = {}
        self._socket = connection
        self._buffer = bytearray()

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
        if self._buffer:
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
        texts: list[str] = []
        for _ in range(MAX_REPLY_LINES):
            found = _REPLY.fullmatch(self._line())
            if not found:
                raise Lost("the server does not speak SMTP")
            texts.append((found[3] or b"").decode("utf-8", "replace"))
            if found[2] != b"-":
                return Reply(int(found[1]), "\n".join(texts))
        raise Lost(f"a reply has more than {MAX_REPLY_LINES} lines")

    def close(self) -> None:
        """Close the connection without a word."""
        self._socket.close()

    def quit(self) -> None:
        """Say goodbye, as far as the time allows, and close."""
        try:
            self.command("QUIT")
        except Lost:
            pass
        self.close()

    @property
    def local_address(self) -> str:
        """Return our own IP address as this connection shows it."""
        return str(self._socket.getsockname()[0])

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_REPLY_LINE:
                raise Lost("the server does not speak SMTP")
            self._read_more()
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _read_more(self) -> None:
        try:
            self._socket.settimeout(self.left())
            octets = self._socket.recv(8192)
        except OSError as error:
            raise Lost(_words(error)) from error
        if not octets:
            raise Lost("the server closed the connection")
        self._buffer += octets


def stuff(octets: bytes) -> bytes:
    """Double the dots at line starts (RFC 5321, 4.5.2). The octets end in CRLF; the final dot is not added."""
    return _LINE_DOT.sub(b"..", octets) if b"\n." in octets or octets.startswith(b".") else octets


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _words(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else (error.strerror or str(error) or "the connection broke")
