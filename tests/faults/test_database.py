"""A database in trouble: no mail without durable intent, the whole unit again where that is safe, no effect twice.

The provider takes mail in this process; what the database did and did not keep is asked afterwards.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from nurture import engine, sending
from nurture.db import tables
from nurture.db.session import Database
from nurture.errors import DatabaseError
from nurture.keeping import Keeping
from nurture.mail.wire import Outgoing
from nurture.providers.base import Receipt
from tests.faults import promises
from tests.faults.copies import end_leases
from tests.faults.server import running_server
from tests.world import Ledger, World

READING = {"nurture_reading", "postgresql_readonly"}
TROUBLE = (DBAPIError, DatabaseError)

GIVES_UP = Keeping(seconds=0)
"""Trouble that lasts longer than answers are kept; what is kept has its tests in `test_keeping.py`."""


@dataclass
class Book(Ledger):
    """A ledger in whose first call something happens, before it has taken the mail."""

    batch: int = 2
    meanwhile: Callable[[], None] = lambda: None
    calls: int = field(default=0)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        self.calls += 1
        if self.calls == 1:
            self.meanwhile()
        return super().send(group, seconds=seconds)

    @property
    def counts(self) -> dict[str, int]:
        taken = [mail.message_id for mail in self.taken]
        return {key: taken.count(key) for key in taken}


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return planned(World(database, tmp_path))


def planned(world: World) -> World:
    """Let five first mails be due."""
    world.contacts(f"c{number}@example.com" for number in range(5))
    while engine.tick(world.database, "tester", world.now):
        pass
    return world


def recovers(world: World, book: Book, *, ambiguous: int) -> None:
    """Let all be well again: the promises hold, the rest goes out, and only so many are unknown."""
    promises.check(world.database, book.counts, drained=False)
    end_leases(world.database, alone=False)
    world.work()
    states = promises.check(world.database, book.counts)
    assert states == {"accepted": 5 - ambiguous} | ({"ambiguous": ambiguous} if ambiguous else {})


# --- disk full --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "unknown"), [("claimed", 0), ("dispatching", 0), ("accepted", 2)])
def test_a_full_disk_lets_nothing_out_that_was_not_written_down(world: World, state: str, unknown: int) -> None:
    book = Book()
    world.use(book, keeping=GIVES_UP)
    with full_disk(world.database, state), pytest.raises(DBAPIError, match=r"full|No space left"):
        sending.send_due(world.database, world.postroom, world.now)
    assert len(book.taken) == unknown
    recovers(world, book, ambiguous=unknown)


@contextmanager
def full_disk(database: Database, state: str) -> Iterator[None]:
    """Let the database say that the disk is full when a message would come to a state."""
    if database.dialect == "sqlite":
        body = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        made = [f"CREATE TRIGGER full BEFORE UPDATE ON messages WHEN NEW.state = '{state}' {body}"]
        gone = ["DROP TRIGGER full"]
    else:
        made = [
            """CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$""",
            f"""CREATE TRIGGER full_disk BEFORE UPDATE ON messages FOR EACH ROW WHEN (NEW.state = '{state}')
                EXECUTE FUNCTION disk_full()""",
        ]
        gone = ["DROP TRIGGER full_disk ON messages", "DROP FUNCTION disk_full"]
    _run(database, made)
    try:
        yield
    finally:
        _run(database, gone)


def test_a_sqlite_file_that_may_not_grow_recovers_once_it_may(tmp_path: Path) -> None:
    """Wherever the room ends: at the claim, the intent or the truth."""
    from tests import databases

    ends: set[int] = set()
    for room in (0, 2, 4, 8):
        database = Database(databases.sqlite_url(tmp_path))
        book, most = Book(), [2**30]
        event.listen(database.engine, "checkout", lambda raw, *_, most=most: _limit(raw, most[0]))
        world = planned(World(database, tmp_path))
        world.use(book, keeping=GIVES_UP)
        with database.read() as connection:
            most[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + room
        with suppress(DBAPIError):
            sending.send_due(database, world.postroom, world.now)
        ends.add(len(book.taken))
        most[0] = 2**30
        unknown = len(world.rows(tables.Message, state="dispatching"))
        recovers(world, book, ambiguous=unknown)
        database.dispose()
    assert min(ends) < 5, "the disk was full before all had gone"
    assert len(ends) > 1, "and at several moments"


def _limit(raw: sqlite3.Connection, pages: int) -> None:
    raw.execute(f"PRAGMA max_page_count = {pages}")


# --- locked -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_database_that_stays_locked_sends_nothing_and_what_was_in_flight_is_unknown(world: World, when: str) -> None:
    with locking(world.database) as lock:
        book = Book(meanwhile=lock) if when == "during" else Book()
        world.use(book, keeping=GIVES_UP)
        if when == "before":
            lock()
        with pytest.raises(TROUBLE):
            sending.send_due(world.database, world.postroom, world.now)
        assert len(book.taken) == (0 if when == "before" else 2)
    recovers(world, book, ambiguous=0 if when == "before" else 2)


@contextmanager
def locking(database: Database) -> Iterator[Callable[[], None]]:
    """Have little patience; yield what locks the whole database until the block ends."""
    other = Database(database.url.render_as_string(hide_password=False))
    holder = other.engine.connect()

    def impatient(raw: Any, *_: Any) -> None:
        if database.dialect == "sqlite":
            raw.execute("PRAGMA busy_timeout = 20")
            return
        raw.autocommit = True
        raw.execute("SET lock_timeout = '20ms'")
        raw.autocommit = False

    def lock() -> None:
        holder.begin()
        if database.dialect == "postgresql":
            holder.exec_driver_sql("LOCK TABLE messages")

    event.listen(database.engine, "checkout", impatient)
    try:
        yield lock
    finally:
        holder.close()
        other.dispose()
        event.remove(database.engine, "checkout", impatient)
        database.dispose()


# --- gone in mid-commit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_commit_whose_answer_is_lost_happened_or_not_and_nothing_is_sent_twice(world: World, number: int) -> None:
    """The claim, the intent, the truth: the database did commit, and the connection ended before it said so."""
    book = Book()
    world.use(book, keeping=GIVES_UP)
    seen = [0]

    def lose(connection: sa.Connection) -> None:
        seen[0] += not READING & connection.get_execution_options().keys()
        if seen[0] == number:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.commit() if world.database.dialect == "postgresql" else raw.cursor().execute("COMMIT")
            connection.invalidate()
            raise sa.exc.OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    event.listen(world.database.engine, "commit", lose)
    try:
        with pytest.raises(DBAPIError):
            sending.send_due(world.database, world.postroom, world.now)
    finally:
        event.remove(world.database.engine, "commit", lose)
    assert len(book.taken) == (2 if number == 3 else 0)
    recovers(world, book, ambiguous=2 if number == 2 else 0)


# --- deadlock ---------------------------------------------------------------------------------------------------------


@pytest.mark.pg
def test_of_two_units_in_a_deadlock_both_are_done_once(pg: Database) -> None:
    _run(pg, ["CREATE TABLE pair (id int PRIMARY KEY, n int)", "INSERT INTO pair VALUES (1, 0), (2, 0)"])
    barrier, tries = threading.Barrier(2), []

    def work(first: int, second: int) -> None:
        mine: list[int] = []

        def unit(connection: sa.Connection) -> None:
            mine.append(first)
            connection.exec_driver_sql(f"UPDATE pair SET n = n + 1 WHERE id = {first}")
            if len(mine) == 1:
                barrier.wait(30)
            connection.exec_driver_sql(f"UPDATE pair SET n = n + 1 WHERE id = {second}")

        pg.unit(unit)
        tries.extend(mine)

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with pg.write() as connection:
        counts = connection.exec_driver_sql("SELECT n FROM pair").scalars().all()
        connection.exec_driver_sql("DROP TABLE pair")
    assert counts == [2, 2]
    assert len(tries) in (3, 4), "one of them was given up, and done again as a whole"


@pytest.mark.pg
@pytest.mark.parametrize("state", ["dispatching", "accepted"])
def test_a_group_that_loses_a_deadlock_is_sent_and_recorded_all_the_same(
    pg: Database, tmp_path: Path, state: str
) -> None:
    world = planned(World(pg, tmp_path))
    book = Book()
    world.use(book)
    body = "IF nextval('given_up') <= 2 THEN RAISE 'deadlock detected' USING ERRCODE = '40P01'; END IF; RETURN NEW;"
    _run(
        pg,
        [
            "CREATE SEQUENCE given_up",
            f"CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
            f"""CREATE TRIGGER losing BEFORE UPDATE ON messages FOR EACH ROW WHEN (NEW.state = '{state}')
                EXECUTE FUNCTION lose()""",
        ],
    )
    try:
        assert sending.send_due(pg, world.postroom, world.now).accepted == 5
    finally:
        _run(pg, ["DROP TRIGGER losing ON messages", "DROP FUNCTION lose", "DROP SEQUENCE given_up"])
    recovers(world, book, ambiguous=0)


def test_a_unit_that_fails_for_another_reason_is_not_tried_again(database: Database) -> None:
    tries = []

    def unit(connection: sa.Connection) -> None:
        tries.append(1)
        connection.exec_driver_sql("SELECT 1 FROM nowhere")

    with pytest.raises(DBAPIError):
        database.unit(unit)
    assert tries == [1]


@pytest.fixture
def pg() -> Iterator[Database]:
    """A PostgreSQL database only: SQLite has one writer at a time, and knows no deadlock."""
    from tests import databases

    with databases.postgresql_url() as url:
        opened = Database(url)
        yield opened
        opened.dispose()


# --- restarted --------------------------------------------------------------------------------------------------------


@pytest.mark.pg
def test_a_postgresql_that_is_stopped_killed_and_started_again_loses_nothing_and_sends_nothing_twice(
    tmp_path: Path,
) -> None:
    with running_server() as server:
        database = Database(server.url)
        world = planned(World(database, tmp_path))

        tries = [0]

        def come_back(*_: Any) -> None:
            tries[0] += 1
            if tries[0] == 3:
                server.start()

        book = Book(meanwhile=server.kill)  # it crashes while mail is under way, and comes back some time later
        world.use(book, keeping=Keeping(pause_seconds=0))
        event.listen(database.engine, "do_connect", come_back)
        assert sending.send_due(database, world.postroom, world.now).accepted == 5
        assert tries[0] >= 3, "what the provider answered was kept meanwhile"
        event.remove(database.engine, "do_connect", come_back)
        recovers(world, book, ambiguous=0)

        world.now += timedelta(days=3, minutes=1)
        book = Book(meanwhile=server.stop, taken=book.taken)  # it is stopped while mail is under way, for too long
        world.use(book, keeping=GIVES_UP)
        while engine.tick(database, "tester", world.now):
            pass
        with pytest.raises(TROUBLE):
            sending.send_due(database, world.postroom, world.now)
        assert len(book.taken) == 7, "no group goes without its intent being written down"
        with pytest.raises(TROUBLE):
            sending.send_due(database, world.postroom, world.now)
        server.start()
        end_leases(database, alone=False)
        world.work()
        states = promises.check(database, book.counts)
        assert states == {"accepted": 8, "ambiguous": 2}
        database.dispose()


def _run(database: Database, statements: list[str]) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
