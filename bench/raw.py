"""The raw ceiling: the same octets to the same sink with nothing around them.

Prepared before the clock starts, over kept connections. `smtp` and `http` are as tight as Python can be, what no engine
in Python can pass. `pipelined` is what a pipelined client of SMTP is commonly: asyncio's streams, every reply read.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections import deque
from collections.abc import Sequence

RECEIVE = 262_144


def smtp(port: int, letters: Sequence[tuple[bytes, bytes]], *, connections: int = 4) -> None:
    """Send (envelope, body with its final dot) pairs, each envelope behind the body before it."""
    waiting = deque(letters)
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
                octets = connection.recv(RECEIVE)
                if octets.endswith(b"354 go\r\n"):
                    body = held[0]
                    if waiting:
                        envelope, held[0] = waiting.popleft()
                        body += envelope
                    connection.sendall(body)
                else:
                    selector.unregister(connection)
                    going -= 1
    for connection in sockets:
        connection.close()


def pipelined(port: int, letters: Sequence[tuple[bytes, bytes]], *, connections: int = 4) -> None:
    """Send the same pairs over as many streams, each envelope behind the body before it. Raises RuntimeError."""
    asyncio.run(_pipelined(port, letters, connections))


async def _pipelined(port: int, letters: Sequence[tuple[bytes, bytes]], connections: int) -> None:
    waiting = deque(letters)
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    for reader, writer in streams:
        await reader.readline()
        writer.write(b"EHLO bench\r\n")
        while not (await reader.readline()).startswith(b"250 "):
            pass
    await asyncio.gather(*(_one_after_the_other(*stream, waiting) for stream in streams))
    for _, writer in streams:
        writer.close()
        await writer.wait_closed()


async def _one_after_the_other(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: deque[tuple[bytes, bytes]]
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


def http(port: int, requests: Sequence[bytes], *, connections: int = 4) -> None:
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
