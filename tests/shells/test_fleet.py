"""The fleet's jobs: called in the transaction that made them due, once, by one ticker, and lost without loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture import engine, failpoints, fleet, sending
from nurture.core.words import TimerKind
from nurture.db import lanes, leases, tables, timers
from nurture.db.session import Database
from nurture.errors import Refused, UsageError
from nurture.fleet import Desk, Job
from nurture.postroom import Sent, Turn
from nurture.ticker import LEASE, Ticker
from nurture.worker import Worker
from tests import databases
from tests.world import LINKS, Ledger, World

pytestmark = pytest.mark.pg


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world on PostgreSQL: there is no fleet elsewhere."""
    with databases.postgresql_url() as url:
        database = Database(url)
        yield World(database, tmp_path)
        database.dispose()


@pytest.fixture
def ticker(world: World) -> Ticker:
    return Ticker(world.database, "first", lambda: world.now)


def desk(world: World) -> Desk:
    return Desk(world.database, world.postroom, lambda: world.now)


def all_round(world: World, turn: Turn | None = None) -> Desk:
    """Return the desk of a worker of all queues."""
    return replace(desk(world), postroom=replace(world.postroom, turn=turn or Turn()), serves_all=True)


def waiting(world: World) -> list[str]:
    """Return the locks of the jobs that wait, in order."""
    with world.database.read() as connection:
        found = connection.exec_driver_sql("SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo'")
        return sorted(found.scalars())


def fetch(world: World, *, heartbeat_seconds_ago: int = 0) -> int:
    """Take a job as a worker does, and let the worker's last heartbeat be some time ago."""
    with world.database.write() as connection:
        who = connection.exec_driver_sql("SELECT * FROM procrastinate_register_worker_v1()").scalar_one()
        ago = sa.text("UPDATE procrastinate_workers SET last_heartbeat = now() - make_interval(secs => :ago)")
        connection.execute(ago, {"ago": heartbeat_seconds_ago})
        taken = connection.execute(sa.text("SELECT id FROM procrastinate_fetch_job_v2(NULL, :who)"), {"who": who})
        return int(taken.scalar_one())


def work_off(world: World) -> Counter[str]:
    """Do every job that waits, and those that they call, as a worker would; return how often each was done."""
    done: Counter[str] = Counter()
    take = (
        "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs) RETURNING task_name, args"
    )
    while True:
        with world.database.write() as connection:
            taken: Any = connection.exec_driver_sql(take).first()
        if taken is None:
            return done
        job = Job(taken.task_name, taken.args.get("lane"))
        done[job.lock] += 1
        fleet.do(desk(world), job)


def lane_of(world: World, name: str) -> int:
    return int(world.row(tables.Sender, name=name).id)


# --- calling ----------------------------------------------------------------------------------------------------------


def test_what_is_due_is_called_for_once(world: World, ticker: Ticker) -> None:
    world.contact("ann@example.com")
    assert ticker.beat() == 1
    assert ticker.beat() == 0
    assert waiting(world) == ["tick"]


def test_nobody_is_called_when_nothing_is_due(world: World, ticker: Ticker) -> None:
    assert ticker.beat() == 0


def test_a_page_calls_for_what_it_made_due_in_its_own_transaction(world: World) -> None:
    world.contact("ann@example.com")
    fleet.do(desk(world), Job("tick"))
    assert waiting(world) == [f"send:{lane_of(world, 'newsletter')}"]


def test_a_transaction_that_is_rolled_back_calls_nobody(world: World) -> None:
    with world.database.engine.connect() as connection:
        assert fleet.enqueue(connection, [Job("tick"), Job("send", 1)]) == 2
        connection.rollback()
    assert waiting(world) == []


def test_a_page_that_fails_before_its_end_calls_nobody(world: World) -> None:
    database = world.database.before_commit(lambda connection: pytest.fail("it did not succeed"))
    with pytest.raises(ZeroDivisionError), database.write():
        raise ZeroDivisionError


def test_a_job_that_another_transaction_is_enqueueing_is_not_enqueued_twice(world: World) -> None:
    """The unique index makes the second wait for the first; its own transaction survives the refusal."""
    with world.database.write() as connection:
        fleet.enqueue(connection, [Job("tick")])
    with world.database.write() as connection:
        assert fleet._enqueue(connection, Job("tick")) is False
        assert fleet.enqueue(connection, [Job("review")]) == 1
    assert waiting(world) == ["review", "tick"]


def test_a_page_that_is_not_the_last_calls_the_next_worker_before_it_begins(world: World) -> None:
    world.use(Ledger())
    world.contacts(f"c{number}@example.com" for number in range(engine.PAGE + 10))
    fleet.do(desk(world), Job("tick"))
    assert "tick" in waiting(world)
    assert work_off(world)["tick"] == 1


def test_a_page_calls_for_everything_that_follows_until_nothing_is_due(world: World, ticker: Ticker) -> None:
    world.use(ledger := Ledger())
    world.contacts(f"c{number}@example.com" for number in range(620))
    ticker.beat()
    done = work_off(world)
    assert len(ledger.taken) == 620
    assert done.keys() == {"tick", f"send:{lane_of(world, 'newsletter')}"}
    assert ticker.beat() == 0


def test_every_kind_of_timer_wakes_a_page() -> None:
    assert fleet._WAKES.keys() == set(TimerKind)
    assert fleet._PAGES.keys() == set(fleet._WAKES.values()) <= set(fleet.WORKS)


# --- losing -----------------------------------------------------------------------------------------------------------


def test_losing_the_queue_loses_nothing(world: World, ticker: Ticker) -> None:
    world.use(ledger := Ledger())
    world.contacts(f"c{number}@example.com" for number in range(3))
    ticker.beat()
    fleet.do(desk(world), Job("tick"))
    with world.database.write() as connection:
        connection.exec_driver_sql("TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE")
    ticker.beat()
    work_off(world)
    assert len(ledger.taken) == 3
    with world.database.read() as connection:
        assert timers.lost(connection) == []


def test_the_job_of_a_worker_that_fell_silent_is_given_up(world: World, ticker: Ticker) -> None:
    world.contact("ann@example.com")
    ticker.beat()
    key = fetch(world, heartbeat_seconds_ago=60)
    ticker.beat()
    with world.database.read() as connection:
        left = connection.exec_driver_sql("SELECT id FROM procrastinate_jobs").scalars().all()
        assert connection.exec_driver_sql("SELECT count(*) FROM procrastinate_workers").scalar_one() == 0
    assert key not in left
    work_off(world)
    assert len(world.mails()) == 1


def test_the_job_of_a_worker_that_was_heard_is_left_to_it(world: World, ticker: Ticker) -> None:
    world.contact("ann@example.com")
    ticker.beat()
    key = fetch(world, heartbeat_seconds_ago=5)
    ticker.beat()
    with world.database.read() as connection:
        assert key in connection.exec_driver_sql("SELECT id FROM procrastinate_jobs").scalars().all()


# --- one ticker -------------------------------------------------------------------------------------------------------


def test_of_two_tickers_one_calls(world: World, ticker: Ticker) -> None:
    second = Ticker(world.database, "second", lambda: world.now)
    world.contact("ann@example.com")
    assert (ticker.beat(), second.beat()) == (1, 0)
    assert second.call([Job("forget")]) == 0


def test_the_second_ticker_takes_over_when_the_first_is_gone(world: World, ticker: Ticker) -> None:
    second = Ticker(world.database, "second", lambda: world.now)
    ticker.beat()
    world.contact("ann@example.com")
    assert second.beat() == 0
    with world.database.write() as connection:  # killed: its lease ends by itself
        leases.acquire(connection, LEASE, "first", -1)
    assert second.beat() == 1
    assert ticker.beat() == 0  # stopped, woken, and no longer the one


def test_a_ticker_that_ends_well_lets_another_begin_at_once(world: World, ticker: Ticker) -> None:
    second = Ticker(world.database, "second", lambda: world.now)
    ticker.beat()
    ticker.stop()
    world.contact("ann@example.com")
    assert second.beat() == 1


# --- lanes ------------------------------------------------------------------------------------------------------------


def test_a_message_waits_in_the_lane_of_its_sender(world: World) -> None:
    world.contact("ann@example.com")
    fleet.do(desk(world), Job("tick"))
    (timer,) = world.rows(tables.Timer, kind="message")
    assert timer.lane == lane_of(world, "newsletter")


def test_only_the_mail_of_the_lane_is_claimed(world: World) -> None:
    world.contact("ann@example.com")
    fleet.do(desk(world), Job("tick"))
    lane = lane_of(world, "newsletter")
    assert sending.send_due(world.database, world.postroom, world.now, lane=lane + 1).due == 0
    assert sending.send_due(world.database, world.postroom, world.now, lane=lane).accepted == 1


def test_a_timer_without_a_lane_gets_one_with_the_next_beat(world: World, ticker: Ticker) -> None:
    world.contact("ann@example.com")
    fleet.do(desk(world), Job("tick"))
    with world.database.write() as connection:
        connection.exec_driver_sql("UPDATE timers SET lane = NULL")
        connection.exec_driver_sql("DELETE FROM procrastinate_jobs")
    ticker.beat()
    assert waiting(world) == [f"send:{lane_of(world, 'newsletter')}"]


def test_what_somebody_holds_is_not_due(world: World) -> None:
    world.contact("ann@example.com")
    with world.database.write() as connection:
        assert lanes.due(connection, world.now).kinds == {TimerKind.ENROLLMENT}
        timers.claim(connection, TimerKind.ENROLLMENT, "somebody", world.now, 10, 60)
        assert lanes.due(connection, world.now) == lanes.Due(frozenset(), frozenset())


def test_the_cost_of_looking_does_not_grow_with_what_waits(world: World) -> None:
    """Whoever is due is found by the beginning of an index, also behind many others."""
    with world.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO timers (due_at, kind, subject_id, attempts, lane) SELECT %s, 'message', n, 0, n %% 50 "
            "FROM generate_series(1, 20000) n",
            (world.now,),
        )
        connection.exec_driver_sql("ANALYZE timers")
        plan = explained(connection, timers._claim("postgresql", True), most=20, now=world.now)
        assert "Index Scan using ix_timers_lane" in plan
        assert "Sort" not in plan
        plan = explained(connection, lanes._of_senders(world.now))
        assert "using ix_timers_lane" in plan
        assert "Seq Scan on timers" not in plan


def explained(connection: sa.Connection, statement: Any, **values: Any) -> str:
    compiled = statement.compile(dialect=connection.dialect)
    given = {"claimer": "x", "seconds": 60.0, "the_lane": 7, **values}
    filled = {name: given.get(name, value) for name, value in compiled.params.items()}
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}", filled).scalars())


# --- sending what is scheduled ----------------------------------------------------------------------------------------


def test_whoever_does_the_work_of_all_queues_sends_what_it_schedules(world: World) -> None:
    world.use(ledger := Ledger())
    world.contacts(f"c{number}@example.com" for number in range(3))
    words: list[str] = []
    failpoints.armed[failpoints.DISPATCHING] = lambda: words.extend(row.name for row in world.rows(tables.Lease))
    try:
        sent = fleet.do(all_round(world), Job("tick"))
    finally:
        failpoints.armed.clear()
    assert isinstance(sent, Sent)
    assert sent.accepted == len(ledger.taken) == 3
    assert waiting(world) == []
    assert words == [f"direct:{world.postroom.owner}"]
    assert not world.rows(tables.Lease), "the next job may be a long time coming"


def test_while_its_provider_is_slow_the_mail_goes_by_the_lane_of_its_sender(world: World) -> None:
    world.use(ledger := Ledger())
    slow = all_round(world, Turn(quick_seconds=-1))
    for number in range(2):
        world.contact(f"c{number}@example.com")
        fleet.do(slow, Job("tick"))
    assert [mail.to_address for mail in ledger.taken] == ["c0@example.com"]
    assert waiting(world) == [f"send:{lane_of(world, 'newsletter')}"]
    fleet.do(slow, Job("send", lane_of(world, "newsletter")))
    assert len(ledger.taken) == 2


def test_mail_that_goes_by_its_lane_tells_that_the_provider_is_quick_again(world: World) -> None:
    world.use(ledger := Ledger())
    turn = Turn()
    turn.quick = False
    world.contact("ann@example.com")
    fleet.do(all_round(world, turn), Job("tick"))
    assert not ledger.taken
    fleet.do(all_round(world, turn), Job("send", lane_of(world, "newsletter")))
    world.contact("bob@example.com")
    fleet.do(all_round(world, turn), Job("tick"))
    assert [mail.to_address for mail in ledger.taken] == ["ann@example.com", "bob@example.com"]


@pytest.mark.parametrize(("queues", "taken"), [(None, 1), (lambda: ["tick"], 0)])
def test_a_worker_of_some_queues_leaves_sending_to_others(world: World, queues: Any, taken: int) -> None:
    world.use(ledger := Ledger())
    world.contact("ann@example.com")
    Worker(world.database, [world.postroom], lambda: world.now, queues).do(Job("tick"))
    assert len(ledger.taken) == taken


# --- queues -----------------------------------------------------------------------------------------------------------


def test_a_worker_serves_all_queues_unless_told_otherwise() -> None:
    assert fleet.queues([], {"newsletter": 3}) is None


def test_send_is_every_sender_and_a_sender_has_a_queue_of_its_own() -> None:
    known = {"newsletter": 3, "rita": 4}
    assert fleet.queues(["tick", "send"], known) == ["send:3", "send:4", "tick"]
    assert fleet.queues(["send:rita"], known) == ["send:4"]


@pytest.mark.parametrize("name", ["nonsense", "send:nobody", "send:3"])
def test_a_queue_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"no queue '{name}': choose among tick, send, inbound, reports, send:rita"):
        fleet.queues([name], {"rita": 3})


def test_the_rarer_jobs_have_their_queues(world: World, ticker: Ticker) -> None:
    home = {"unsubscribe_tested_url": LINKS.public_url, "unsubscribe_tested_at": world.now}
    with world.database.write() as connection:
        connection.execute(sa.update(tables.Instance).values(home))
    rarer = {"forget": 1, "segments": 1, "self-test": 1}
    assert ticker.call(Job(work) for work in rarer) == len(rarer)
    assert work_off(world) == rarer
    assert set(rarer) | set(fleet._PAGES) == set(fleet.WORKS)


def test_work_that_this_version_does_not_know_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="no work 'dream' in this version"):
        fleet.do(desk(world), Job("dream"))
