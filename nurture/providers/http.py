"""One request over HTTP, with a total deadline, and what its end proves. The only module that knows httpx.

Nothing is tried twice here, and no redirect is followed. An exception says whether the request may have reached the
other side: `Unreachable` (no byte went out) or `NoAnswer` (nobody knows).
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from nurture.errors import ProviderError
from nurture.providers.base import Deadline, connect_any, reason

MAX_BODY = 32 * 1024 * 1024
MAX_RETRY_AFTER = 3600.0
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


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that came in whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Http:
    """Talks to one base URL over a few kept connections. May be used by many threads at once."""

    def __init__(self, base_url: str, *, connections: int = 4) -> None:
        """Talk to `base_url`. Raises ProviderError when it is no http(s) URL."""
        url = httpx.URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ProviderError(f"{base_url!r} is not a base URL: write https://HOST")
        self._where = f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"
        self._network = _Network()
        self._client = httpx.Client(
            base_url=url, transport=_Transport(self._network, connections), follow_redirects=False, trust_env=False
        )

    def post(self, request: Request, deadline: Deadline) -> Response:
        """Post and read the whole answer before the deadline. Raises Unreachable or NoAnswer, each with its reason."""
        return self._ask("POST", request, deadline)

    def get(self, path: str, deadline: Deadline) -> Response:
        """Get and read the whole answer before the deadline. Raises Unreachable or NoAnswer, each with its reason."""
        return self._ask("GET", Request(path, {}, b""), deadline)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, request: Request, deadline: Deadline) -> Response:
        try:
            with self._network.until(deadline):
                return self._whole(method, request)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            raise Unreachable(f"cannot reach {self._where}: {reason(error)}") from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpx.HTTPError) as error:
            raise NoAnswer(f"no answer from {self._where}: {_words(error)}") from error

    def _whole(self, method: str, request: Request) -> Response:
        content = request.body or None
        with self._client.stream(method, request.path, content=content, headers=request.headers) as answer:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise httpx.DecodingError(f"the answer is larger than {MAX_BODY} bytes")
            return Response(answer.status_code, dict(answer.headers), bytes(body))


def retry_after(response: Response) -> float | None:
    """Return the seconds in Retry-After (RFC 9110, 10.2.3), from 0 to an hour; None when it says nothing sensible.

    A date counts from the answer's own Date, so that nobody's clock matters.
    """
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


def _words(error: Exception) -> str:
    return "timed out" if isinstance(error, httpcore.TimeoutException) else reason(error)


class _Transport(httpx.BaseTransport):
    """httpx over a pool whose sockets obey the deadline."""

    def __init__(self, network: _Network, connections: int) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=connections,
            keepalive_expiry=_KEEP_ALIVE,
            retries=0,
            network_backend=network,
        )
        self._network = network

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body is read as a stream."""
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.read(),
                extensions={"timeout": {"pool": self._network.deadline.left()}},
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Network(httpcore.NetworkBackend):
    """Sockets of httpcore that ask the calling thread's deadline before each wait."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
        self._local = threading.local()

    @property
    def deadline(self) -> Deadline:
        deadline = self._local.deadline
        assert isinstance(deadline, Deadline)
        return deadline

    @contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        self._local.deadline = deadline
        try:
            yield
        finally:
            del self._local.deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        def connect(address: str, seconds: float) -> httpcore.NetworkStream:
            try:
                return self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                raise OSError(None, _words(error)) from error

        try:
            return _Stream(connect_any(host, port, self.deadline, connect), self)
        except OSError as error:
            raise httpcore.ConnectError(reason(error)) from error


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, network: _Network) -> None:
        self._inner = inner
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # The inner stream waits anew for every part that it hands over: parts of a megabyte keep the deadline.
        view = memoryview(buffer)
        for start in range(0, len(view), 65_536):
            self._inner.write(bytes(view[start : start + 65_536]), self._left(httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._left(httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._network)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)

    def _left(self, over: type[Exception]) -> float:
        left = self._network.deadline.left()
        if left <= 0:
            raise over("timed out")
        return left
