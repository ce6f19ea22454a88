"""A few kept connections, driven together by the thread that sends: nobody waits for one while another could go on.

What is said on a connection is its `Talk`'s business, which sees octets and no socket; what a mail's fate is when the
connection breaks follows from how many octets may have left. Connections are opened by threads, because greeting,
encrypting and logging in take turns of their own; from then on one thread reads and writes them all.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, Protocol, TypeVar

from nurture.providers.base import Deadline, reason

RECEIVE = 65_536
TLS_PIECE = 16_384
"""Octets handed to TLS at once: a record. What TLS was handed may have left, whatever it says."""

LAST_WORDS = 0.2
"""Seconds that a line which is still being opened when the time is over has to say why it came to nothing."""

_NOTHING = memoryview(b"")
"""Nothing to send. The end of something that was sent would keep all of that."""

_LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Lost(Exception):
    """The conversation is over: the connection broke, the time ran out, or the other side breaks the protocol."""


class NoLine(Exception):
    """No connection can be had, so nothing was begun on it."""


class Work(Protocol):
    """What is to be done in one run. `reserved` is how much of it belongs to lines that are still being opened."""

    reserved: int

    def waiting(self) -> int:
        """Return how much nobody has begun."""
        ...


W = TypeVar("W", bound=Work)
W_contra = TypeVar("W_contra", bound=Work, contravariant=True)


class Talk(Protocol[W_contra]):
    """One side of a conversation. It takes pieces of work, and settles them or gives them back."""

    def begin(self, work: W_contra) -> bytes:
        """Return the first words for a piece of this work; b"" when none waits."""
        ...

    def hear(self, octets: bytes) -> bytes:
        """Return what to say next, b"" for nothing. Raises Lost when the conversation cannot go on.

        No octets are the end of the stream: nothing can be said any more.
        """
        ...

    def lost(self, gone: int, why: str) -> None:
        """Settle what is in flight, or give it back; of all that was said, the first `gone` octets may have left."""
        ...

    def goodbye(self, deadline: Deadline) -> None:
        """Say the last words and close the connection, which may be waited for again."""
        ...

    @property
    def busy(self) -> bool:
        """Tell whether an answer is waited for."""
        ...


class Line(Generic[W]):
    """A connection that is never waited for."""

    def __init__(self, connection: socket.socket, talk: Talk[W]) -> None:
        """Take over a connected socket and the talk on it."""
        connection.setblocking(False)
        self.connection = connection
        self.talk = talk
        self.parked_at = 0.0
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self._rest = _NOTHING
        self._sent = 0
        self._offered = 0

    @property
    def gone(self) -> int:
        """Return how many octets of all that was said may have left."""
        return self._sent + self._offered

    @property
    def waiting(self) -> bool:
        """Tell whether something said has not left yet."""
        return len(self._rest) > 0

    def say(self, octets: bytes) -> bool:
        """Send what the connection takes now, and keep the rest for `flush`. Return whether all of it left.

        Raises OSError.
        """
        sent = 0
        if not self._rest and not self._is_tls:
            try:
                sent = self.connection.send(octets)
            except _LATER:
                sent = 0
            self._sent += sent
            if sent == len(octets):
                return True
        self._rest = memoryview(bytes(self._rest) + octets) if self._rest else memoryview(octets)[sent:]
        self.flush()
        return not self._rest

    def flush(self) -> None:
        """Send more of what was said. Raises OSError."""
        while self._rest:
            piece = self._rest[:TLS_PIECE] if self._is_tls else self._rest
            self._offered = len(piece) if self._is_tls else 0
            try:
                sent = self.connection.send(piece)
            except _LATER:
                return
            self._offered = 0
            self._sent += sent
            self._rest = self._rest[sent:] or _NOTHING

    def receive(self) -> bytes | None:
        """Return what has come in: None when nothing has, b"" at the end of the stream. Raises OSError."""
        try:
            octets = self.connection.recv(RECEIVE)
        except _LATER:
            return None
        while self._is_tls and self.connection.pending():  # type: ignore[attr-defined]
            octets += self.connection.recv(RECEIVE)
        return octets

    def is_quiet(self) -> bool:
        """Tell whether an idle connection is still as it was left: open, and with nothing said."""
        try:
            return self.receive() is None
        except OSError:
            return False

    def close(self) -> None:
        """Close the connection without a word."""
        self.connection.close()


class Lines(Generic[W]):
    """Opens up to `connections` lines with `open_line`, and keeps them for `keep` seconds of idleness."""

    def __init__(
        self,
        connections: int,
        open_line: Callable[[Deadline], Line[W]],
        *,
        keep: float = float("inf"),
        name: str = "line",
    ) -> None:
        """Open nothing yet. `open_line` runs in a thread, waits as it must, and raises NoLine."""
        self.connections = connections
        self._open_line = open_line
        self._keep = keep
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix=name)
        self._idle: list[Line[W]] = []
        self._lock = threading.Lock()

    def run(self, work: W, deadline: Deadline) -> NoLine | None:
        """Talk until no work waits or is in flight, or the time is over, or no line can be had.

        Return why the last line that could not be had was not.
        """
        with _Run(self, work, deadline) as run:
            run.go()
            return run.failed

    def take(self) -> Line[W] | None:
        """Return an idle line that is still open, if there is one."""
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None or (time.monotonic() - line.parked_at < self._keep and line.is_quiet()):
                return line
            line.close()

    def park(self, line: Line[W]) -> None:
        """Keep a line on which nothing is in flight."""
        line.parked_at = time.monotonic()
        with self._lock:
            if len(self._idle) < self.connections:
                self._idle.append(line)
                return
        line.close()

    def open(self, deadline: Deadline) -> Future[Line[W]]:
        """Begin to open a line."""
        return self._pool.submit(self._open_line, deadline)

    def close(self) -> list[Line[W]]:
        """End the threads and return the idle lines, for last words. May be called twice."""
        self._pool.shutdown()
        with self._lock:
            lines, self._idle = self._idle, []
        return lines


class _Run(Generic[W]):
    """One call of `run`: the lines that talk, and those that are being opened."""

    def __init__(self, lines: Lines[W], work: W, deadline: Deadline) -> None:
        self.failed: NoLine | None = None
        self._lines = lines
        self._work = work
        self._deadline = deadline
        self._room = lines.connections
        self._talking: set[Line[W]] = set()
        self._opening: set[Future[Line[W]]] = set()
        self._opened: deque[Future[Line[W]]] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._ringing = threading.Lock()

    def __enter__(self) -> _Run[W]:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._talking:
            line.talk.lost(line.gone, "timed out")
            line.close()
        self._selector.close()
        with self._ringing:
            for end in self._bell or ():
                end.close()
            self._bell = None

    def go(self) -> None:
        self._fill()
        while self._talking or (self._opening and self._work.waiting()):
            left = self._deadline.left()
            if left <= 0:
                break
            for key, _ in self._selector.select(left):
                if key.data is None:
                    self._answer_bell()
                else:
                    self._serve(key.data)
        self._leave()

    def _fill(self) -> None:
        """Have as many lines as there is work for: idle ones first, then new ones."""
        if self._deadline.left() <= 0:
            return
        while len(self._talking) + len(self._opening) < self._room and self._work.waiting() > len(self._opening):
            line = self._lines.take()
            if line is None:
                self._open()
            else:
                self._start(line)

    def _open(self) -> None:
        if self._bell is None:
            self._bell = socket.socketpair()
            self._selector.register(self._bell[0], selectors.EVENT_READ, None)
        future = self._lines.open(self._deadline)
        self._opening.add(future)
        self._work.reserved = len(self._opening)
        future.add_done_callback(self._ring)

    def _ring(self, future: Future[Line[W]]) -> None:
        """Tell the thread that talks of a line that is open; called in the thread that opened it."""
        self._opened.append(future)
        with self._ringing:
            if self._bell:  # else the run is over, and `_leave` saw to the line
                self._bell[1].send(b"!")

    def _answer_bell(self) -> None:
        assert self._bell
        self._bell[0].recv(64)
        while self._opened:
            future = self._opened.popleft()
            self._opening.discard(future)
            self._work.reserved = len(self._opening)
            try:
                self._start(future.result())
            except NoLine as failed:
                self.failed = failed
                self._room -= 1
        self._fill()

    def _start(self, line: Line[W]) -> None:
        words = line.talk.begin(self._work)
        if not words:
            self._lines.park(line)
            return
        self._talking.add(line)
        self._selector.register(line.connection, selectors.EVENT_READ, line)
        self._say(line, words)

    def _say(self, line: Line[W], words: bytes) -> None:
        try:
            if not line.say(words):
                self._selector.modify(line.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
        except OSError as error:
            self._drop(line, reason(error))

    def _serve(self, line: Line[W]) -> None:
        """Go on with a line that can be read or written."""
        try:
            if line.waiting:
                self._flush(line)
            octets = line.receive()
            words = b"" if octets is None else line.talk.hear(octets)
            if octets == b"":
                raise Lost("the server closed the connection")
        except (OSError, Lost) as error:
            self._drop(line, reason(error))
            return
        if words:
            self._say(line, words)
        elif octets and not line.talk.busy:
            self._finish(line)

    def _flush(self, line: Line[W]) -> None:
        line.flush()
        if not line.waiting:
            self._selector.modify(line.connection, selectors.EVENT_READ, line)

    def _finish(self, line: Line[W]) -> None:
        self._selector.unregister(line.connection)
        self._talking.discard(line)
        self._lines.park(line)

    def _drop(self, line: Line[W], why: str) -> None:
        self._selector.unregister(line.connection)
        self._talking.discard(line)
        line.talk.lost(line.gone, why)
        line.close()
        self._fill()

    def _leave(self) -> None:
        """See to lines that are still being opened: they are kept for the next run, or say why they failed."""
        if self._work.waiting() and not self._talking and not self.failed:
            wait(self._opening, LAST_WORDS)
        for future in self._opening:
            if future.done() and isinstance(error := future.exception(), NoLine):
                self.failed = error
            future.add_done_callback(self._keep)

    def _keep(self, future: Future[Line[W]]) -> None:
        if future.cancelled() or future.exception():
            return
        self._lines.park(future.result())
