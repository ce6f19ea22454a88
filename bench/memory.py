"""The peak memory of one worker that sends what is due, among few contacts and among many, each in a new process.

SQLite's memory mapping is off, as it is in the product, so that the file does not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from bench.population import NOW, make_due
from nurture.benchmark.measure import Job, work
from nurture.benchmark.memory import peak_mb
from nurture.db.session import Database

DUE = 2_000


def peak(url: str, population: int, due: int = DUE) -> float:
    """Return the peak memory in MB of a process that sends `due` mails out of a population."""
    words = ["--db", url, "--population", str(population), "--due", str(due)]
    ran = subprocess.run([sys.executable, "-m", "bench.memory", *words], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"measuring memory failed: {ran.stderr or ran.stdout}")
    return float(json.loads(ran.stdout)["peak_mb"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Send in this process and print its peak memory."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--db", required=True, metavar="URL")
    parser.add_argument("--population", type=int, required=True)
    parser.add_argument("--due", type=int, default=DUE)
    wanted = parser.parse_args(arguments)
    database = Database(wanted.db)
    make_due(database, wanted.due, wanted.population)
    database.dispose()
    work(Job("none", "", wanted.db), NOW)
    print(json.dumps({"peak_mb": round(peak_mb(), 1)}))


if __name__ == "__main__":
    main()
