"""Clocks in the whole loop: back, forward, where local time has gaps and comes twice. Once, in the window, no burst.

Time is the test's own, from one due moment to the next, so nothing between is left out.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nurture.db import tables
from nurture.db.session import Database
from tests.faults import promises
from tests.programs import NURTURE
from tests.world import Ledger, World

LEADS = 2


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


def begin(world: World, window: str, zone: str, at: datetime, *, leads: int = LEADS) -> Ledger:
    """Let leads in a zone get a mail, and another one a day later at half past two."""
    sequence = NURTURE.replace("window: always", f"window: {window}")
    sequence = sequence.replace("- {id: pause, wait: 3 days}", '- {id: pause, wait: {for: 1 day, at: "02:30"}}')
    world.now = at
    world.apply({"sequences/nurture.yaml": sequence})
    ledger = Ledger()
    world.use(ledger)
    world.contacts([f"c{number}@example.com" for number in range(leads)], time_zone=zone)
    return ledger


def check(world: World, ledger: Ledger, *, leads: int = LEADS) -> list[datetime]:
    """Hold the promises, and that each lead got each mail once; return when they went, in UTC."""
    taken = Counter(mail.message_id for mail in ledger.taken)
    assert promises.check(world.database, taken) == {"accepted": 2 * leads}
    assert Counter(mail.to_address for mail in ledger.taken) == {f"c{n}@example.com": 2 for n in range(leads)}
    return [row.sent_at for row in world.rows(tables.Message)]


NIGHT, DAY = (
    '{days: mon-sun, hours: "02:00-03:00", spread: 20 minutes}',
    '{days: mon-fri, hours: "09:00-17:00", spread: 1 hour}',
)
CHANGES = [
    pytest.param("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), id="gap"),
    pytest.param("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), id="overlap"),
    pytest.param("Australia/Lord_Howe", datetime(2026, 10, 3, 2, tzinfo=UTC), id="gap-of-half-an-hour"),
    pytest.param("Australia/Lord_Howe", datetime(2026, 4, 4, 2, tzinfo=UTC), id="overlap-of-half-an-hour"),
    pytest.param("Pacific/Apia", datetime(2011, 12, 29, 2, tzinfo=UTC), id="a-day-that-never-was"),
    pytest.param("Europe/Berlin", datetime(2028, 2, 28, 12, tzinfo=UTC), id="leap-day"),
]


@pytest.mark.parametrize(("zone", "at"), CHANGES)
def test_local_time_that_jumps_sends_each_mail_once_and_within_the_window(
    world: World, zone: str, at: datetime
) -> None:
    ledger = begin(world, NIGHT, zone, at)
    world.advance(days=4)
    for moment in check(world, ledger):
        assert time(2) <= moment.astimezone(ZoneInfo(zone)).time() < time(3)


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=1), timedelta(days=366)], ids=str)
def test_a_clock_that_goes_back_resends_nothing(world: World, back: timedelta) -> None:
    ledger = begin(world, "always", "UTC", world.now)
    world.work()
    assert len(ledger.taken) == LEADS
    real = world.now
    world.now -= back
    world.work()
    assert len(ledger.taken) == LEADS
    world.now = real
    world.advance(days=3)
    check(world, ledger)


@pytest.mark.parametrize(
    "ahead",
    [
        pytest.param(timedelta(days=365), id="a-year"),
        pytest.param(timedelta(days=1), id="a-day", marks=pytest.mark.soak),
    ],
)
def test_a_clock_that_jumps_ahead_sends_what_is_overdue_in_slots_of_its_own(world: World, ahead: timedelta) -> None:
    """As after a downtime: what missed its slot gets the next one in the window, each its own place in the spread."""
    leads = 12
    monday = datetime(2026, 3, 2, 6, tzinfo=UTC)
    ledger = begin(world, DAY, "UTC", monday, leads=leads)
    world.work()
    assert ledger.taken == []
    world.now = monday + ahead + timedelta(hours=9)
    world.work()
    assert ledger.taken == [], "none of it goes at the moment of the jump"
    world.advance(days=4)
    moments = check(world, ledger, leads=leads)
    assert max(Counter(moment.replace(second=0, microsecond=0) for moment in moments).values()) <= leads // 3
    assert all(time(9) <= moment.time() < time(17) and moment.weekday() < 5 for moment in moments)


def test_a_clock_that_was_ahead_for_a_moment_keeps_nothing_waiting_for_ever(world: World) -> None:
    """What was put off by a wrong clock waits for the time that it named; what comes later goes on time."""
    ledger = begin(world, "always", "UTC", world.now)
    real = world.now
    world.now += timedelta(days=365)
    world.work()
    world.now = real
    world.contacts(["late@example.com"])
    world.work()
    assert "late@example.com" in {mail.to_address for mail in ledger.taken}
