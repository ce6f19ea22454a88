"""Keeping decisions: an answer is one row, however often and between whatever others it is given.

What many have in common is stored once; whoever reads an answer sees what would be there if each were stored whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, select

from nurture import __version__
from nurture.core.decide import Check, Decision, Hold, Send, decide
from nurture.core.gates import rate
from nurture.core.rates import Limit, Promise, Wait, per_day
from nurture.db import decisions, readings, tables
from nurture.db.decisions import Decided, Given
from nurture.db.session import Database
from tests import factories
from tests.core.dues import CASES, due
from tests.core.plain_gates import shown
from tests.factories import NOW

DAY = timedelta(days=1)


def test_answers_that_take_turns_keep_one_row_each(database: Database) -> None:
    with database.write() as connection:
        contact = factories.contact(connection)
        message = factories.message(connection, contact, factories.sender(connection))
        closed = Decided(contact, None, message, "a", "hold", "outside the window")
        lacks = Decided(contact, None, message, "a", "hold", "the template lacks plan")
        for turn in range(6):
            decisions.record(connection, [(closed, lacks)[turn % 2]], "p", NOW + timedelta(hours=turn))
        rows = decisions.of_contact(connection, contact, 10)
    assert [(row.reason, row.times) for row in rows] == [(lacks.reason, 3), (closed.reason, 3)]
    assert [row.last_at - NOW for row in rows] == [timedelta(hours=5), timedelta(hours=4)]


def test_a_step_that_cannot_be_planned_again_and_again_keeps_one_row(database: Database) -> None:
    with database.write() as connection:
        contact = factories.contact(connection)
        version = factories.version(connection)
        run = factories.enrollment(connection, contact, version)
        for turn in range(5):
            now = NOW + timedelta(hours=4 * turn)
            decisions.record(connection, [Decided(contact, run, None, "a", "hold", "no owner")], "p", now)
        decisions.record(connection, [Decided(contact, run, None, "b", "hold", "no owner")], "p", NOW)
        table = tables.Decision.__table__
        found = connection.execute(select(table.c.step_id, table.c["count"]).order_by(table.c.id)).fetchall()
    assert [tuple(row) for row in found] == [("a", 5), ("b", 1)]


# --- stored once, read whole ------------------------------------------------------------------------------------------


@dataclass
class Plain:
    """Decisions as plainly as they can be kept: each whole, in a list."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def record(self, page: list[Decided], program_hash: str, now: datetime) -> None:
        before = {self.about(row): row for row in self.rows}
        for decided in page:
            row = {name: getattr(decided, name) for name in Decided.__slots__}
            row |= {"checks": shown(Send(decided.checks))[1], "program_hash": program_hash, "code_version": __version__}
            row |= {"first_at": now, "last_at": now, "times": 1}
            same = before.get(self.about(row))
            if same is None:
                self.rows.append({name: row[name] for name in Given.__slots__})
            else:
                same |= {"last_at": now, "until": decided.until, "times": same["times"] + 1}

    def about(self, row: dict[str, Any]) -> tuple[Any, ...]:
        whom = (row["contact_id"], row["enrollment_id"], row["step_id"]) if row["message_id"] is None else ()
        return (row["message_id"], *whom, row["outcome"], row["reason"])

    def of_contact(self, contact: int) -> list[dict[str, Any]]:
        return sorted((row for row in self.rows if row["contact_id"] == contact), key=in_order)


def in_order(row: dict[str, Any]) -> str:
    return str([row[name] for name in ("message_id", "enrollment_id", "step_id", "outcome", "reason")])


def kept(connection: Connection, contact: int) -> list[dict[str, Any]]:
    found = decisions.of_contact(connection, contact, 99)
    return sorted(({name: getattr(answer, name) for name in Given.__slots__} for answer in found), key=in_order)


SLOT = NOW + 3 * DAY
RATED = rate.check(Wait(Limit("sender:1", "sender news", per_day(10)), Promise("m", SLOT)))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


def anything_after(answer: Decision, text: str) -> st.SearchStrategy[Decision]:
    """Return what may become of an answer before it is kept."""
    if not isinstance(answer, Send) or RATED.answer is None:
        return st.just(answer)
    unwritten = Hold(text, SLOT, answer.checks)
    return st.sampled_from([answer, unwritten, replace(RATED.answer, checks=(*answer.checks, RATED))])


ANSWERS = st.builds(lambda case: decide(*case), CASES)
GIVEN = st.tuples(ANSWERS, TEXTS).flatmap(lambda pair: anything_after(*pair))
ABOUT = st.tuples(st.integers(0, 2), st.none() | st.integers(1, 3), st.none() | st.integers(1, 2))
RULES = st.sampled_from([None, "a.yaml:3"]) | TEXTS


def whom(drawn: Any) -> tuple[Any, ...]:
    """Return what a page says one thing about."""
    (place, message, run), *_ = drawn
    return (place, message, run if message is None else None)


PAGES = st.lists(st.lists(st.tuples(ABOUT, GIVEN, RULES), max_size=6, unique_by=whom), max_size=4)


def decided(contacts: list[int], about: tuple[int, int | None, int | None], answer: Decision, rule: Any) -> Decided:
    place, message, run = about
    key = None if message is None else message * 10 + place
    outcome, reason = type(answer).__name__.lower(), getattr(answer, "reason", "")
    step = None if rule is None else "a"
    return Decided(
        contacts[place], run, key, step, outcome, reason, answer.checks, getattr(answer, "until", None), rule
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=PAGES, hours=st.sampled_from([1, 24 * 20]))
def test_what_is_read_is_what_would_be_there_if_every_answer_were_stored_whole(
    database: Database, pages: list[Any], hours: int
) -> None:
    plain, now = Plain(), NOW
    with database.write() as connection:
        for table in (tables.Decision, tables.Readings, tables.Contact):
            connection.execute(delete(table))
        contacts = [factories.contact(connection) for _ in range(3)]
        for number, drawn in enumerate(pages):
            page = [decided(contacts, *each) for each in drawn]
            known = {row["message_id"] for row in plain.rows}
            fresh = all(each.message_id is not None and each.message_id not in known for each in page)
            decisions.record(connection, page, f"p{number // 2}", now, fresh=fresh)
            plain.record(page, f"p{number // 2}", now)
            now += timedelta(hours=hours)
        for contact in contacts:
            assert kept(connection, contact) == plain.of_contact(contact)


def answer_of(connection: Connection, contact: int, answer: Decision, now: datetime, **values: Any) -> None:
    whom = {"enrollment_id": None, "message_id": 1, "step_id": "a", **values}
    outcome, reason = type(answer).__name__.lower(), getattr(answer, "reason", "")
    page = [Decided(contact, **whom, outcome=outcome, reason=reason, checks=answer.checks)]
    decisions.record(connection, page, "p", now)


def number_of(connection: Connection, table: type[tables.Base]) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_what_answers_have_in_common_is_stored_once_a_month(database: Database) -> None:
    with database.write() as connection:
        people = [factories.contact(connection) for _ in range(4)]
        for day in range(30):
            for message, contact in enumerate(people):
                now = NOW + day * DAY
                answer_of(connection, contact, decide(due(slot_at=now), now), now, message_id=day * 4 + message)
        assert number_of(connection, tables.Readings) == 1
        answer_of(connection, people[0], decide(due(), NOW), NOW + readings.TAKEN_FOR, message_id=1_000)
        assert number_of(connection, tables.Readings) == 2
        assert number_of(connection, tables.Decision) == 121


def test_a_decision_keeps_no_more_than_what_is_its_own(database: Database) -> None:
    with database.write() as connection:
        answer_of(connection, factories.contact(connection), decide(due(), NOW), NOW)
        row = connection.execute(select(tables.Decision.__table__)).one()
        (shared,) = connection.execute(select(tables.Readings.__table__)).all()
    moment = NOW.isoformat()
    assert row.own[:2] == [1, 1]
    assert set(row.own[2:]) == {None, moment, (NOW - DAY).isoformat(), f"{NOW:%a %Y-%m-%d %H:%M}"}
    assert (row.checks, row.rule, row.program_hash, row.code_version) == (None,) * 4
    assert str(NOW.year) not in str(shared.checks)


def test_what_nobody_has_in_common_any_more_is_forgotten(database: Database) -> None:
    old, still = decide(due(sequence_live=False), NOW), decide(due(), NOW)
    with database.write() as connection:
        contact = factories.contact(connection)
        answer_of(connection, contact, old, NOW)
        answer_of(connection, contact, still, NOW, message_id=2)
        answer_of(connection, contact, still, NOW + 200 * DAY, message_id=2)
        assert decisions.forget(connection, NOW + 100 * DAY) == 1
        (left,) = decisions.of_contact(connection, contact, 10)
        assert (left.times, left.checks) == (2, shown(still)[1])
        assert number_of(connection, tables.Readings) == 1
        assert decisions.forget(connection, NOW + 300 * DAY) == 1
        assert number_of(connection, tables.Readings) == 0


def test_a_decision_from_before_there_were_readings_is_read_as_it_is(database: Database) -> None:
    checks = [{"gate": "program", "passed": True, "reason": "", "inputs": {"sequence_live": True}}]
    with database.write() as connection:
        contact = factories.contact(connection)
        whole = {"checks": checks, "rule": "a.yaml:3", "program_hash": "p", "code_version": "0.1", "step_id": "a"}
        moments = {"first_at": NOW, "last_at": NOW}
        factories.insert(connection, tables.Decision, contact_id=contact, outcome="send", reason="", **whole, **moments)
        (found,) = decisions.of_contact(connection, contact, 10)
        decisions.forget(connection, NOW)
    assert {name: getattr(found, name) for name in whole} == whole


def test_nobody_waits_for_another_who_stores_the_same(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        return  # has one writer
    with database.write() as connection:
        contact = factories.contact(connection)
    with database.write() as one, database.write() as other:
        for number, connection in enumerate((one, other)):
            answer_of(connection, contact, decide(due(), NOW), NOW, message_id=number)
    with database.read() as connection:
        both = decisions.of_contact(connection, contact, 10)
        assert [answer.checks for answer in both] == [shown(decide(due(), NOW))[1]] * 2


def test_an_answer_may_say_anything(database: Database) -> None:
    reason = 'it\'s \\N, \t\r\n or "?" 50% ü \\'
    answers = [Hold(reason, SLOT, (Check(rate.check(None).reading, (), Hold(reason, SLOT)),)), Hold("no", SLOT)]
    with database.write() as connection:
        contact = factories.contact(connection)
        for answer in answers:
            answer_of(connection, contact, answer, NOW)
        assert {found.reason for found in decisions.of_contact(connection, contact, 10)} == {reason, "no"}
