"""SQLite's own method: trouble at the N-th statement, for N = 1, 2, 3 … until a run finishes untouched.

A run reviews, schedules, drafts, decides, dispatches to a provider in another process, and records. After each try the
leases are over, a healthy process goes on, and the promises are checked; four days later nothing is open any more.
"""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest

from nurture import scheduler
from nurture.core.words import MessageState
from nurture.db import tables
from nurture.db.session import Database
from nurture.direct import LEAST
from nurture.postroom import Postroom
from tests.faults import promises
from tests.faults.conftest import Forker, url_of
from tests.faults.copies import copied, end_leases
from tests.faults.forker import BATCH, RAISED, WIDE
from tests.faults.ledger import Ledger
from tests.world import LINKS, World

MOST = 2_000
KILLED = -9

WAYS = [
    pytest.param(BATCH, range(61, 180, 97), id="plain-a-few"),
    pytest.param(WIDE, range(73, 180, 97), id="direct-a-few"),
    pytest.param(BATCH, range(1, MOST), id="plain-every", marks=pytest.mark.soak),
    pytest.param(WIDE, range(1, MOST), id="direct-every", marks=pytest.mark.soak),
]
"""How many mails the provider carries at once, and which points are tried."""

CROWD = 3 * LEAST
"""How many more leads it takes until a page is full and others follow, and on PostgreSQL a second track joins in."""


@pytest.mark.parametrize("batch", [BATCH, WIDE], ids=["plain", "direct"])
def test_an_untouched_run_reaches_everything(scene: World, forker: Forker, ledger: Ledger, batch: int) -> None:
    """The scene is worth its name: every kind of end is in it."""
    states, _ = _try(scene, forker, ledger, "kill", MOST, batch)
    assert states == {"accepted": 4, "refused": 1, "cancelled": 1}


@pytest.mark.parametrize(("batch", "points"), WAYS)
@pytest.mark.parametrize("how", ["kill", "raise"])
def test_trouble_at_any_statement_sends_nothing_twice_and_loses_nothing(
    scene: World, forker: Forker, ledger: Ledger, how: str, batch: int, points: range
) -> None:
    _try_all(scene, forker, ledger, how, batch, points)


@pytest.mark.soak
@pytest.mark.parametrize(("batch", "points"), WAYS[2:])
def test_trouble_that_passes_leaves_nothing_unknown_at_whatever_statement_it_comes(
    scene: World, forker: Forker, ledger: Ledger, batch: int, points: range
) -> None:
    _try_all(scene, forker, ledger, "pass", batch, points)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["kill", "raise"])
def test_trouble_at_any_statement_of_several_tracks_sends_nothing_twice_and_loses_nothing(
    scene: World, forker: Forker, ledger: Ledger, how: str
) -> None:
    scene.contacts(f"c{number}@example.com" for number in range(CROWD))
    _try_all(scene, forker, ledger, how, LEAST, range(1, MOST))


def _try_all(scene: World, forker: Forker, ledger: Ledger, how: str, batch: int, points: range) -> None:
    seen: Counter[str] = Counter()
    touched = 0
    for number in points:
        states, trouble = _try(scene, forker, ledger, how, number, batch)
        seen.update(states)
        if not trouble:
            break
        touched += 1
    if points.step > 1:
        assert touched == len(points), "a run asks the database more often than that"
    else:
        assert 60 < touched < len(points), f"a run has more than {MOST} points, or hardly any"
        unknown = seen["ambiguous"] > 0
        assert unknown == (how != "pass"), "a try hit the time between the intent and the truth, and that does not pass"


def _try(scene: World, forker: Forker, ledger: Ledger, how: str, at: int, batch: int) -> tuple[Counter[str], bool]:
    """Do a run with trouble at point `at`, recover, check; return the states after it, and whether trouble came."""
    ledger.book.write_text("")
    with copied(url_of(scene)) as url:
        code = forker.ask(how, url=url, http=ledger.http, now=scene.now.isoformat(), at=at, batch=batch)
        assert code in (0, KILLED if how == "kill" else RAISED)
        world = copy.copy(scene)
        world.database = Database(url)
        try:
            states = _recover(world, ledger)
        except AssertionError as error:
            raise AssertionError(f"{how} at point {at}: {error}") from error
        finally:
            world.database.dispose()
    return states, code != 0


def _recover(world: World, ledger: Ledger) -> Counter[str]:
    promises.check(world.database, ledger.taken(), drained=False)
    end_leases(world.database)
    with closing(ledger.provider("postmark", batch=BATCH)) as provider:
        postroom = Postroom({"outbox": provider}, LINKS, scheduler.new_owner())
        scheduler.run_once(world.database, postroom, world.now)
        states = promises.check(world.database, ledger.taken())
        assert sum(states.values()) == len(world.rows(tables.Contact))
        for days in (4, 8):
            scheduler.run_once(world.database, postroom, world.now + timedelta(days=days))
    end = promises.check(world.database, ledger.taken())
    assert end[MessageState.AMBIGUOUS] == 0
    followed = {row.to_address for row in world.rows(tables.Message, step_id="more")}
    assert followed >= {"ann@example.com", "cleo@example.com", "dan@example.com"}
    return states
