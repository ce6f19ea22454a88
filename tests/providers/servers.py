"""Real servers on loopback, in threads, that do what a test tells them to."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.smtp import SMTP

from nurture.core.words import Voice
from nurture.mail.wire import Outgoing

DATA = Path(__file__).parent.parent / "data"


def mails(count: int = 1, **changes: object) -> list[Outgoing]:
    """Return mails to ann0@example.com, ann1@example.com …, with ids from 1."""
    fields: dict[str, object] = {
        "voice": Voice.PERSONAL,
        "from_address": "rep@acme.example",
        "from_name": "Rep",
        "to_name": "Ann",
        "subject": "Hello",
        "text": "Hello Ann\n",
        "html": "<p>Hello Ann</p>\n",
        "date": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        **changes,
    }
    return [
        Outgoing(id=number + 1, to_address=f"ann{number}@example.com", message_id=f"<m{number}@acme.example>", **fields)  # type: ignore[arg-type]
        for number in range(count)
    ]


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- HTTP -------------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """One HTTP answer. `raw` is written as it is; `cut` drops the connection.

    `hang` says nothing until the end of the test, `drip` says a header one octet at a time.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False
    hang: bool = False
    drip: bool = False


class ScriptedHttp:
    """Answers POSTs one after the other from `answers`, or by the function `answer`."""

    def __init__(self, answers: Sequence[Answer | Callable[[list[dict[str, object]]], Answer]]) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[dict[str, str], list[dict[str, object]]]] = []
        self.paths: list[str] = []
        self.over = threading.Event()
        self.url = ""


@contextmanager
def http_server(*answers: Answer | Callable[[list[dict[str, object]]], Answer]) -> Iterator[ScriptedHttp]:
    """Serve answers in order; the last one stays."""
    script = ScriptedHttp(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted = json.loads(body)
            script.paths.append(self.path)
            script.requests.append(({name.lower(): value for name, value in self.headers.items()}, posted))
            answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            self.give(answer if isinstance(answer, Answer) else answer(posted))

        def give(self, answer: Answer) -> None:
            if answer.hang:
                script.over.wait(10)
            if answer.drip:
                self.drip()
            if answer.cut or answer.hang or answer.drip or answer.raw is not None:
                self.wfile.write(answer.raw or b"")
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            try:
                while not script.over.wait(0.02):
                    self.wfile.write(b"x")
            except OSError:
                pass

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def postmark_takes(posted: list[dict[str, object]]) -> Answer:
    """Answer as Postmark does when every mail is fine."""
    results = [
        {
            "ErrorCode": 0,
            "Message": "OK",
            "MessageID": f"pm-{number}",
            "SubmittedAt": "2026-01-02T03:04:05Z",
            "To": item["To"],
        }
        for number, item in enumerate(posted)
    ]
    return Answer(body=json.dumps(results).encode())


# --- SMTP -------------------------------------------------------------------------------------------------------------


class Postbox:
    """An aiosmtpd handler that keeps what it accepts; `refuse` maps a recipient to the reply to RCPT or to the mail."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, bytes]] = []
        self.mail_options: list[list[str]] = []
        self.refuse_rcpt: dict[str, str] = {}
        self.refuse_mail: dict[str, str] = {}
        self.refuse_sender: str | None = None

    async def handle_MAIL(self, server: SMTP, session: object, envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        self.mail_options.append(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: object, envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if address in self.refuse_rcpt:
            return self.refuse_rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: object, envelope) -> str:  # noqa: N802
        (recipient,) = envelope.rcpt_tos
        if recipient in self.refuse_mail:
            return self.refuse_mail[recipient]
        self.mails.append((envelope.mail_from, recipient, envelope.content))
        return f"250 2.0.0 Ok: queued as Q{len(self.mails)}"


@contextmanager
def smtp_server(
    handler: object, *, port: int = 0, implicit_tls: ssl.SSLContext | None = None, **settings: object
) -> Iterator[tuple[int, list[SMTP]]]:
    """Run aiosmtpd (on a free port, where none is named); yield its port and the connections that were made."""
    loop = asyncio.new_event_loop()
    made: list[SMTP] = []

    def connected() -> SMTP:
        made.append(SMTP(handler, loop=loop, **settings))  # type: ignore[arg-type]
        return made[-1]

    server = loop.run_until_complete(loop.create_server(connected, "127.0.0.1", port, ssl=implicit_tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], made
    finally:

        async def end() -> None:
            server.close()
            for connection in made:
                if connection.transport:
                    connection.transport.abort()
            await server.wait_closed()
            while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


HANG = b"hang"
DRIP = b"drip"
CUT = b""


@contextmanager
def line_server(script: dict[str, bytes | list[bytes]]) -> Iterator[tuple[int, list[str]]]:
    """Answer SMTP by the first word of each line (`.` is the end of the mail, `connect` the greeting).

    A list is used up one by one and its last entry stays. CUT closes the connection, HANG says nothing more, DRIP says
    one octet at a time and never ends. With the word `body` the connection is closed inside the mail. Yields the port
    and the words heard.
    """
    replies: dict[str, bytes | list[bytes]] = {
        "connect": b"220 hi",
        "EHLO": b"250-me\r\n250 8BITMIME",
        "MAIL": b"250 ok",
        "RCPT": b"250 ok",
        "DATA": b"354 go",
        ".": b"250 ok",
        "RSET": b"250 ok",
        "QUIT": b"221 bye",
        **script,
    }
    heard: list[str] = []
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def reply(connection: socket.socket, word: str) -> bool:
        answer = replies.get(word, b"500 what")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer == CUT:
            return False
        if answer == HANG:
            over.wait(10)
            return False
        if answer == DRIP:
            while not over.wait(0.02):
                connection.sendall(b"2")
            return False
        connection.sendall(answer + b"\r\n")
        return True

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                going, in_mail = reply(connection, "connect"), False
                while going and (line := lines.readline()):
                    word = line.strip().split(b" ")[0].decode().upper()
                    if in_mail and word != ".":
                        if "body" in replies:
                            break
                        continue
                    heard.append(word)
                    going = reply(connection, word)
                    in_mail = word == "DATA" and replies["DATA"] == b"354 go"
            except OSError:
                pass

    def accept() -> None:
        threads = []
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=talk, args=(connection,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
