"""The raw ceiling: the same octets to the same sink with nothing around them.

Prepared before the clock starts, over kept connections, as tightly as Python can: what no engine in Python can pass.
"""

from __future__ import annotations

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
