"""A message that crashes the interpreter is found out by its attempts, put aside, and stops nobody else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from nurture import quarantine
from nurture.composing import Links
from nurture.db import tables, timers
from nurture.db.session import Database
from nurture.direct import Direct
from nurture.doctor import TRIES
from nurture.mail.keys import KeyRing
from tests.faults import promises
from tests.faults.copies import end_leases
from tests.world import LINKS, RING, Ledger, World


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@dataclass(frozen=True, repr=False)
class Deadly(KeyRing):
    """Keys with which one address's link cannot be signed and survived."""

    victim: str = ""

    def sign(self, purpose: str, data: bytes) -> bytes:
        if bytes.fromhex(RING.address_hash(self.victim).partition(":")[2]) in data:
            raise Killed
        return super().sign(purpose, data)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


def test_a_message_that_crashes_the_interpreter_is_quarantined_and_everybody_else_gets_theirs(world: World) -> None:
    world.contacts([*(f"c{number}@example.com" for number in range(22)), "bad@example.com"])
    ledger = Ledger()
    world.use(ledger)
    healthy = world.postroom
    world.postroom = replace(healthy, links=Links(LINKS.public_url, Deadly(RING.keys, "bad@example.com")))
    assert _killed(world, rounds=9) == quarantine.TRIES
    assert len(ledger.taken) == 22
    (message,) = world.rows(tables.Message, to_address="bad@example.com")
    (held,) = world.rows(tables.Decision, message_id=message.id)
    assert held.reason.startswith("quarantined: its process ended 5 times")
    (timer,) = world.rows(tables.Timer, kind="message")
    assert (timer.due_at, timer.owner) == (world.now + timedelta(days=1), None)
    assert timer.attempts >= TRIES, "the doctor names it"

    world.now += timedelta(days=1)
    assert _killed(world, rounds=3) == 1, "one try a day"
    world.postroom = healthy
    world.now += timedelta(days=1)
    assert _killed(world, rounds=3) == 0
    states = promises.check(world.database, {mail.message_id: 1 for mail in ledger.taken})
    assert states["accepted"] == len(ledger.taken)
    assert "bad@example.com" in {mail.to_address for mail in ledger.taken}


def test_a_message_that_crashes_a_process_that_sends_directly_is_found_out_once_its_word_ran_out(world: World) -> None:
    """Direct sending counts no attempt before it tries; the word that it left says that it did not end well."""
    world.contacts([*(f"c{number}@example.com" for number in range(22)), "bad@example.com"])
    ledger = Ledger()
    world.use(ledger)
    healthy = world.postroom
    world.postroom = replace(healthy, links=Links(LINKS.public_url, Deadly(RING.keys, "bad@example.com")))
    for owner in ("first", "second"):
        with pytest.raises(Killed):
            _directly(world, owner)
        assert world.rows(tables.Message) == [], "what a page did not survive is as if nobody had tried"
    end_leases(world.database, alone=False)
    _directly(world, "third")
    assert {row.state for row in world.rows(tables.Message)} == {"ready"}, "everybody goes the plain way"
    assert _killed(world, rounds=9) == quarantine.TRIES
    assert len(ledger.taken) == 22
    world.contact("new@example.com")
    with world.database.write() as connection:
        connection.execute(tables.Lease.__table__.delete())
    _directly(world, "fourth")
    assert ledger.taken[-1].to_address == "new@example.com", "it stops nobody who comes later"
    promises.check(world.database, {mail.message_id: 1 for mail in ledger.taken})


def _directly(world: World, owner: str) -> None:
    """Send a page in a process of its own, which takes its word back only if it lives."""
    direct = Direct(world.database, replace(world.postroom, owner=owner))
    direct.page(world.now)
    direct.close()


def _killed(world: World, rounds: int) -> int:
    """Work as a supervisor lets it: a process that is gone is started again. Return how often that was."""
    deaths = 0
    for _ in range(rounds):
        try:
            while world.work().due:
                pass
        except Killed:
            deaths += 1
        end_leases(world.database, alone=False)
    with world.database.read() as connection:
        assert timers.lost(connection) == []
    return deaths
