"""One measurement: every mail that is due in a filled database through the full loop, by one process or several."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from urllib.parse import urlsplit

from nurture.benchmark.memory import peak_mb
from nurture.benchmark.stock import PUBLIC_URL, RING
from nurture.composing import Links
from nurture.db.session import Database
from nurture.errors import UsageError
from nurture.garbage import collect_rarely
from nurture.mail.wire import Outgoing
from nurture.postroom import Postroom
from nurture.providers import base
from nurture.providers.base import Outcome, Provider, Receipt
from nurture.scheduler import Done, new_owner, run_once

LINKS = Links(PUBLIC_URL, RING)
SCHEMES = {"smtp": ("smtp",), "postmark": ("http", "https"), "none": ("",)}


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure. `endpoint` is `smtp://HOST:PORT` or a base URL; the provider "none" takes all mail and drops it.

    `batch` is how many mails a request of Postmark carries, `connections` how many are open at once.
    """

    provider: str
    endpoint: str
    database: str
    processes: int = 1
    batch: int = 500
    connections: int = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it: mails accepted, the seconds that took, CPU microseconds a mail, and the largest process in MB.

    `began` and `ended` are seconds of the monotonic clock, which all processes share.
    """

    accepted: int
    other: int
    began: float
    ended: float
    cpu_seconds: float
    peak_mb: float

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.ended - self.began

    @property
    def rate(self) -> float:
        """Return mails a second."""
        return self.accepted / self.seconds

    def to_json(self) -> dict[str, float]:
        """Return it as numbers for programs."""
        cpu = self.cpu_seconds / max(1, self.accepted) * 1e6
        return {
            "accepted": self.accepted,
            "other": self.other,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
            "cpu_us_per_message": round(cpu, 1),
            "peak_mb": round(self.peak_mb, 1),
        }


def measure(job: Job, now: datetime) -> Measured:
    """Send what is due at `now`, in this process, or in as many others as the job says, which begin together."""
    if job.processes == 1:
        return work(job, now)
    spawning = multiprocessing.get_context("spawn")
    barrier, results = spawning.Barrier(job.processes), spawning.SimpleQueue()
    processes = [spawning.Process(target=_work_with, args=(job, now, barrier, results)) for _ in range(job.processes)]
    for process in processes:
        process.start()
    parts = [Measured(**results.get()) for _ in processes]
    for process in processes:
        process.join()
    return _together(parts)


def _work_with(job: Job, now: datetime, barrier: Barrier, results: multiprocessing.SimpleQueue[object]) -> None:
    results.put(asdict(work(job, now, barrier)))


def work(job: Job, now: datetime, barrier: Barrier | None = None) -> Measured:
    """Send what is due in this process; everybody who shares `barrier` begins together."""
    database, provider = Database(job.database), open_provider(job)
    postroom = Postroom({"outbox": provider}, LINKS, new_owner())
    collect_rarely()
    try:
        if barrier:
            barrier.wait(60)
        began, cpu = time.monotonic(), time.process_time()
        done = run_once(database, postroom, now)
        return _measured(done, began, time.process_time() - cpu)
    finally:
        provider.close()
        database.dispose()


def open_provider(job: Job) -> Provider:
    """Return the provider that a job names, at its endpoint. Raises UsageError."""
    if job.provider == "none":
        return Void()
    parts = urlsplit(job.endpoint)
    if job.provider not in SCHEMES or parts.scheme not in SCHEMES[job.provider] or not parts.hostname:
        raise UsageError(
            f"{job.endpoint!r} is no endpoint of {job.provider!r}: write --provider smtp --endpoint smtp://HOST:PORT, "
            "or --provider postmark --endpoint http://HOST:PORT"
        )
    options: dict[str, object] = {"connections": job.connections}
    if job.provider == "smtp":
        options |= {"host": parts.hostname, "port": parts.port or 25, "security": "none"}
    else:
        options |= {"base_url": job.endpoint, "batch": job.batch}
    return base.load(job.provider, options, folder=Path(), secrets={"NURTURE_POSTMARK_TOKEN": "bench"})


class Void:
    """A provider that takes every mail at once and drops it: what is left is the cost of everything else."""

    name = "none"
    batch = 500
    real = False

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Accept them all."""
        return [Receipt(mail.id, Outcome.ACCEPTED, provider_id=f"void-{mail.id}") for mail in group]

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say nothing."""
        return {}

    def close(self) -> None:
        """Do nothing: nothing is open."""


def _measured(done: Done, began: float, cpu: float) -> Measured:
    sent = done.sent
    other = sum(getattr(sent, part.name) for part in fields(sent) if part.name not in {"due", "accepted"})
    return Measured(sent.accepted, other, began, time.monotonic(), cpu, peak_mb())


def _together(parts: Sequence[Measured]) -> Measured:
    return Measured(
        accepted=sum(part.accepted for part in parts),
        other=sum(part.other for part in parts),
        began=min(part.began for part in parts),
        ended=max(part.ended for part in parts),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        peak_mb=max(part.peak_mb for part in parts),
    )
