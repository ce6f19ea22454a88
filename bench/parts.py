"""The parts of sending, each alone, with the benchmark's own mail: rendering, writing, and the providers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bench import raw
from bench.sinks import Sink
from nurture import live
from nurture.benchmark import stock
from nurture.benchmark.measure import LINKS, Job, open_provider
from nurture.composing import Writer
from nurture.core.model import ContactId
from nurture.core.words import Voice
from nurture.db import situations
from nurture.db.session import Database
from nurture.mail.wire import Outgoing, to_bytes
from nurture.providers.base import Outcome
from nurture.providers.postmark import BATCH, Postmark
from nurture.providers.smtp import MAX_BATCH
from nurture.providers.smtp.letter import write

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CONTACTS = 1_000
"""Contacts that are rendered, again and again until there are as many mails as wanted."""

EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE", "SMTPUTF8")


class Timing(NamedTuple):
    """Mails a second, and microseconds of our own CPU a mail."""

    rate: float
    cpu_us: float


def timed(count: int, go: Callable[[], None]) -> Timing:
    """Time what handles `count` mails."""
    began, cpu = time.perf_counter(), time.process_time()
    go()
    return Timing(count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1e6)


class Sample:
    """As many mails as wanted, each to an address of its own."""

    def __init__(self, count: int) -> None:
        self.count = count
        with tempfile.TemporaryDirectory(prefix="nurture-bench-") as folder:
            url = f"sqlite:///{Path(folder) / 'sample.db'}"
            people = min(CONTACTS, count)
            stock.fill(url, people, NOW)
            database = Database(url)
            with database.read() as connection:
                self._program = live.current(connection)
                ids = [ContactId(key) for key in range(1, people + 1)]
                self._people = list(situations.load(connection, ids, self._program.lifecycle.memory, NOW).values())
            database.dispose()
        self._artifact = next(iter(stock.load().artifacts.values()))
        self._writer = Writer(self._program, LINKS)
        self.mails = [self._mail(number) for number in range(count)]

    def _mail(self, number: int) -> Outgoing:
        situation = self._people[number % len(self._people)]
        said = self._writer.compose(self._artifact, Voice.MARKETING, situation)
        return Outgoing(
            id=number + 1,
            voice=Voice.MARKETING,
            from_address="hello@acme.example",
            from_name="Acme",
            to_address=f"u{number}@bench.example",
            to_name=f"Ann{number} Smith",
            subject=said.subject,
            text=said.text,
            html=said.html,
            message_id=f"<{number:032x}@acme.example>",
            date=NOW,
            unsubscribe_url=said.unsubscribe,
            feedback_id="bench-welcome:welcome:nurture:newsletter",
            metadata={"message": str(number), "origin": f"e:{number}:first:1"},
        )

    # --- alone --------------------------------------------------------------------------------------------------------

    def render(self) -> Timing:
        """Time rendering."""

        def go() -> None:
            for number in range(self.count):
                self._writer.compose(self._artifact, Voice.MARKETING, self._people[number % len(self._people)])

        return timed(self.count, go)

    def mime(self) -> Timing:
        """Time writing, from text and HTML to octets."""
        fresh = self._fresh()

        def go() -> None:
            for mail in fresh:
                to_bytes(mail)

        return timed(self.count, go)

    def provider(self, way: str, running: Sink) -> Timing:
        """Time a provider that hands mails to a sink, each written on the way."""
        provider = open_provider(job_of(way, running.endpoint, ""))
        size = BATCH if way == "batch" else MAX_BATCH
        provider.send(self._fresh()[:size], seconds=60)  # so that connections are open
        fresh = self._fresh()

        def go() -> None:
            for start in range(0, self.count, size):
                receipts = provider.send(fresh[start : start + size], seconds=60)
                if any(receipt.outcome is not Outcome.ACCEPTED for receipt in receipts):
                    raise RuntimeError(f"the sink did not take all mail: {receipts[0]}")

        timing = timed(self.count, go)
        provider.close()
        return timing

    def raw(self, kind: str, running: Sink) -> Timing:
        """Time the same octets to the same sink with nothing around them: a way to send, or a kind of `raw.KINDS`."""
        connections = 1 if kind == "batch" else job_of(kind, "", "").connections
        octets = {"single": self._singles, "batch": self._batches}.get(kind, self._letters)
        with raw.kept(octets) as file:
            kind, before = "http" if kind in ("single", "batch") else kind, running.counts().mails
            seconds, cpu = raw.measure(kind, running.port, file, connections=connections)
        if (came := running.counts().mails - before) != self.count:
            raise RuntimeError(f"{came} of {self.count} mails came")
        return Timing(self.count / seconds, cpu / self.count * 1e6)

    def _fresh(self) -> list[Outgoing]:
        return [replace(mail) for mail in self.mails]

    # --- octets for the ceiling ---------------------------------------------------------------------------------------

    @cached_property
    def _letters(self) -> list[bytes]:
        letters = [write(mail, EXTENSIONS) for mail in self._fresh()]
        return [octets for each in letters for octets in (each.mail + each.rcpt + b"DATA\r\n", each.body + b".\r\n")]

    @cached_property
    def _items(self) -> list[bytes]:
        provider = open_provider(job_of("batch", "http://127.0.0.1:1", ""))
        assert isinstance(provider, Postmark)
        items = [provider.build([mail]).body[1:-1] for mail in self.mails]
        provider.close()
        return items

    @cached_property
    def _singles(self) -> list[bytes]:
        return [_request("/email", item) for item in self._items]

    @cached_property
    def _batches(self) -> list[bytes]:
        pages = [self._items[start : start + BATCH] for start in range(0, self.count, BATCH)]
        return [_request("/email/batch", b"[" + b",".join(page) + b"]") for page in pages]


def job_of(way: str, endpoint: str, database: str) -> Job:
    """Return the job of a way to send: smtp, single, batch or none."""
    if way == "single":
        return Job("postmark", endpoint, database, batch=1, connections=8)
    return Job({"batch": "postmark"}.get(way, way), endpoint, database)


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body
