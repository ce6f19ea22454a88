"""A process that has everything imported and the program in its cache, and forks for every try: one costs little.

It reads one command a line from standard input and answers one line. A forked child does one pass of the engine, in
which the N-th point (a SQL statement, a commit, the provider's call before and after) kills it or raises. An error
that passes is one of the database only, never of the provider's call.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from nurture import failpoints, live, scheduler
from nurture.db import tables
from nurture.db.session import Database
from nurture.errors import DatabaseError
from nurture.keeping import Keeping
from nurture.postroom import Postroom
from tests.faults.ledger import Hurried, Ledger
from tests.world import LINKS

RAISED = 7

BATCH = 2
"""How many mails a provider carries at once, so that they go the plain way."""

WIDE = 60
"""And so that they go directly."""


@dataclass
class Countdown:
    """Counts points and strikes at one of them."""

    at: int
    strike: Callable[[], None]
    seen: int = 0

    def point(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.strike()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise OperationalError("the scripted statement", {}, Exception("disk I/O error"))


def fail_for_now() -> None:
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise OperationalError("the scripted statement", {}, busy)


class Watched(Hurried):
    """The ledger's provider between two points."""

    countdown: Countdown

    def send(self, group: Any, *, seconds: float) -> Any:
        self.countdown.point()
        receipts = self.inner.send(group, seconds=seconds)
        self.countdown.point()
        return receipts


def one_pass(command: dict[str, Any]) -> None:
    """Do what `nurture run --once` does, with trouble at point `at`; after an error go on as the scheduler would."""
    database = Database(command["url"])
    countdown = Countdown(command["at"], {"kill": kill, "raise": fail, "pass": fail_for_now}[command["how"]])
    event.listen(database.engine, "before_cursor_execute", countdown.point)
    event.listen(database.engine, "commit", countdown.point)
    ledger = Ledger(command["http"], 0, Path())
    provider = Watched(ledger.provider("postmark").inner, command.get("batch", BATCH), 30.0)  # type: ignore[attr-defined]
    never = Countdown(0, fail)
    object.__setattr__(provider, "countdown", never if command["how"] == "pass" else countdown)
    keeping = Keeping(pause_seconds=0)
    postroom = Postroom({"outbox": provider}, LINKS, scheduler.new_owner(), keeping=keeping)
    now = datetime.fromisoformat(command["now"])
    try:
        scheduler.run_once(database, postroom, now)
    except (OperationalError, DatabaseError):
        scheduler.run_once(database, postroom, now)
    os._exit(RAISED if countdown.seen >= countdown.at else 0)


def warm(url: str) -> None:
    """Read the program once, so that children find it in the cache."""
    database = Database(url)
    with database.read() as connection:
        program = live.current(connection)
        live.versions(connection, list(program.versions.values()))
        hashes = connection.execute(tables.Template.__table__.select().with_only_columns(tables.Template.hash))
        live.artifacts(connection, {row.hash for row in hashes})
    database.dispose()


def racing(command: dict[str, Any]) -> None:
    """Do a pass that stops (or is killed) when it reaches a failpoint, where one is named."""
    signals = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}
    if command.get("point"):
        point, number = command["point"], signals[command["then"]]

        def act() -> None:
            del failpoints.armed[point]
            os.kill(os.getpid(), number)

        failpoints.armed[point] = act
    database = Database(command["url"])
    ledger = Ledger(command["http"], 0, Path())
    provider = ledger.provider("postmark", batch=command.get("batch", BATCH))
    postroom = Postroom({"outbox": provider}, LINKS, scheduler.new_owner())
    scheduler.run_once(database, postroom, datetime.fromisoformat(command["now"]))
    os._exit(0)


def fork(work: Callable[[dict[str, Any]], None], command: dict[str, Any]) -> int:
    """Let a child do it; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work(command)
    finally:
        traceback.print_exc()
        os._exit(1)


def end_of(child: int) -> object:
    """Wait until a child stops or ends: "stopped", or its exit code (a signal is negative)."""
    status = os.waitpid(child, os.WUNTRACED)[1]
    return "stopped" if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # only answers are heard
    children: list[int] = []
    for line in sys.stdin:
        command = json.loads(line)
        match command["how"]:
            case "warm":
                warm(command["url"])
                tell("warm")
            case "race":
                children = [fork(racing, command) for _ in range(command.get("processes", 1))]
                tell([end_of(child) for child in children])
            case "go on":
                for child in children:
                    os.kill(child, signal.SIGCONT)
                tell([end_of(child) for child in children])
            case "start":
                children.append(fork(racing, command))
                tell(children[-1])
            case "alive":
                children = [child for child in children if not os.waitpid(child, os.WNOHANG)[0]]
                tell(children)
            case "wait a moment":
                signal.sigtimedwait([signal.SIGUSR1], 0.05)
                tell("waited")
            case "kill all":
                for child in children:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                children = []
                tell("killed")
            case _:
                tell(end_of(fork(one_pass, command)))


def tell(answer: object) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
