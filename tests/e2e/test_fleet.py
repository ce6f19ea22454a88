"""A fleet of real processes on a real PostgreSQL: kill -9 of a worker loses nothing and sends nothing twice."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.db import instance, tables
from nurture.db.session import Database
from nurture.settling import Verdict, settle
from nurture.ticker import Ticker
from tests import databases
from tests.faults import promises
from tests.faults.copies import end_leases
from tests.faults.ledger import Ledger, running_ledger
from tests.processes import PATIENCE, Running, started, working_folder
from tests.programs import HOUSE, NURTURE
from tests.world import LINKS, World

pytestmark = pytest.mark.pg

BATCH = 20

HANGS = {"takes": "all", "says": "silence"}

ONCE = re.sub(r"  - \{id: pause.*", "", NURTURE, flags=re.DOTALL)
"""The lead sequence with its first mail only."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with running_ledger(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def world(tmp_path: Path, ledger: Ledger) -> Iterator[World]:
    """A world whose mail goes to the ledger, in groups, by whoever works in the folder `fleet`."""
    house = HOUSE.replace('provider = "outbox"', 'provider = "tests.posting"')
    house += f'\n[web]\npublic_url = "{LINKS.public_url}"\n\n[safety]\nlaunch_cap = 1000000\n'
    house += f'\n[providers."tests.posting"]\nurl = "http://127.0.0.1:{ledger.http}"\nbatch = {BATCH}\n'
    changes = {"nurture.toml": house, "sequences/nurture.yaml": ONCE}
    with databases.postgresql_url() as url:
        database = Database(url)
        world = World(database, tmp_path, changes=changes)
        world.now = datetime.now(UTC) - timedelta(seconds=1)
        with database.write() as connection:
            instance.record_unsubscribe_test(connection, LINKS.public_url, world.now)
        working_folder(tmp_path / "fleet", url, changes)
        yield world
        database.dispose()


def test_a_worker_killed_while_it_sends_loses_nothing_and_nothing_is_sent_twice(world: World, ledger: Ledger) -> None:
    people = 560  # more than a page: the other one is called to the rest
    world.contacts(f"c{number}@example.com" for number in range(people))
    ticker = Ticker(world.database, "test", lambda: datetime.now(UTC))
    ledger.script({}, HANGS)
    with (
        started("worker", folder=world.folder / "fleet") as first,
        started("worker", folder=world.folder / "fleet") as second,
    ):
        first.go()
        first.wait_for("worker of all queues")
        ticker.beat()
        first.wait_for("posting")
        first.wait_for("posting")
        second.go()
        second.wait_for("send")  # the rest, while the first one hangs
        first.process.kill()
        first.process.wait(PATIENCE)
        end_leases(world.database, alone=False)
        wait_until_over(world, ticker.beat)
        second.process.send_signal(signal.SIGTERM)
        assert second.end()[0] == 0, second.heard
    assert promises.check(world.database, ledger.taken()) == {"accepted": people - BATCH, "ambiguous": BATCH}
    settle_by_the_book(world, ledger)
    assert promises.check(world.database, ledger.taken()) == {"accepted": people - BATCH, "settled_sent": BATCH}


def settle_by_the_book(world: World, ledger: Ledger) -> None:
    """Say what a person says who has looked at the provider's own book."""
    taken = ledger.taken()
    unknown = world.rows(tables.Message, state="ambiguous")
    with world.database.write() as connection:
        for verdict, found in ((Verdict.SENT, True), (Verdict.NOT_SENT, False)):
            ids = [row.id for row in unknown if (row.message_id_header in taken) is found]
            settle(connection, ids, verdict, "the test", datetime.now(UTC))


@pytest.mark.soak
@pytest.mark.parametrize("workers", [2, 4])
def test_a_fleet_with_its_scheduler_outlives_a_killed_worker(world: World, ledger: Ledger, workers: int) -> None:
    people = 3000
    world.contacts(f"c{number}@example.com" for number in range(people))
    with ExitStack() as stack:
        crew = [stack.enter_context(started("worker", folder=world.folder / "fleet")) for _ in range(workers)]
        schedulers = [stack.enter_context(started("scheduler", folder=world.folder / "fleet")) for _ in range(2)]
        for running in [*crew, *schedulers]:
            running.go()
        crew[0].wait_for("posting")
        crew[0].process.kill()
        crew[0].process.wait(PATIENCE)
        wait_until_over(world, lambda: let_claims_of_the_dead_end(world))
        ends = [ended(running) for running in [*crew[1:], *schedulers]]
    assert ends == [0] * len(ends)
    states = promises.check(world.database, ledger.taken())
    assert states["ambiguous"] <= BATCH
    assert states["accepted"] + states["ambiguous"] == people
    settle_by_the_book(world, ledger)
    assert promises.check(world.database, ledger.taken())["ambiguous"] == 0


def ended(running: Running) -> int:
    running.process.send_signal(signal.SIGTERM)
    return running.end()[0]


def wait_until_over(world: World, meanwhile: Callable[[], object]) -> None:
    """Wait until nothing is due any more, and do something again and again meanwhile."""
    open_ = sa.select(sa.func.count()).where(tables.Message.state.not_in(("accepted", "ambiguous")))
    due = sa.select(sa.func.count()).select_from(tables.Timer).where(tables.Timer.due_at <= sa.func.now())
    for _ in range(PATIENCE * 4):
        with world.database.read() as connection:
            if not connection.scalar(open_) and not connection.scalar(due):
                return
        meanwhile()
        threading.Event().wait(0.25)
    raise AssertionError("something is due for ever")


def let_claims_of_the_dead_end(world: World) -> None:
    """End the leases of whoever is gone: here, what has been claimed for ten seconds and nobody is changing."""
    old = "lease_until < clock_timestamp() + interval '290 seconds'"
    theirs = f"SELECT kind, subject_id FROM timers WHERE {old} FOR UPDATE SKIP LOCKED"
    with world.database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE timers SET lease_until = '2000-01-01+00' WHERE (kind, subject_id) IN ({theirs})"
        )
