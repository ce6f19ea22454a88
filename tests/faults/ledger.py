"""The provider ledger as tests see it: a process that takes mail, told what to do, and its book read from the disk."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nurture.mail.wire import Outgoing
from nurture.providers.base import Provider, Receipt
from nurture.providers.http import Http
from nurture.providers.postmark import Postmark
from nurture.providers.smtp import create as smtp


@dataclass(frozen=True)
class Ledger:
    """Where it listens, and its book."""

    http: int
    smtp: int
    book: Path

    def taken(self) -> Counter[str]:
        """Return how often each Message-ID was accepted."""
        return Counter(self.book.read_text().split("\n")[:-1]) if self.book.exists() else Counter()

    def script(self, *answers: dict[str, str]) -> None:
        """Say what becomes of the next requests or mails; afterwards everything is taken."""
        url = f"http://127.0.0.1:{self.http}/script"
        request = urllib.request.Request(url, json.dumps(answers).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def provider(self, kind: str, *, batch: int = 500, seconds: float = 30.0) -> Provider:
        """Return a provider that sends here: "postmark" or "smtp"."""
        if kind == "postmark":
            inner: Provider = Postmark(Http(f"http://127.0.0.1:{self.http}"), token="secret")
        else:
            options = {"host": "127.0.0.1", "port": self.smtp, "security": "none", "connections": 1}
            inner = smtp(options, folder=Path(), secrets={})
        return Hurried(inner, batch, seconds, self)


@dataclass(frozen=True)
class Hurried:
    """A provider with less patience and smaller batches."""

    inner: Provider
    batch: int
    seconds: float
    ledger: Ledger | None = None
    real: bool = True
    name: str = "ledger"

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        return self.inner.send(group, seconds=self.seconds)

    def evidence(self, message_ids: Sequence[str]) -> dict[str, bool]:
        return {}

    def close(self) -> None:
        self.inner.close()


@contextmanager
def running_ledger(folder: Path) -> Iterator[Ledger]:
    """Start a ledger; it ends with the block."""
    book = folder / "ledger.txt"
    process = subprocess.Popen(
        [sys.executable, "-S", str(Path(__file__).with_name("ledger_server.py")), str(book)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        ports = json.loads(process.stdout.readline())
        yield Ledger(ports["http"], ports["smtp"], book)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()
