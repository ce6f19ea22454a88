"""How fast contacts are imported from a CSV file, on SQLite, each kind of import in a process of its own.

Beside them the raw ceiling: the same file through Python's csv into the two tables that a contact needs at least, as
tuples to the driver, in pages as large. Also run alone: `python -m bench.importing --rows 1000000`.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from nurture import live
from nurture.benchmark.memory import peak_mb
from nurture.db import migrate
from nurture.db.session import Database
from nurture.importing.contacts import import_contacts, open_contacts
from nurture.importing.run import PAGE
from nurture.mail.keys import KeyRing
from nurture.program.load import Loaded, build, load

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RING = KeyRing((("bench", bytes(32)),))
SHIPPED = Path(__file__).parent.parent

HEADER = ("Email", "First name", "Last name", "Job title", "Country", "Company", "Website", "Industry")
OWN = ("text", "number", "number", "boolean", "date", "choice", "text", "number", "boolean", "date")
"""The types of the ten custom fields, `c0` to `c9`."""

KINDS = {
    "import raw": "the ceiling: csv to contacts and addresses, nothing else",
    "import 8 columns": "scored, nobody is enrolled",
    "import 8 columns, enrolled": "scored, and enrolled as the shipped sequences say",
    "import 18 columns": "ten custom fields, nobody is enrolled",
}
"""What is measured, by name, and what it is."""

Measured = tuple[float, float, float]
"""Rows a second, CPU microseconds a row, peak memory in MB."""


def measure(name: str, rows: int) -> Measured:
    """Import `rows` made-up contacts into a new database, in a process of its own."""
    command = [sys.executable, "-m", "bench.importing", "--one", name, "--rows", str(rows)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=SHIPPED)
    if ran.returncode:
        raise RuntimeError(f"{name} failed: {ran.stderr or ran.stdout}")
    found = json.loads(ran.stdout)
    return found["rate"], found["cpu_us"], found["peak_mb"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every kind and print it as JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m bench.importing", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="contacts in the file")
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    if wanted.one:
        print(json.dumps({"measured": wanted.one, **_one(wanted.one, wanted.rows)}))
        return
    for name in KINDS:
        rate, cpu, peak = measure(name, wanted.rows)
        print(json.dumps({"measured": name, "rate": rate, "cpu_us": cpu, "peak_mb": peak}), flush=True)


def _one(name: str, rows: int) -> dict[str, float]:
    own = "18" in name
    with tempfile.TemporaryDirectory(prefix="nurture-bench-") as folder:
        path, url = Path(folder) / "people.csv", f"sqlite:///{folder}/bench.db"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(_rows(rows, own=own))
        migrate.upgrade(url)
        work = (
            _raw(Path(folder) / "bench.db", path) if name == "import raw" else _import(url, path, _program(name, own))
        )
        began, cpu = time.perf_counter(), time.process_time()
        work()
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    return {"rate": round(rows / seconds, 1), "cpu_us": round(spent / rows * 1e6, 1), "peak_mb": round(peak_mb(), 1)}


def _program(name: str, own: bool) -> Loaded:
    files = dict(load(SHIPPED).files)
    if "enrolled" not in name:
        files = {
            path: text for path, text in files.items() if not path.startswith(("sequences/leads", "sequences/pro"))
        }
    if own:
        choices = "\n    choices: [red, green, blue]"
        files["fields.yaml"] += "".join(
            f"\n  c{place}:\n    type: {kind}\n    label: C{place}{choices if kind == 'choice' else ''}\n"
            for place, kind in enumerate(OWN)
        )
    return build(files)


def _import(url: str, path: Path, loaded: Loaded) -> Callable[[], object]:
    database = Database(url)
    with database.write() as connection:
        live.apply(connection, loaded, "bench", NOW)
        program = live.current(connection)
    return lambda: import_contacts(database, program, RING, open_contacts(path, program), NOW)


def _raw(database: Path, path: Path) -> Callable[[], object]:
    def work() -> None:
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        with path.open(encoding="utf-8", newline="") as file:
            rows = enumerate(csv.reader(file))
            next(rows)
            while page := list(islice(rows, PAGE)):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO contacts (id, first_name, last_name, title, country, stage, stage_since, fields,"
                    " created_at, updated_at) VALUES (?, ?, ?, ?, ?, 'lead', '', '{}', '', '')",
                    [(key, *row[1:5]) for key, row in page],
                )
                connection.executemany(
                    "INSERT INTO addresses (contact_id, email, email_key, address_hash, is_primary, created_at)"
                    " VALUES (?, ?, ?, ?, 1, '')",
                    [(key, row[0], row[0], row[0]) for key, row in page],
                )
                connection.execute("COMMIT")
        connection.close()

    return work


def _rows(count: int, *, own: bool) -> Iterator[Sequence[object]]:
    """Yield a header and made-up people, about five in a company, always the same."""
    pick = random.Random(7).choice
    yield (*HEADER, *(f"c{place}" for place in range(len(OWN)))) if own else HEADER
    for number in range(count):
        company = number // 5
        about = (
            f"person{number}@company{company}.example",
            pick(("Ann", "Bob", "Cat", "José", "Zoë")),
            pick(("Archer", "Baker", "Cooper", "Müller")),
            pick(("Chief Financial Officer", "Sales Manager", "Analyst", "Engineer", "")),
            pick(("Germany", "France", "United States", "Brazil", "")),
            f"Company {company}",
            f"https://www.company{company}.example/",
            ("Logistics", "Retail", "Energy", "Software", "")[company % 5],
        )
        more = (f"text {number % 977}", number % 50, 1.5, pick(("yes", "no")), f"2026-03-{number % 28 + 1:02}")
        last = (pick(("red", "green", "blue")), "some more text", "12,345", pick(("true", "")), "2025-12-31")
        yield (*about, *more, *last) if own else about


if __name__ == "__main__":
    main()
