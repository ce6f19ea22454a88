"""Where benchmark mail ends: a mail server and an HTTP mail API on the loopback that take everything and count it.

The sink is a C program, built on first use, so that it is never the bottleneck. Without a C compiler a sink in Python
takes its place: results are the sink's then, not ours, and are marked so.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import multiprocessing
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("sink.c")
SLOW = "the sink is Python (no C compiler that works: install gcc): it is the bottleneck, not what is measured"


class Counts(NamedTuple):
    """Mails and octets that a sink has taken, and the first and last moment of it in seconds (monotonic)."""

    mails: int
    octets: int
    first: float
    last: float


@dataclass(frozen=True)
class Sink:
    """A running sink. `note` says what is wrong with it, "" when nothing is."""

    kind: str
    port: int
    note: str
    _counts: mmap.mmap

    @property
    def endpoint(self) -> str:
        """Return its URL."""
        return f"{self.kind}://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        """Return what it has taken so far."""
        mails, octets, first, last = struct.unpack("QQQQ", self._counts[:32])
        return Counts(mails, octets, first / 1e9, last / 1e9)


@contextmanager
def sink(kind: str, *, python: bool = False) -> Iterator[Sink]:
    """Run a sink, `smtp` or `http`, for as long as the block lasts; `python` asks for the slow one."""
    program = None if python else build()
    with tempfile.TemporaryDirectory(prefix="nurture-bench-") as folder:
        file = Path(folder) / "counts"
        file.write_bytes(bytes(4096))
        with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 4096) as counts:
            if program:
                with _running(program, kind, file) as port:
                    yield Sink(kind, port, "", counts)
            else:
                with _python(kind, file) as port:
                    yield Sink(kind, port, SLOW, counts)


def build() -> Path | None:
    """Return the sink's program, built when it is not there yet; None without a C compiler for this system."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nurture-bench"
    program = folder / f"sink-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if program.exists():
        return program
    making = program.with_suffix(f".{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", making, SOURCE], capture_output=True, check=True)
        making.replace(program)
    except (OSError, subprocess.CalledProcessError):
        return None
    return program


@contextmanager
def _running(program: Path, kind: str, counts: Path) -> Iterator[int]:
    with subprocess.Popen([program, kind, counts], stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


# --- the slow one -----------------------------------------------------------------------------------------------------


@contextmanager
def _python(kind: str, counts: Path) -> Iterator[int]:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(kind, str(counts), theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()


def _serve(kind: str, counts: str, pipe: object) -> None:
    with open(counts, "r+b") as file:
        asyncio.run(_main(kind, _Tally(mmap.mmap(file.fileno(), 4096)), pipe))


async def _main(kind: str, tally: _Tally, pipe: object) -> None:
    talk = {"smtp": _smtp, "http": _http}[kind]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer, tally)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26)
    pipe.send(server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
    await server.serve_forever()


class _Tally:
    def __init__(self, counts: mmap.mmap) -> None:
        self._counts = counts
        self.mails = self.octets = self.first = 0

    def add(self, mails: int, octets: int) -> None:
        now = int(asyncio.get_running_loop().time() * 1e9)
        self.first = self.first or now
        self.mails += mails
        self.octets += octets
        self._counts[:32] = struct.pack("QQQQ", self.mails, self.octets, self.first, now)


async def _smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: _Tally) -> None:
    writer.write(b"220 sink ESMTP\r\n")
    while line := await reader.readline():
        word = line[:4].upper()
        if word == b"EHLO":
            writer.write(b"250-sink\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n")
        elif word == b"DATA":
            writer.write(b"354 go\r\n")
            body = b"\r\n"
            while not body.endswith(b"\r\n.\r\n"):
                body += await reader.readuntil(b".\r\n")
            tally.add(1, len(body) - 5)
            writer.write(b"250 2.0.0 Ok: queued as %X\r\n" % tally.mails)
        elif word == b"QUIT":
            writer.write(b"221 bye\r\n")
            return
        else:
            writer.write(b"250 2.0.0 Ok\r\n")


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: _Tally) -> None:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        is_batch = head.partition(b" http/")[0].endswith(b"/batch")
        mails = max(1, body.count(b'{"From":')) if is_batch else 1
        results = [
            b'{"ErrorCode":0,"Message":"OK","MessageID":"00000000-0000-4000-8000-%012x"}' % (tally.mails + number + 1)
            for number in range(mails)
        ]
        answer = b"[" + b",".join(results) + b"]" if is_batch else results[0]
        tally.add(mails, length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer))
        writer.write(answer)
