"""Keeping decisions: an answer is one row, however often and between whatever others it is given."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from nurture.db import decisions, tables
from nurture.db.decisions import Decided
from nurture.db.session import Database
from tests import factories
from tests.factories import NOW


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
