"""The ledger's process: Postmark and an SMTP server in one, which write down what they take before they answer.

Run with the path of the ledger file; the first line on standard output is {"http": port, "smtp": port}. Each accepted
mail is one line with its Message-ID, flushed to the disk before the answer. `POST /script` with a list of answers says
what becomes of the next requests (HTTP) or mails (SMTP), in order; afterwards everything is taken and said.

An answer is {"takes": "all" | "half" | "none", "says": word}. Standard library only: it starts in a moment.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import socketserver
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PLAIN = {"takes": "all", "says": "ok"}


class Book:
    """What was taken, on disk; and what is to be said next."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._script: list[dict[str, str]] = []

    def plan(self, answers: list[dict[str, str]]) -> None:
        with self._lock:
            self._script = list(answers)

    def next(self) -> dict[str, str]:
        with self._lock:
            return {**PLAIN, **(self._script.pop(0) if self._script else {})}

    def take(self, message_ids: list[str]) -> None:
        if message_ids:
            with self._lock:
                os.write(self._file, "".join(f"{key}\n" for key in message_ids).encode())
                os.fsync(self._file)


def part_of(many: list[Any], takes: str) -> list[Any]:
    return {"all": many, "half": many[: len(many) // 2], "none": []}[takes]


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# --- Postmark ---------------------------------------------------------------------------------------------------------


def message_id(item: dict[str, Any]) -> str:
    return next(str(pair["Value"]) for pair in item["Headers"] if pair["Name"].lower() == "message-id")


def result(item: dict[str, Any], taken: bool) -> dict[str, Any]:
    if taken:
        return {"ErrorCode": 0, "Message": "OK", "MessageID": f"pm-{message_id(item)}", "To": item["To"]}
    return {"ErrorCode": 406, "Message": "inactive recipient", "To": item["To"]}


class Postmark(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    book: Book

    def do_POST(self) -> None:
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/script":
            self.book.plan(posted)
            self.give(200, b"[]")
            return
        answer = self.book.next()
        good = [item for item in posted if "refused" not in item["To"]]
        taken = part_of(good, answer["takes"])
        self.book.take([message_id(item) for item in taken])
        self.say(answer["says"], [result(item, item in taken) for item in posted])

    def say(self, word: str, results: list[dict[str, Any]]) -> None:
        body = json.dumps(results).encode()
        if word.isdigit():
            self.give(int(word), b'{"ErrorCode": 0, "Message": "scripted"}')
        elif word == "reset":
            self.close_connection = True
            reset(self.connection)
        elif word == "silence":
            self.connection.recv(1)  # until the other side gives up
        elif word == "drip":
            self.drip()
        elif word == "garbage":
            self.give(200, b"\x00\xff not json")
        elif word == "proxy":
            self.give(200, b"<html>Welcome to the airport</html>")
        elif word == "truncated":
            self.give(200, body, length=len(body) + 100)
        else:
            self.give(200, json.dumps(changed(word, results)).encode())

    def give(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)
        if length:
            self.close_connection = True

    def drip(self) -> None:
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(600):
                self.wfile.write(b"x")
                self.wfile.flush()
                if select.select([self.connection], [], [], 0.05)[0]:
                    return  # the other side gave up
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        return


def changed(word: str, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results as a provider in trouble might give them."""
    if word == "shuffled":
        return results[::-1]
    if word == "missing":
        return results[1:]
    if word == "extra":
        stranger = {"ErrorCode": 0, "Message": "OK", "MessageID": "pm-x", "To": "nobody@stranger.example"}
        return [stranger, *results]
    if word == "no id":
        return [{**one, "MessageID": ""} for one in results]
    return results


# --- SMTP -------------------------------------------------------------------------------------------------------------

REPLIES = {"EHLO": b"250 ledger", "MAIL": b"250 ok", "RCPT": b"250 ok", "RSET": b"250 ok", "DATA": b"354 go"}


class Smtp(socketserver.StreamRequestHandler):
    book: Book

    def handle(self) -> None:
        try:
            self.talk()
        except OSError:
            return

    def talk(self) -> None:
        self.line(b"220 ledger")
        while line := self.rfile.readline():
            word = line.split()[0].decode().upper() if line.strip() else ""
            if word == "RCPT" and b"refused" in line:
                self.line(b"550 5.1.1 no such user")
                continue
            if word == "QUIT":
                self.line(b"221 bye")
                return
            self.line(REPLIES.get(word, b"500 what"))
            if word == "DATA" and not self.mail():
                return

    def mail(self) -> bool:
        answer = self.book.next()
        if answer["says"] == "reset in body":
            self.rfile.readline()
            reset(self.connection)
            return False
        octets = b""
        while not octets.endswith(b"\r\n.\r\n"):
            line = self.rfile.readline()
            if not line:
                return False
            octets += line
        found = re.search(rb"(?im)^message-id:\s*(<[^>]*>)", octets)
        if answer["takes"] != "none" and found:
            self.book.take([found[1].decode()])
        return self.end(answer["says"])

    def end(self, word: str) -> bool:
        if word == "reset":
            reset(self.connection)
            return False
        if word == "silence":
            self.connection.recv(1)  # until the other side gives up
            return False
        if word == "garbage":
            self.line(b"\xff\x00 hello")
            return True
        self.line(b"250 2.0.0 queued" if word == "ok" else f"{word} scripted".encode())
        return True

    def line(self, text: bytes) -> None:
        self.wfile.write(text + b"\r\n")


class SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    book = Book(sys.argv[1])
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("P", (Postmark,), {"book": book}))
    smtp = SmtpServer(("127.0.0.1", 0), type("S", (Smtp,), {"book": book}))
    for server in (http, smtp):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"http": http.server_address[1], "smtp": smtp.server_address[1]}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()  # the end of the test is the end of standard input


if __name__ == "__main__":
    main()
