"""Answers over HTTP/1.1, read from whatever octets have come in so far. No socket.

What nearly every answer is (headers, Content-Length, a body) is read here; everything else (chunks, a body that ends
with the connection, informational answers, malformed ones) is h11's business, from the first octet on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import h11

from nurture.providers.lines import Lost

MAX_BODY = 32 * 1024 * 1024
MAX_HEAD = 65_536

_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t -~\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_BARE = frozenset({204, 304})  # answers without a body, whatever their headers say


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that came in whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Answer:
    """One answer that is coming in. Once it is there, `reusable` tells whether its connection can carry another."""

    def __init__(self) -> None:
        """Wait for the first octet."""
        self.reusable = False
        self._octets = bytearray()
        self._head: tuple[int, dict[str, str], int, int] | None = None
        self._h11: _Slowly | None = None

    def hear(self, octets: bytes) -> Response | None:
        """Return the answer once it is whole; no octets are the end of the stream. Raises Lost for what is none."""
        if self._h11 is None:
            self._octets += octets
            if self._head is None and not self._begin(octets):
                return None
            if self._head:
                return self._whole(*self._head)
            self._h11, octets = _Slowly(), bytes(self._octets)
        answer = self._h11.hear(octets)
        self.reusable = self._h11.reusable
        return answer

    def _begin(self, octets: bytes) -> bool:
        """Read the head when it is there; tell whether there is anything to go on with."""
        end = self._octets.find(b"\r\n\r\n")
        if end >= 0:
            self._head = _plain_head(bytes(self._octets[:end]))
            return True
        return not octets or len(self._octets) > MAX_HEAD

    def _whole(self, status: int, headers: dict[str, str], start: int, length: int) -> Response | None:
        missing = start + length - len(self._octets)
        if missing > 0:
            return None
        self.reusable = missing == 0 and headers.get("connection", "").lower() != "close"
        return Response(status, headers, bytes(self._octets[start : start + length]))


def _plain_head(head: bytes) -> tuple[int, dict[str, str], int, int] | None:
    """Return status, headers, and start and length of the body; None for anything but the usual."""
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if status is None:
        return None
    headers = {found[1].decode().lower(): found[2].decode("latin-1") for found in fields if found}
    length = headers.get("content-length", "")
    usual = len(headers) == len(lines) and "transfer-encoding" not in headers and int(status[1]) not in _BARE
    if not usual or not length.isascii() or not length.isdigit() or len(length) > 9:
        return None
    if int(length) > MAX_BODY:
        raise Lost(f"the answer is larger than {MAX_BODY} bytes")
    return int(status[1]), headers, len(head) + 4, int(length)


class _Slowly:
    """The same by h11."""

    def __init__(self) -> None:
        self.reusable = False
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._connection.send(
            h11.Request(method="POST", target="/", headers=[("Host", "any"), ("Content-Length", "0")])
        )
        self._connection.send(h11.EndOfMessage())
        self._response: h11.Response | None = None
        self._body = bytearray()

    def hear(self, octets: bytes) -> Response | None:
        try:
            self._connection.receive_data(octets)
            while (event := self._connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self._response = event
                elif isinstance(event, h11.Data):
                    self._add(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    return self._end()
                elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    raise Lost("the server closed the connection")
        except h11.RemoteProtocolError as error:
            raise Lost(f"the answer is no HTTP: {error}") from error
        return None

    def _add(self, octets: bytes) -> None:
        self._body += octets
        if len(self._body) > MAX_BODY:
            raise Lost(f"the answer is larger than {MAX_BODY} bytes")

    def _end(self) -> Response:
        assert self._response
        left, closed = self._connection.trailing_data
        self.reusable = self._connection.their_state is h11.DONE and not left and not closed
        headers: dict[str, str] = {}
        for name, value in self._response.headers:
            known = headers.get(name.decode())
            headers[name.decode()] = f"{known}, {value.decode('latin-1')}" if known else value.decode("latin-1")
        return Response(self._response.status_code, headers, bytes(self._body))
