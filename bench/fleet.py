"""How fast a fleet sends: one, two and four workers beside one another, with their scheduler, on PostgreSQL.

Each measurement has a database and a sink of its own, and as many `nurture worker` processes as it says. What counts is
the time between the first and the last mail in the sink; ticking happens meanwhile. On one machine the workers share
its cores with the database and the sink, so that more workers than free cores cannot be faster.
Also run alone: `python -m bench.fleet --messages 20000 --rounds 3`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from bench import loop
from bench.sinks import Counts, Sink, sink
from nurture.benchmark import stock
from nurture.db import tables
from nurture.db.session import Database
from nurture.mail.keys import format_keys

WORKERS = (1, 2, 4)
PATIENCE = 300.0
"""Seconds before a measurement is given up."""

HOUSE = """\
[web]
public_url = "{public_url}"

[safety]
launch_cap = 1000000000

[providers.postmark]
base_url = "{endpoint}"
batch = 500
"""

START = "from nurture.cli import main; main()"


def measure(workers: int, messages: int, url: str) -> dict[str, float]:
    """Send `messages` mails from an empty database at `url` with that many workers; return what was measured."""
    stock.fill(url, messages, datetime.now(UTC).replace(microsecond=0))
    _use_postmark(url)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nurture-bench-")))
        taking = stack.enter_context(sink("http"))
        (folder / "nurture.toml").write_text(HOUSE.format(public_url=stock.PUBLIC_URL, endpoint=taking.endpoint))
        crew = [stack.enter_context(_running("worker", folder, url)) for _ in range(workers)]
        for told in crew:
            _wait_until_ready(told)
        began = os.times()
        stack.enter_context(_running("scheduler", folder, url))
        counts = _wait_until_sent(taking, messages)
    ended = os.times()
    if counts.first == counts.last:
        raise RuntimeError(
            f"{messages} mails went in one request: ask for more --messages, there is nothing to measure"
        )
    cpu = ended.children_user + ended.children_system - began.children_user - began.children_system
    return {
        "workers": workers,
        "messages": counts.mails,
        "rate": round(counts.mails / (counts.last - counts.first), 1),
        "cpu_seconds": round(cpu, 2),
    }


def _use_postmark(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.update(tables.Sender).values(provider="postmark"))
    database.dispose()


@contextmanager
def _running(command: str, folder: Path, url: str) -> Iterator[Path]:
    """Run a process of the fleet; yield the file in which it tells what it does. It must end well."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NURTURE_")}
    environ |= {"NURTURE_KEYS": format_keys(stock.RING), "NURTURE_DATABASE_URL": url, "NURTURE_POSTMARK_TOKEN": "bench"}
    told = folder / f"{uuid.uuid4().hex}.log"
    with told.open("w") as log:
        words = [sys.executable, "-c", START, "-C", str(folder), command]
        process = subprocess.Popen(words, env=environ, stderr=log)
    try:
        yield told
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    if code:
        raise RuntimeError(f"nurture {command} ended with code {code}: {told.read_text()}")


def _wait_until_ready(told: Path) -> None:
    _wait(lambda: "worker of" in told.read_text(), lambda: f"a worker did not begin: {told.read_text()}")


def _wait_until_sent(taking: Sink, messages: int) -> Counts:
    _wait(lambda: taking.counts().mails >= messages, lambda: f"only {taking.counts().mails:,} mails were sent")
    return taking.counts()


def _wait(over: Callable[[], bool], words: Callable[[], str]) -> None:
    until = time.monotonic() + PATIENCE
    while not over():
        if time.monotonic() > until:
            raise RuntimeError(words())
        time.sleep(0.05)


def compare(messages: int, rounds: int, given: str, workers: Sequence[int] = WORKERS) -> dict[int, list[float]]:
    """Measure each number of workers in turn, `rounds` times; print JSON lines; return the rates by workers."""
    rates: dict[int, list[float]] = {count: [] for count in workers}
    with loop.postgresql(given) as fresh:
        for _ in range(rounds):
            for count in workers:
                found = measure(count, messages, fresh())
                print(json.dumps({"measured": "fleet", **found}), flush=True)
                rates[count].append(found["rate"])
    return rates


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="mails in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="how many workers, one after another")
    parser.add_argument("--pg", default=os.environ.get("NURTURE_TEST_PG_URL", ""), metavar="URL", help="a PostgreSQL")
    wanted = parser.parse_args(arguments)
    rates = compare(wanted.messages, wanted.rounds, wanted.pg, wanted.workers)
    alone = statistics.median(rates[wanted.workers[0]])
    print(f"\n{'workers':>7}  {'mails/s':>10}  times one, on {os.cpu_count()} cores")
    for count, found in rates.items():
        print(f"{count:>7}  {statistics.median(found):>10,.0f}  {statistics.median(found) / alone:.2f}")


if __name__ == "__main__":
    main()
