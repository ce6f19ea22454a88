from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.core.words import FINAL_MESSAGES, EnrollmentState, MessageState, TimerKind
from nurture.db import timers
from nurture.db.session import Database
from nurture.db.tables import Message, Timer
from tests import databases, factories
from tests.databases import Queries
from tests.factories import NOW
from tests.processes import Process

LATER = NOW + timedelta(minutes=5)
LONG, OVER = 60, -1


def set_timers(database: Database, *due: tuple[int, datetime], kind: str = "message") -> None:
    with database.write() as connection:
        timers.set_timers(connection, [(kind, subject, at) for subject, at in due])


def claim(
    database: Database, owner: str = "a", now: datetime = NOW, limit: int = 100, seconds: float = LONG
) -> list[timers.Claimed]:
    with database.write() as connection:
        return timers.claim(connection, TimerKind.MESSAGE, owner, now, limit, seconds)


def subjects(claimed: list[timers.Claimed]) -> list[int]:
    return [timer.subject_id for timer in claimed]


# --- setting ----------------------------------------------------------------------------------------------------------


def test_a_subject_has_one_timer_that_moves(database: Database) -> None:
    set_timers(database, (1, NOW))
    set_timers(database, (1, NOW), (2, NOW))
    set_timers(database, (1, LATER))
    set_timers(database, (1, NOW), kind="enrollment")
    with database.read() as connection:
        rows = connection.execute(sa.select(Timer.kind, Timer.subject_id, Timer.due_at)).all()
    assert sorted(rows) == [("enrollment", 1, NOW), ("message", 1, LATER), ("message", 2, NOW)]


@pytest.mark.parametrize("moving", [range(1, 4), range(1, 20), range(2, 20)], ids=["few", "one is new", "many"])
def test_moving_timers_is_setting_them(database: Database, moving: range) -> None:
    """Some are claimed, some are not there, and one comes to a moment of its own."""
    set_timers(database, *((subject, NOW) for subject in range(2, 40)))
    set_timers(database, *((subject, NOW) for subject in range(1, 40)), kind="enrollment")
    claim(database)
    moved = [(subject, LATER if subject != 2 else NOW) for subject in moving]
    found = []
    for move in (timers.move, lambda c, kind, due: timers.set_timers(c, [(kind, *each) for each in due])):
        with database.engine.connect() as connection, connection.begin() as transaction:
            move(connection, TimerKind.MESSAGE, moved)
            found.append(sorted(map(tuple, connection.execute(sa.select(Timer.__table__)))))
            transaction.rollback()
    assert found[0] == found[1]


def test_of_one_page_the_last_due_time_counts(database: Database) -> None:
    set_timers(database, (1, LATER), (1, NOW))
    assert subjects(claim(database)) == [1]


def test_setting_ends_a_claim_and_its_attempts(database: Database) -> None:
    set_timers(database, (1, NOW))
    claim(database)
    set_timers(database, (1, NOW))
    assert claim(database, "b") == [timers.Claimed(1, NOW, 1)]


def test_cleared_timers_are_gone(database: Database) -> None:
    set_timers(database, (1, NOW), (2, NOW))
    set_timers(database, (1, NOW), kind="enrollment")
    with database.write() as connection:
        timers.clear(connection, TimerKind.MESSAGE, [1])
        timers.clear(connection, TimerKind.MESSAGE, [])
        assert connection.scalars(sa.select(Timer.kind).where(Timer.subject_id == 1)).all() == ["enrollment"]
    assert subjects(claim(database)) == [2]


# --- claiming ---------------------------------------------------------------------------------------------------------


def test_due_timers_are_claimed_earliest_first(database: Database) -> None:
    early = NOW - timedelta(microseconds=1)
    set_timers(database, (3, NOW), (1, NOW), (2, early), (4, NOW + timedelta(microseconds=1)))
    set_timers(database, (5, early), kind="enrollment")
    assert claim(database, limit=2) == [timers.Claimed(2, early, 1), timers.Claimed(1, NOW, 1)]
    assert claim(database) == [timers.Claimed(3, NOW, 1)]


def test_a_claim_holds_for_its_lease(database: Database) -> None:
    set_timers(database, (1, NOW))
    assert subjects(claim(database, "a")) == [1]
    assert claim(database, "b") == []
    assert claim(database, "a") == []


def test_a_claim_past_its_lease_is_taken_over_and_counted(database: Database) -> None:
    set_timers(database, (1, NOW))
    claim(database, "a", seconds=OVER)
    assert claim(database, "b") == [timers.Claimed(1, NOW, 2)]


def test_a_pretended_moment_ends_no_lease(database: Database) -> None:
    set_timers(database, (1, NOW))
    claim(database, "a")
    assert claim(database, "b", now=NOW + timedelta(days=10_000)) == []


def test_released_claims_are_free_and_count_no_attempt(database: Database) -> None:
    set_timers(database, (1, NOW), (2, NOW))
    claim(database, "a")
    with database.write() as connection:
        timers.release(connection, TimerKind.MESSAGE, [1], "a")
        timers.release(connection, TimerKind.MESSAGE, [2], "somebody else")
    assert claim(database, "b") == [timers.Claimed(1, NOW, 1)]


def test_only_the_owner_extends_a_claim(database: Database) -> None:
    set_timers(database, (1, NOW), (2, NOW))
    claim(database, "a", limit=1, seconds=OVER)
    claim(database, "b", limit=1, seconds=OVER)
    with database.write() as connection:
        assert timers.extend(connection, TimerKind.MESSAGE, [1, 2], "b", LONG) == {1}
        assert timers.extend(connection, TimerKind.MESSAGE, [], "b", LONG) == frozenset()
    assert subjects(claim(database, "c")) == [2]


def test_new_timers_are_held_as_if_their_owner_had_claimed_them(database: Database) -> None:
    early = NOW - timedelta(seconds=3)
    with database.write() as connection:
        timers.hold(connection, [], "a", LONG)
        timers.hold(connection, [(2, NOW, 7), (1, early, 8)], "a", LONG)
        timers.hold(connection, [(3, NOW, 7)], "b", OVER)
    set_timers(database, (4, NOW), (5, early), (6, NOW))
    with database.write() as connection:
        timers.claim(connection, TimerKind.MESSAGE, "c", early, 1, LONG)
        rows = connection.execute(sa.select(Timer.__table__).order_by(Timer.subject_id)).all()
    lanes = database.dialect == "postgresql"
    held, claimed = rows[:2], next(row for row in rows if row.subject_id == 5)
    assert [(row.kind, row.subject_id, row.due_at, row.owner, row.attempts, row.lane) for row in held] == [
        ("message", 1, early, "a", 1, 8 if lanes else None),
        ("message", 2, NOW, "a", 1, 7 if lanes else None),
    ]
    assert all(timedelta() <= claimed.lease_until - row.lease_until < timedelta(seconds=30) for row in held)
    assert subjects(claim(database, "d")) == [3, 4, 6]


def test_a_held_timer_is_nobody_elses_and_has_the_lane_that_any_other_has(database: Database) -> None:
    with database.write() as connection:
        sender = factories.sender(connection)
        person = factories.contact(connection)
        message, another = (factories.message(connection, person, sender, origin_key=f"manual:{n}") for n in (1, 2))
        timers.hold(connection, [(message, NOW, sender)], "a", LONG)
        timers.set_timers(connection, [(TimerKind.MESSAGE, another, LATER)])
        lane, other = connection.scalars(sa.select(Timer.lane).order_by(Timer.due_at))
    assert lane == other == (sender if database.dialect == "postgresql" else None)
    assert claim(database, "b") == []
    with pytest.raises(sa.exc.DBAPIError), database.write() as connection:
        timers.hold(connection, [(message, LATER, sender)], "b", LONG)


RACE = """
import json, sys
from datetime import datetime
from nurture.db import timers
from nurture.db.session import Database

database, owner, now = Database(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
claimed = []
print("ready", flush=True)
sys.stdin.readline()
while True:
    with database.write() as connection:
        page = timers.claim(connection, "message", owner, now, 17, 600)
    if not page:
        break
    claimed += [timer.subject_id for timer in page]
print(json.dumps(claimed), flush=True)
"""


def test_two_processes_never_claim_the_same_timer(database: Database) -> None:
    set_timers(database, *((number, NOW - timedelta(seconds=number % 7)) for number in range(1000)))
    url = database.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        racers = [stack.enter_context(closing(Process(RACE, url, owner, NOW.isoformat()))) for owner in "ab"]
        for racer in racers:
            assert racer.stdout.readline() == "ready\n", racer.stderr.read()
        for racer in racers:
            racer.go()
        claimed = [json.loads(racer.stdout.read()) for racer in racers]
    assert sorted(claimed[0] + claimed[1]) == list(range(1000))


# --- asking -----------------------------------------------------------------------------------------------------------


def test_next_due_is_the_earliest_that_nobody_holds(database: Database) -> None:
    with database.read() as connection:
        assert timers.next_due(connection) is None
    set_timers(database, (1, NOW), (2, LATER))
    set_timers(database, (1, LATER + timedelta(days=1)), kind="review")
    claim(database)
    with database.read() as connection:
        assert timers.next_due(connection) == LATER


def lost(database: Database) -> list[timers.Lost]:
    with database.read() as connection:
        return timers.lost(connection)


NEEDS_A_TIMER = {EnrollmentState.PENDING, EnrollmentState.ACTIVE, EnrollmentState.WAITING, EnrollmentState.HELD}


@pytest.mark.parametrize("state", EnrollmentState)
def test_a_run_that_goes_on_without_a_timer_is_lost(database: Database, state: EnrollmentState) -> None:
    with database.write() as connection:
        person = factories.contact(connection)
        run = factories.enrollment(connection, person, factories.version(connection), state=state)
    expected = [timers.Lost("enrollment", run, state)] if state in NEEDS_A_TIMER else []
    assert lost(database) == expected
    set_timers(database, (run, NOW), kind="enrollment")
    assert lost(database) == []


def test_a_pause_with_an_end_needs_a_timer(database: Database) -> None:
    with database.write() as connection:
        person = factories.contact(connection)
        paused = {"state": EnrollmentState.PAUSED, "paused_until": LATER}
        run = factories.enrollment(connection, person, factories.version(connection), **paused)
    assert lost(database) == [timers.Lost("enrollment", run, "paused")]


def test_a_held_run_lives_as_long_as_its_message(database: Database) -> None:
    with database.write() as connection:
        person, sender = factories.contact(connection), factories.sender(connection)
        run = factories.enrollment(connection, person, factories.version(connection), state=EnrollmentState.HELD)
        mail = factories.message(connection, person, sender, enrollment_id=run, state=MessageState.AWAITING_APPROVAL)
    set_timers(database, (mail, NOW), kind="draft")
    assert lost(database) == []
    with database.write() as connection:
        connection.execute(sa.update(Message).values(state=MessageState.CANCELLED))
    assert lost(database) == [timers.Lost("enrollment", run, "held")]


@pytest.mark.parametrize("state", MessageState)
def test_an_unfinished_message_without_its_timer_is_lost(database: Database, state: MessageState) -> None:
    with database.write() as connection:
        person, sender = factories.contact(connection), factories.sender(connection)
        mail = factories.message(connection, person, sender, state=state)
    right, wrong = ("draft", "message") if state == MessageState.AWAITING_APPROVAL else ("message", "draft")
    set_timers(database, (mail, NOW), kind=wrong)
    expected = [] if state in FINAL_MESSAGES else [timers.Lost(right, mail, state)]
    assert lost(database) == expected
    set_timers(database, (mail, NOW), kind=right)
    assert lost(database) == []


def test_nothing_lost_is_one_question(
    database: Database, queries: Callable[[], AbstractContextManager[Queries]]
) -> None:
    with database.read() as connection, queries() as counter:
        assert timers.lost(connection) == []
    assert counter.count == 1


def test_due_timers_are_those_that_nobody_holds_earliest_first(database: Database) -> None:
    set_timers(database, (1, NOW), (2, NOW - timedelta(hours=1)), (3, LATER), (4, NOW))
    held = claim(database, limit=1)
    with database.write() as connection:
        due = timers.due(connection, TimerKind.MESSAGE, NOW, 10)
        assert timers.due(connection, TimerKind.REVIEW, NOW, 10) == []
        assert timers.due(connection, TimerKind.MESSAGE, NOW, 1) == due[:1]
    assert [timer.subject_id for timer in held] == [2]
    assert [(timer.subject_id, timer.due_at, timer.attempts) for timer in due] == [(1, NOW, 0), (4, NOW, 0)]


def test_on_sqlite_claiming_reads_only_what_is_due(tmp_path: Path) -> None:
    database = Database(databases.sqlite_url(tmp_path))
    asked: list[tuple[str, Any]] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    claim(database)
    statement, parameters = next(call for call in asked if call[0].startswith("UPDATE"))
    with database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    database.dispose()
    steps = {row.detail for row in plan if row.detail.startswith(("SEARCH", "SCAN"))}
    assert steps == {"SEARCH timers USING PRIMARY KEY (due_at=?)", "SEARCH timers USING PRIMARY KEY (due_at<?)"}
