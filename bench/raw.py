"""The raw ceilings: the same octets to the same sink with nothing around them, each in a process of its own.

A process of its own, because that is how everything else is measured: in one that has run for a while the memory for
what is received costs nothing any more, and asyncio's streams are twice as fast. The octets are prepared and the
connections are kept.

`smtp` and `http` are as tight as Python can be, what no engine in Python can pass. The two others are what a client of
pipelined SMTP commonly is, asyncio's streams with every reply read: it says MAIL, RCPT and DATA in one write, and that
either after the answer to the mail before (`after the answer`) or behind the body before (`behind the body`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

RECEIVE = 65_536
Letter = tuple[bytes, bytes]
"""An envelope, and a body with its final dot."""


def measure(kind: str, port: int, octets: Path, *, connections: int = 4) -> tuple[float, float]:
    """Return seconds and CPU seconds of sending what is in a file of `kept`, one of KINDS, in a new process."""
    words = [kind, "--port", str(port), "--octets", str(octets), "--connections", str(connections)]
    ran = subprocess.run([sys.executable, "-m", "bench.raw", *words], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"measuring raw {kind} failed: {ran.stderr or ran.stdout}")
    found = json.loads(ran.stdout)
    return found["seconds"], found["cpu_seconds"]


@contextmanager
def kept(octets: Iterable[bytes]) -> Iterator[Path]:
    """Yield a file of all of `octets` for `measure`: of SMTP envelope, body, envelope, body; of HTTP requests."""
    with tempfile.TemporaryDirectory(prefix="nurture-bench-") as folder:
        path = Path(folder) / "octets"
        with path.open("wb") as file:
            for each in octets:
                file.write(len(each).to_bytes(4, "big") + each)
        yield path


def main(arguments: Sequence[str] | None = None) -> None:
    """Send in this process and print a JSON line."""
    parser = argparse.ArgumentParser(prog="python -m bench.raw", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True, help="of a sink on 127.0.0.1")
    parser.add_argument("--octets", type=Path, required=True, metavar="FILE")
    parser.add_argument("--connections", type=int, default=4)
    wanted = parser.parse_args(arguments)
    octets = list(_read(wanted.octets))
    began, cpu = time.perf_counter(), time.process_time()
    KINDS[wanted.kind](wanted.port, octets, wanted.connections)
    told = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({"measured": f"raw {wanted.kind}", **told}))


def _read(path: Path) -> Iterator[bytes]:
    """Yield one after the other: a large block that is freed again would warm the memory."""
    with path.open("rb") as file:
        while head := file.read(4):
            yield file.read(int.from_bytes(head, "big"))


def _letters(octets: Sequence[bytes]) -> deque[Letter]:
    return deque(zip(octets[::2], octets[1::2], strict=True))


def smtp(port: int, octets: Sequence[bytes], connections: int) -> None:
    """Send letters over sockets, each envelope behind the body before it."""
    waiting = _letters(octets)
    sockets = [_hello(port) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        going = 0
        for connection in sockets[: len(waiting)]:
            envelope, body = waiting.popleft()
            connection.sendall(envelope)
            selector.register(connection, selectors.EVENT_READ, (connection, [body]))
            going += 1
        while going:
            for key, _ in selector.select():
                connection, held = key.data
                said: bytes = connection.recv(RECEIVE)
                if said.endswith(b"354 go\r\n"):
                    body = held.pop()
                    if waiting:
                        envelope, following = waiting.popleft()
                        held.append(following)
                        body += envelope
                    connection.sendall(body)
                elif not held:
                    selector.unregister(connection)
                    going -= 1
    for connection in sockets:
        connection.close()


def after_the_answer(port: int, octets: Sequence[bytes], connections: int) -> None:
    """Send letters over asyncio's streams, each envelope after the answer to the mail before. Raises RuntimeError."""
    asyncio.run(_pipelined(port, octets, connections, behind=False))


def behind_the_body(port: int, octets: Sequence[bytes], connections: int) -> None:
    """Send letters over asyncio's streams, each envelope behind the body before it. Raises RuntimeError."""
    asyncio.run(_pipelined(port, octets, connections, behind=True))


async def _pipelined(port: int, octets: Sequence[bytes], connections: int, *, behind: bool) -> None:
    waiting = _letters(octets)
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    for reader, writer in streams:
        await reader.readline()
        writer.write(b"EHLO bench\r\n")
        while not (await reader.readline()).startswith(b"250 "):
            pass
    send = _each_behind_the_body if behind else _each_after_the_answer
    await asyncio.gather(*(send(*stream, waiting) for stream in streams))
    for _, writer in streams:
        writer.close()
        await writer.wait_closed()


async def _each_after_the_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: deque[Letter]
) -> None:
    while waiting:
        envelope, body = waiting.popleft()
        writer.write(envelope)
        await _replies(reader, b"250", b"250", b"354")
        writer.write(body)
        await _replies(reader, b"250")


async def _each_behind_the_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: deque[Letter]
) -> None:
    if not waiting:
        return
    envelope, body = waiting.popleft()
    writer.write(envelope)
    while body:
        await _replies(reader, b"250", b"250", b"354")
        envelope, following = waiting.popleft() if waiting else (b"", b"")
        writer.write(body + envelope)
        await _replies(reader, b"250")
        body = following


async def _replies(reader: asyncio.StreamReader, *wanted: bytes) -> None:
    for code in wanted:
        if not (line := await reader.readline()).startswith(code):
            raise RuntimeError(f"the sink said {line!r}")


def http(port: int, requests: Sequence[bytes], connections: int) -> None:
    """Send whole requests, one at a time on each connection, and read their answers."""
    waiting = deque(requests)
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        going = 0
        for connection in sockets[: len(waiting)]:
            connection.sendall(waiting.popleft())
            selector.register(connection, selectors.EVENT_READ, (connection, [0]))
            going += 1
        while going:
            for key, _ in selector.select():
                connection, missing = key.data
                octets = connection.recv(RECEIVE)
                if missing[0] == 0:
                    head, _, rest = octets.partition(b"\r\n\r\n")
                    missing[0] = int(head.rpartition(b":")[2]) - len(rest)
                else:
                    missing[0] -= len(octets)
                if missing[0]:
                    continue
                if waiting:
                    connection.sendall(waiting.popleft())
                else:
                    selector.unregister(connection)
                    going -= 1
    for connection in sockets:
        connection.close()


def _hello(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.recv(RECEIVE)
    connection.sendall(b"EHLO bench\r\n")
    heard = b""
    while b"250 " not in heard:
        heard += connection.recv(RECEIVE)
    return connection


KINDS: dict[str, Callable[[int, Sequence[bytes], int], None]] = {
    "smtp": smtp,
    "after the answer": after_the_answer,
    "behind the body": behind_the_body,
    "http": http,
}

if __name__ == "__main__":
    main()
