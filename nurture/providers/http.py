"""Requests over HTTP, with a total deadline, and what their ends prove. The only module that knows httpx.

httpx is the client, over connections of our own (its own pool costs milliseconds a request); where one request a mail
matters, `post_each` goes to those connections directly. Nothing is tried twice here, and no redirect is followed. An
exception says whether the request may have reached the other side: `Unreachable` (no byte went out) or `NoAnswer`
(nobody knows).
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

from nurture.errors import ProviderError
from nurture.providers.answers import MAX_BODY, Answer, Response
from nurture.providers.base import Deadline, connect_any, reason
from nurture.providers.lines import Line, Lines, Lost, NoLine

__all__ = ["Http", "NoAnswer", "Request", "Response", "Result", "Unreachable", "retry_after"]

MAX_RETRY_AFTER = 3600.0

TOO_MANY = 429
UNSAID = 60.0
"""Seconds to wait after 429 Too Many Requests when it does not say how long, or says nothing sensible."""
"""Seconds; a provider that asks for more is asked again after an hour."""

_KEEP_ALIVE = 4.0  # below the idle timeouts of servers, so that no request meets a connection that is just closing


class Unreachable(Exception):
    """No byte of the request went out: DNS, connecting or TLS failed."""


class NoAnswer(Exception):
    """The request began, and its end is not known."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST. Headers may hold a token: they do not show."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Result = Response | Unreachable | NoAnswer


class Http:
    """Talks to one base URL over a few kept connections. May be used by many threads at once."""

    def __init__(self, base_url: str, *, connections: int = 4) -> None:
        """Talk to `base_url`. Raises ProviderError when it is no http(s) URL."""
        url = httpx.URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ProviderError(f"{base_url!r} is not a base URL: write https://HOST")
        self._base = url
        self._transport = _Transport(url, connections)
        self._client = httpx.Client(
            base_url=url, transport=self._transport, follow_redirects=False, trust_env=False, timeout=None
        )

    def post(self, request: Request, deadline: Deadline) -> Response:
        """Post and read the whole answer before the deadline. Raises Unreachable or NoAnswer, each with its reason."""
        return self._ask("POST", request, deadline)

    def get(self, path: str, deadline: Deadline) -> Response:
        """Get and read the whole answer before the deadline. Raises Unreachable or NoAnswer, each with its reason."""
        return self._ask("GET", Request(path, {}, b""), deadline)

    def post_each(
        self, requests: Sequence[Request], answered: Callable[[int, Result], bool], deadline: Deadline
    ) -> Unreachable | None:
        """Post them all over all connections at once, and tell `answered` the number and the result of each.

        When `answered` returns False no other is begun. Those of which it never hears were not begun; return why,
        where it was for want of a connection.
        """
        prefix = self._base.raw_path.rstrip(b"/").decode()
        host = self._base.netloc.decode()
        octets = [_octets(request, prefix, host) for request in requests]
        return self._transport.exchange(octets, answered, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, request: Request, deadline: Deadline) -> Response:
        content = request.body or None
        extensions = {"deadline": deadline}
        try:
            with self._client.stream(
                method, request.path, content=content, headers=request.headers, extensions=extensions
            ) as answer:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise httpx.DecodingError(f"the answer is larger than {MAX_BODY} bytes")
                return Response(answer.status_code, dict(answer.headers), bytes(body))
        except httpx.HTTPError as error:
            raise NoAnswer(f"no answer from {self._transport.where}: {reason(error)}") from error


def retry_after(response: Response) -> float | None:
    """Return for how many seconds we are asked to wait, from 0 to an hour; None when we are not.

    Retry-After (RFC 9110, 10.2.3) says so; a date counts from the answer's own Date, so that nobody's clock matters. A
    429 (RFC 6585) always asks for it, even where it does not say how long.
    """
    said = _said(response)
    return UNSAID if said is None and response.status == TOO_MANY else said


def _said(response: Response) -> float | None:
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER)
    until, sent = _moment(value), _moment(response.headers.get("date", ""))
    if until is None or sent is None:
        return None
    try:
        return min(max(0.0, (until - sent).total_seconds()), MAX_RETRY_AFTER)
    except TypeError:  # one of them names no zone
        return None


def _moment(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None


# --- connections ------------------------------------------------------------------------------------------------------


class _Transport(httpx.BaseTransport):
    """httpx over a few kept connections that obey a deadline."""

    def __init__(self, url: httpx.URL, connections: int) -> None:
        self._host = url.raw_host.decode()
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self.where = f"{url.host}:{self._port}"
        self._context = ssl.create_default_context() if url.scheme == "https" else None
        self._lines = Lines(connections, self._open, keep=_KEEP_ALIVE, name="http")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of httpx's. Raises Unreachable or NoAnswer."""
        deadline = request.extensions["deadline"]
        assert isinstance(deadline, Deadline)
        head = b"\r\n".join(b"%b: %b" % pair for pair in request.headers.raw)
        octets = b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (
            request.method.encode(),
            request.url.raw_path,
            head,
            request.read(),
        )
        results: list[Result] = []

        def answered(_: int, result: Result) -> bool:
            results.append(result)
            return True

        failed = self.exchange([octets], answered, deadline)
        result = results[0] if results else failed or Unreachable(f"cannot reach {self.where}: timed out")
        if not isinstance(result, Response):
            raise result
        return httpx.Response(result.status, headers=result.headers, stream=httpx.ByteStream(result.body))

    def exchange(
        self, requests: Sequence[bytes], answered: Callable[[int, Result], bool], deadline: Deadline
    ) -> Unreachable | None:
        """Send whole requests; see `Http.post_each`."""
        failed = self._lines.run(_Posts(requests, answered, self.where), deadline)
        return Unreachable(str(failed)) if failed else None

    def close(self) -> None:
        """Close the idle connections and end the threads."""
        for line in self._lines.close():
            line.close()

    def _open(self, deadline: Deadline) -> Line[_Posts]:
        def connect(address: str, seconds: float) -> socket.socket:
            return socket.create_connection((address, self._port), seconds)

        try:
            connection = connect_any(self._host, self._port, deadline, connect)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                connection = self._context.wrap_socket(connection, server_hostname=self._host)
        except OSError as error:
            raise NoLine(f"cannot reach {self.where}: {reason(error)}") from error
        return Line(connection, _Talk(connection))


class _Posts:
    """The requests of one call: those that wait, and whom to tell of the others."""

    def __init__(self, requests: Sequence[bytes], answered: Callable[[int, Result], bool], where: str) -> None:
        self.reserved = 0
        self.where = where
        self._requests = requests
        self._answered = answered
        self._waiting = deque(range(len(requests)))

    def waiting(self) -> int:
        return len(self._waiting)

    def take(self) -> tuple[int, bytes]:
        number = self._waiting.popleft()
        return number, self._requests[number]

    def settle(self, number: int, result: Result) -> None:
        if not self._answered(number, result):
            self._waiting.clear()


_NONE = _Posts((), lambda *_: True, "")


class _Talk:
    """Requests on one connection, each after the answer to the one before."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._posts = _NONE
        self._number: int | None = None
        self._answer = Answer()
        self._said = 0
        self._began_at = 0

    @property
    def busy(self) -> bool:
        return self._number is not None

    def begin(self, work: _Posts) -> bytes:
        self._posts = work
        return self._next()

    def hear(self, octets: bytes) -> bytes:
        if self._number is None:
            raise Lost("the server speaks out of turn")
        response = self._answer.hear(octets)
        if response is None:
            return b""
        number, self._number = self._number, None
        self._posts.settle(number, response)
        if not self._answer.reusable:
            raise Lost("the server closes the connection")
        return self._next()

    def lost(self, gone: int, why: str) -> None:
        number, self._number = self._number, None
        if number is None:
            return
        where = self._posts.where
        if gone > self._began_at:
            self._posts.settle(number, NoAnswer(f"no answer from {where}: {why}"))
        else:
            self._posts.settle(number, Unreachable(f"cannot reach {where}: {why}"))

    def goodbye(self, deadline: Deadline) -> None:
        self._connection.close()

    def _next(self) -> bytes:
        if not self._posts.waiting():
            self._posts = _NONE  # which may be megabytes
            return b""
        self._number, octets = self._posts.take()
        self._answer, self._began_at = Answer(), self._said
        self._said += len(octets)
        return octets


def _octets(request: Request, prefix: str, host: str) -> bytes:
    """Return a POST as it goes over the wire. Raises ValueError for a header that would begin another."""
    lines = [f"POST {prefix}{request.path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(request.body)}")
    head = "\r\n".join(lines)
    if not head.isascii() or head.count("\n") != len(lines) - 1:
        raise ValueError("a header of the request holds a line end, or is not ASCII")
    return b"%b\r\n\r\n%b" % (head.encode(), request.body)
