"""Answers that a provider gave while the database was away: kept, written when it is back, and only once."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from structlog.testing import capture_logs

from nurture import carrying, engine, failpoints, keeping, sending
from nurture.db import instance, tables, timers
from nurture.db.session import Database
from nurture.direct import Direct
from nurture.errors import DatabaseError
from nurture.fleet import Job
from nurture.keeping import Keeping
from nurture.mail.wire import Outgoing
from nurture.postroom import Sent, never
from nurture.providers.base import Outcome, Receipt
from nurture.scheduler import Scheduler, run_once
from nurture.worker import Worker
from tests.conftest import BOTH
from tests.shells.alike import contents
from tests.world import Ledger, World

AT_ONCE = Keeping(pause_seconds=0)
WAYS = ["plain", "direct"]


@dataclass
class Book(Ledger):
    """A ledger that takes all at once, and lets something happen when it has."""

    afterwards: Callable[[], None] = lambda: None
    calls: int = field(default=0)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        self.calls += 1
        receipts = super().send(group, seconds=seconds)
        self.afterwards()
        return receipts


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    found = World(database, tmp_path)
    found.contacts(f"c{number}@example.com" for number in range(6))
    return found


def send(world: World, way: str) -> Sent:
    """Send the six first mails, on the plain way or directly."""
    if way == "direct":
        with Direct(world.database, world.postroom) as direct:
            return direct.page(world.now)
    engine.tick(world.database, "tester", world.now)
    return sending.send_due(world.database, world.postroom, world.now)


@contextmanager
def listening(target: Any, name: str, heard: Callable[..., Any]) -> Iterator[None]:
    event.listen(target, name, heard)
    try:
        yield
    finally:
        event.remove(target, name, heard)


# --- the database is away ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_answers_that_find_the_database_locked_are_written_when_it_no_longer_is(world: World, way: str) -> None:
    database, tries = world.database, []
    other = Database(database.url.render_as_string(hide_password=False))

    def count(_: object) -> None:
        tries.append(world.postroom.turn._lock.locked())
        if len(tries) == 3:
            holder.rollback()

    with other.engine.connect() as holder:

        def lock() -> None:
            holder.begin()
            if database.dialect == "postgresql":
                holder.exec_driver_sql("LOCK TABLE messages")

        world.use(book := Book(afterwards=lock), keeping=AT_ONCE)
        with (
            listening(database.engine, "checkout", impatient),
            listening(database.engine, "handle_error", count),
            capture_logs() as log,
        ):
            assert send(world, way).accepted == 6
    other.dispose()
    assert tries == [False] * 3, "and whoever waits for the turn to speak to a provider has it"
    assert [(line["event"], line["mails"]) for line in log] == [
        ("answers could not be written, and are kept", 6),
        ("the answers that were kept are written", 6),
    ]
    assert "lock" in log[0]["reason"]
    assert "messages" not in log[0]["reason"], "neither the statement nor its values"
    went_once(world, book)


def impatient(raw: Any, *_: Any) -> None:
    if hasattr(raw, "set_trace_callback"):
        raw.execute("PRAGMA busy_timeout = 20")
        return
    raw.autocommit = True
    raw.execute("SET lock_timeout = '20ms'")
    raw.autocommit = False


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("database_url", BOTH[1:], indirect=True)
def test_answers_whose_connection_is_cut_are_written_over_another_one(world: World, way: str) -> None:
    other = Database(world.database.url.render_as_string(hide_password=False))
    cut: list[int] = []

    def cut_off(connection: sa.Connection, *_: Any) -> None:
        if book.calls and len(cut) < 2:
            cut.append(connection.connection.dbapi_connection.info.backend_pid)  # type: ignore[union-attr]
            with other.write() as killer:
                killer.execute(sa.select(sa.func.pg_terminate_backend(cut[-1], 10_000)))

    world.use(book := Book(), keeping=AT_ONCE)
    with listening(world.database.engine, "before_cursor_execute", cut_off):
        assert send(world, way).accepted == 6
    other.dispose()
    assert len(set(cut)) == 2
    went_once(world, book)


def went_once(world: World, book: Book) -> None:
    assert book.calls == 1
    assert {row.state for row in world.rows(tables.Message)} == {"accepted"}
    assert len(world.rows(tables.Event, kind="sent")) == len(book.taken) == 6
    with world.database.read() as connection:
        assert timers.lost(connection) == []


# --- what was committed, and only its answer was lost -----------------------------------------------------------------

MIXED = {
    "c1@example.com": Receipt(0, Outcome.NOT_SENT, detail="busy"),
    "c2@example.com": Receipt(0, Outcome.REFUSED, detail="no such user"),
    "c3@example.com": Receipt(0, Outcome.AMBIGUOUS, detail="the connection was cut"),
    "c4@example.com": Receipt(0, Outcome.SENDER_REFUSED, detail="no such token"),
    "c5@example.com": Receipt(0, Outcome.NOT_SENT, detail="slow down", retry_after=1.0),
}


@pytest.mark.parametrize("answers", [{}, MIXED], ids=["accepted", "mixed"])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_committed_already_is_not_changed_when_it_is_written_again(
    world: World, way: str, answers: dict[str, Receipt]
) -> None:
    seen = copy.copy(world)
    seen.database = Database(world.database.url.render_as_string(hide_password=False))
    kept: list[dict[str, list[Any]]] = []

    def lose(connection: sa.Connection) -> None:
        if not book.calls or kept:
            return
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.commit() if world.database.dialect == "postgresql" else raw.cursor().execute("COMMIT")
        connection.invalidate()
        kept.append(contents(seen))
        lost = Exception("server closed the connection unexpectedly")
        raise OperationalError("COMMIT", {}, lost, connection_invalidated=True)

    world.use(book := Book(answers=answers), keeping=AT_ONCE)
    failpoints.armed[failpoints.SETTLED] = lambda: kept.append(contents(seen))
    try:
        with listening(world.database.engine, "commit", lose), capture_logs() as log:
            sent = send(world, way)
    finally:
        failpoints.armed.clear()
        seen.database.dispose()
    assert len(log) == 2, "it was written twice"
    assert (sent.accepted, sent.refused, sent.retrying, sent.ambiguous) == ((1, 1, 3, 1) if answers else (6, 0, 0, 0))
    before, after = kept
    for name, rows in before.items():
        assert after[name] == rows, name


# --- what is not kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 1 FROM nowhere", DBAPIError),
        ("INSERT INTO addresses (contact_id, email) VALUES (99, 'x')", IntegrityError),
    ],
)
def test_what_no_time_mends_is_raised_at_once(world: World, statement: str, error: type[Exception]) -> None:
    tries = []

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        connection.exec_driver_sql(statement)

    with pytest.raises(error):
        keeping.write(world.database, work, 1, AT_ONCE, never)
    assert tries == [1]


@pytest.mark.parametrize(
    ("keep", "stopping", "times"),
    [
        (Keeping(seconds=0, pause_seconds=0), [False], 1),
        (Keeping(stopping_seconds=0, pause_seconds=0), [False, False, True], 3),
    ],
    ids=["the time is over", "the process is to end"],
)
def test_after_its_time_the_trouble_is_raised(
    database: Database, keep: Keeping, stopping: list[bool], times: int
) -> None:
    tries, asked = [], iter(stopping)

    def work(_: sa.Connection) -> None:
        tries.append(1)
        raise DatabaseError("it cannot be reached")

    with pytest.raises(DatabaseError, match="cannot be reached"):
        keeping.write(database, work, 1, keep, lambda: next(asked))
    assert len(tries) == times


def heartbeat(world: World) -> tuple[Callable[[], object], Callable[[], object]]:
    scheduler = Scheduler(world.database, world.postroom)
    return scheduler.begin_to_stop, scheduler.send


def once(world: World) -> tuple[Callable[[], object], Callable[[], object]]:
    asked = threading.Event()
    return asked.set, lambda: run_once(world.database, world.postroom, world.now, stopping=asked.is_set)


def worker(world: World) -> tuple[Callable[[], object], Callable[[], object]]:
    found = Worker(world.database, [world.postroom], lambda: world.now)
    return found.stop, lambda: found.do(Job("tick"))


@pytest.mark.parametrize(
    ("database_url", "process"),
    [("sqlite", heartbeat), ("sqlite", once), pytest.param("postgresql", worker, marks=pytest.mark.pg)],
    indirect=["database_url"],
)
def test_every_process_that_is_asked_to_end_soon_gives_up(world: World, process: Any) -> None:
    def fail(*_: object) -> None:
        if book.calls:
            raise DBAPIError("INSERT", {}, errors.LockNotAvailable("lock timeout"))

    with world.database.write() as connection:
        instance.make_rehearsal(connection, world.now)
    world.use(book := Book(), keeping=Keeping(seconds=5, stopping_seconds=0, pause_seconds=0))
    book.afterwards, work = process(world)
    with (
        listening(world.database.engine, "before_cursor_execute", fail),
        capture_logs() as log,
        pytest.raises((DBAPIError, DatabaseError), match="lock timeout"),
    ):
        work()
    assert book.calls == 1
    assert not [line for line in log if "kept" in line["event"]]


def test_answers_are_kept_until_their_lease_ends_and_no_longer() -> None:
    assert keeping.KEPT_SECONDS + carrying.SEND_SECONDS == sending.LEASE_SECONDS
