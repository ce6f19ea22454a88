"""A seeded nemesis: processes are killed, stopped and woken, the database is restarted and the clock jumps.

For a bounded time several processes work on a few hundred leads while it acts. Then it goes away, one healthy process
drains what is left, and the promises are checked. The seed is printed when they do not hold.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from nurture import scheduler
from nurture.db.session import Database
from nurture.errors import DatabaseError
from nurture.postroom import Postroom
from tests.faults import promises
from tests.faults.conftest import Forker, filled, url_of
from tests.faults.copies import end_leases
from tests.faults.ledger import Ledger
from tests.faults.server import running_server
from tests.world import LINKS, World

SECONDS = 20
PROCESSES = 3
LEADS = 400
ANSWERS = [
    {"takes": "all", "says": "ok"},
    {"takes": "all", "says": "reset"},
    {"takes": "none", "says": "429"},
    {"takes": "half", "says": "garbage"},
    {"takes": "none", "says": "502"},
]


def dice(seed: int) -> Iterator[int]:
    """Throw numbers that are the same for the same seed."""
    for turn in count():
        yield int.from_bytes(hashlib.sha256(f"{seed}:{turn}".encode()).digest()[:6])


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_the_nemesis_everything_was_sent_once_or_is_known_to_be_unknown(
    scene: World, forker: Forker, ledger: Ledger, seed: int
) -> None:
    _nemesis(scene, forker, ledger, seed, lambda throw: _cut_connections(scene.database))


@pytest.mark.soak
@pytest.mark.pg
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_restarts_and_crashes_of_postgresql_everything_was_sent_once_or_is_known_to_be_unknown(
    forker: Forker, ledger: Ledger, tmp_path: Path, seed: int
) -> None:
    with running_server() as server:
        world = filled(World(Database(server.url), tmp_path))
        forker.ask("warm", url=url_of(world))

        def restart(throw: int) -> None:
            server.kill() if throw % 2 else server.stop()
            if throw % 3 == 0:
                forker.ask("wait a moment")
            server.start()

        _nemesis(world, forker, ledger, seed, restart)
        world.database.dispose()


def _nemesis(world: World, forker: Forker, ledger: Ledger, seed: int, restart: Callable[[int], None]) -> None:
    """Be cruel for a while, then let all be well."""
    world.contacts(f"c{number}@example.com" for number in range(LEADS))
    url = url_of(world)
    throws, until = dice(seed), time.monotonic() + SECONDS
    stopped: set[int] = set()
    children: list[int] = []
    ledger.script(*(ANSWERS[next(throws) % len(ANSWERS)] for _ in range(200)))
    turns = 0
    while time.monotonic() < until and turns < 2_000:
        turns += 1
        alive = forker.ask("alive")
        children = [child for child in children if child in alive]
        stopped &= set(alive)
        while len(children) < PROCESSES:
            skew = timedelta(minutes=next(throws) % 240 - 120) if next(throws) % 4 == 0 else timedelta(turns)
            now = world.now + min(skew, timedelta(days=2))
            batch = 60 if next(throws) % 2 else 5  # it sends directly, or on the plain way
            children.append(forker.ask("start", url=url, http=ledger.http, now=now.isoformat(), batch=batch))
        _act(world.database, forker, children, stopped, next(throws), restart)
    for child in stopped:
        os.kill(child, signal.SIGCONT)
    forker.ask("kill all")
    _drain(world, ledger, seed)


def _act(
    database: Database,
    forker: Forker,
    children: list[int],
    stopped: set[int],
    throw: int,
    restart: Callable[[int], None],
) -> None:
    """Do one cruel thing."""
    victim = children[throw % len(children)]
    match (throw >> 8) % 8:
        case 0 | 1 if victim not in stopped:
            os.kill(victim, signal.SIGKILL)
        case 2 | 3 if victim not in stopped:
            os.kill(victim, signal.SIGSTOP)
            stopped.add(victim)
        case 4 if victim in stopped:
            os.kill(victim, signal.SIGCONT)
            stopped.discard(victim)
        case 5:
            try:
                end_leases(database, alone=False, words=(throw >> 16) % 4 == 0)  # else nobody sends directly for long
            except (DBAPIError, DatabaseError):
                return
        case 6 if database.dialect == "postgresql":
            restart(throw >> 16)
        case _:
            forker.ask("wait a moment")


def _cut_connections(database: Database) -> None:
    """Do what a restart of the server does to everybody: every connection is gone."""
    with database.write() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'nurture'"
        )


def _drain(world: World, ledger: Ledger, seed: int) -> None:
    world.database.engine.dispose()  # what the last restart cut off, which the engine would try again and we do not
    end_leases(world.database)
    ledger.script()
    with closing(ledger.provider("postmark")) as provider:
        postroom = Postroom({"outbox": provider}, LINKS, scheduler.new_owner())
        for _ in range(14):
            world.now += timedelta(days=1)
            scheduler.run_once(world.database, postroom, world.now)
    try:
        states = promises.check(world.database, ledger.taken())
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    assert states["ambiguous"] == 0
    assert states["accepted"] > LEADS
