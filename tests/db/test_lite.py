"""A page that goes in statements of many rows, or in a COPY, says the same as one plain statement for every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from nurture.db import bulk
from nurture.db.session import Database
from nurture.db.tables import Account, PausedSequence, SendCount, Task
from tests import factories
from tests.factories import NOW

TABLE = Account.__table__
SIZES = (1, 9, 10, 23, 123)
EAST = NOW.astimezone(timezone(timedelta(hours=5)))


def page(size: int) -> list[dict[str, Any]]:
    """Rows whose columns are the same in all, in none, equal but not alike, and now and then nothing."""
    return [
        {
            "id": number,
            "name": f"n{number}",
            "domain": f"{number}.example",
            "industry": "same",
            "employees": None if number % 3 else number,
            "country": None,
            "technologies": ["a"] if number % 2 else ["a", number],
            "fields": {"true": 1 if number % 2 else True},
            "created_at": NOW if number % 2 else EAST,
            "updated_at": NOW,
        }
        for number in range(1, size + 1)
    ]


def stored(connection: Connection, order: Any = TABLE.c.id) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(TABLE).order_by(order)).mappings()]


def plainly(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    connection.execute(sa.delete(TABLE))
    for row in rows:
        connection.execute(sa.insert(TABLE).values(**row))
    return stored(connection)


@pytest.mark.parametrize("size", SIZES)
def test_a_page_is_inserted_as_row_by_row(database: Database, size: int) -> None:
    with database.write() as connection:
        expected = plainly(connection, page(size))
        connection.execute(sa.delete(TABLE))
        bulk.insert_rows(connection, TABLE, page(size))
        found = stored(connection)
    assert found == expected
    assert [repr(row["fields"]) for row in found] == [repr(row["fields"]) for row in expected]


@pytest.mark.parametrize("size", SIZES)
def test_of_a_page_only_what_is_new_is_inserted(database: Database, size: int) -> None:
    with database.write() as connection:
        known = [row for row in page(size) if not row["id"] % 7]
        bulk.insert_rows(connection, TABLE, known)
        rows = [{**row, "id": 1000 + row["id"]} for row in page(size)]
        added = bulk.insert_new(connection, TABLE, rows, ("domain",), ("id", "domain"))
        keys = {row["domain"]: row["id"] for row in stored(connection)}
    expected = {row["domain"]: 1000 + row["id"] for row in page(size)} | {row["domain"]: row["id"] for row in known}
    assert keys == expected
    assert sorted(added) == sorted((key, domain) for domain, key in expected.items() if key > 1000)


@pytest.mark.parametrize("size", SIZES)
def test_a_page_meets_what_is_there_and_itself(database: Database, size: int) -> None:
    with database.write() as connection:
        bulk.insert_rows(connection, TABLE, page(size)[: size // 2])
        rows = [{**row, "name": f"new {row['name']}"} for row in (*page(size), *page(size)[-1:])]
        bulk.upsert(connection, TABLE, rows, ("id",), ("name",))
        assert [row["name"] for row in stored(connection)] == [f"new n{number}" for number in range(1, size + 1)]


@pytest.mark.parametrize("size", SIZES)
def test_a_page_is_updated_as_row_by_row(database: Database, size: int) -> None:
    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "name": row["name"][::-1], "industry": None, "fields": {"n": row["id"]}}

    with database.write() as connection:
        expected = plainly(connection, [change(row) for row in page(size)])
        plainly(connection, page(size))
        changes = [change(row) for row in page(size)]
        gone = {**changes[0], "id": 10**6}
        assert bulk.update_rows(connection, TABLE, "id", [*changes, gone]) == size
        assert stored(connection) == expected


def test_a_key_of_two_columns_may_have_one_of_them_the_same(database: Database) -> None:
    with database.write() as connection:
        first, second = factories.sender(connection), factories.sender(connection, "other")
        days = [NOW.date() + timedelta(days=number) for number in range(12)]
        rows = [{"day": day, "sender_id": sender, "count": 1} for day in days for sender in (first, second)]
        bulk.insert_rows(connection, SendCount, rows)
        changes = [{"day": day, "sender_id": first, "count": 7} for day in days]
        assert bulk.update_rows(connection, SendCount, ("day", "sender_id"), changes) == 12
        counted = sa.select(SendCount.sender_id, sa.func.sum(SendCount.count)).group_by(SendCount.sender_id)
        assert dict(map(tuple, connection.execute(counted))) == {first: 84, second: 12}


def test_rows_may_be_the_same_in_everything(database: Database) -> None:
    with database.write() as connection:
        bulk.insert_rows(connection, Account, [{"created_at": NOW, "updated_at": NOW}] * 23)
        assert connection.scalar(sa.select(sa.func.count(Account.id))) == 23


def test_nothing_and_the_end_of_a_copy_are_texts_like_others(database: Database) -> None:
    with database.write() as connection:
        bulk.insert_rows(connection, PausedSequence, [{"name": "", "reason": r"\.", "paused_at": NOW}])
        assert connection.execute(sa.select(PausedSequence.name, PausedSequence.reason)).one() == ("", r"\.")


def test_a_bad_row_among_many_raises(database: Database) -> None:
    row = {"contact_id": 77, "kind": "call", "title": "x", "state": "open", "created_at": NOW}
    rows = [{**row, "origin_key": str(number)} for number in range(23)]
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        bulk.insert_rows(connection, Task, rows)
