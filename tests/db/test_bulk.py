from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from nurture.db import bulk
from nurture.db.session import Database
from nurture.db.tables import Account, Contact, Event, Inbox, Lease, SendCount, Suppression
from tests import databases, factories
from tests.databases import Queries
from tests.factories import NOW

Counting = Callable[[], AbstractContextManager[Queries]]

EVERY_CHARACTER = "".join(chr(code) for code in range(1, 0x3000) if not 0xD800 <= code < 0xE000) + "😀\u2028"


def event(contact_id: int, number: int, **values: Any) -> dict[str, Any]:
    row = {"contact_id": contact_id, "kind": "visited", "at": NOW, "recorded_at": NOW, "source": "test"}
    return {**row, "external_id": str(number), "data": {"n": number}, **values}


def account(**values: Any) -> dict[str, Any]:
    return {"created_at": NOW, "updated_at": NOW, **values}


# --- ids --------------------------------------------------------------------------------------------------------------


def test_reserved_ids_are_never_given_twice(database: Database) -> None:
    with database.write() as connection:
        first, second = (bulk.reserve_ids(connection, Account, 3) for _ in range(2))
        bulk.insert_rows(connection, Account, [account(id=key) for key in (*second, *first)])
        third = bulk.reserve_ids(connection, Account, 3)
    with database.write() as connection:
        fourth = bulk.reserve_ids(connection, Account, 3)
        plain = factories.account(connection)
    given = [*first, *second, *third, *fourth]
    assert len(set(given)) == 12
    assert given == sorted(given)
    assert plain not in {*first, *second}


def test_no_ids_can_be_reserved(database: Database) -> None:
    with database.write() as connection:
        assert list(bulk.reserve_ids(connection, Account, 0)) == []


# --- what goes in comes out -------------------------------------------------------------------------------------------


VALUES: list[dict[str, Any]] = [
    {"name": EVERY_CHARACTER, "employees": 2**40, "technologies": ["a", "ü"], "fields": {"deep": [{"x": None}, 1.5]}},
    {"name": "", "employees": None, "technologies": None, "fields": {}},
    {"name": "{}[]\"'\\ %s :name ?", "employees": -1, "technologies": [], "fields": {"a": True, "b": "ß"}},
]


@pytest.mark.parametrize("write", [bulk.insert_rows, bulk.insert_new], ids=["insert_rows", "insert_new"])
def test_values_survive_a_page(database: Database, write: Any) -> None:
    east = NOW.astimezone(timezone(timedelta(hours=5))) + timedelta(microseconds=123456)
    rows = [
        {**values, "domain": str(number), "created_at": east, "updated_at": NOW} for number, values in enumerate(VALUES)
    ]
    with database.write() as connection:
        write(connection, Account, rows)
    with database.read() as connection:
        stored = connection.execute(sa.select(Account.__table__).order_by(Account.domain)).mappings().all()
    for before, after in zip(rows, stored, strict=True):
        assert {name: after[name] for name in before} == before
        assert after["created_at"].utcoffset() == timedelta(0)


@pytest.mark.parametrize("write", [bulk.insert_rows, bulk.insert_new], ids=["insert_rows", "insert_new"])
def test_bytes_survive_a_page(database: Database, write: Any) -> None:
    body = bytes(range(256))
    with database.write() as connection:
        write(connection, Inbox, [{"source": "x", "delivery_key": "1", "body": body, "received_at": NOW}])
        row = connection.execute(sa.select(Inbox.body, Inbox.headers, Inbox.state)).one()
    assert tuple(row) == (body, {}, "new")


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
WHOLE = st.integers(-(2**63), 2**63 - 1)
DOCUMENTS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS | st.lists(TEXTS))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DAWN, DUSK = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - the strategy adds the zone
MOMENTS = st.datetimes(DAWN, DUSK, timezones=OFFSETS)
ACCOUNTS = st.fixed_dictionaries(
    {
        "name": st.none() | TEXTS,
        "employees": st.none() | WHOLE,
        "technologies": st.none() | st.lists(TEXTS),
        "fields": DOCUMENTS,
        "created_at": MOMENTS,
        "updated_at": MOMENTS,
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ACCOUNTS, min_size=1, max_size=5))
def test_any_values_survive_every_way_in(database: Database, rows: list[dict[str, Any]]) -> None:
    read = sa.select(*(Account.__table__.c[name] for name in rows[0])).order_by(Account.id)
    with database.write() as connection:
        for write in (insert_plainly, insert_returning, insert_then_update):
            connection.execute(sa.delete(Account))
            write(connection, rows)
            assert [dict(row) for row in connection.execute(read).mappings()] == rows


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": number, **row} for number, row in enumerate(rows, 1)]


def insert_plainly(connection: Connection, rows: list[dict[str, Any]]) -> None:
    bulk.insert_rows(connection, Account, numbered(rows))


def insert_returning(connection: Connection, rows: list[dict[str, Any]]) -> None:
    bulk.insert_new(connection, Account, numbered(rows), (), ("id",))


def insert_then_update(connection: Connection, rows: list[dict[str, Any]]) -> None:
    bulk.insert_rows(connection, Account, [account(id=number) for number in range(1, len(rows) + 1)])
    bulk.update_rows(connection, Account, "id", numbered(rows))


def test_dates_and_enumerations_survive_an_upsert(database: Database) -> None:
    with database.write() as connection:
        sender = factories.sender(connection)
        bulk.upsert(connection, SendCount, [{"day": NOW.date(), "sender_id": sender, "count": 2}], ("day", "sender_id"))
        assert connection.execute(sa.select(SendCount.day, SendCount.count)).one() == (NOW.date(), 2)


def test_none_in_a_json_column_is_null(database: Database) -> None:
    with database.write() as connection:
        bulk.insert_new(connection, Account, [account(technologies=None)])
        assert connection.scalar(sa.select(sa.func.count()).where(Account.technologies.is_(None))) == 1


def test_a_naive_moment_is_refused(database: Database) -> None:
    naive = NOW.replace(tzinfo=None)
    with database.write() as connection, pytest.raises(ValueError, match="aware"):
        bulk.insert_new(connection, Account, [{"created_at": naive, "updated_at": NOW}])


def test_columns_left_out_take_their_defaults(database: Database) -> None:
    with database.write() as connection:
        bulk.insert_rows(connection, Account, [account(name="a"), account(name="b")])
        bulk.insert_new(connection, Lease, [{"name": "x"}])
        assert connection.scalars(sa.select(Account.fields)).all() == [{}, {}]
        assert connection.scalar(sa.select(Lease.term)) == 0


def test_rows_of_a_page_need_the_same_keys(database: Database) -> None:
    with database.write() as connection, pytest.raises(ValueError, match="same keys"):
        bulk.insert_rows(connection, Account, [account(), account(name="b")])


# --- conflicts --------------------------------------------------------------------------------------------------------


def test_insert_new_returns_only_what_was_new(database: Database) -> None:
    with database.write() as connection:
        person = factories.contact(connection)
        unique = ("source", "external_id")
        bulk.insert_new(connection, Event, [event(person, 1)], unique)
        rows = [event(person, 1), event(person, 2, kind="first"), event(person, 2, kind="second"), event(person, 3)]
        added = bulk.insert_new(connection, Event, rows, unique, ("external_id", "at", "data"))
        kinds = connection.scalars(sa.select(Event.kind).where(Event.external_id == "2")).all()
    assert sorted(tuple(row) for row in added) == [("2", NOW, {"n": 2}), ("3", NOW, {"n": 3})]
    assert kinds == ["first"]


@pytest.mark.parametrize("known", [0, 1], ids=["all new", "one known"])
def test_insert_new_returns_what_stands_in_the_table(database: Database, known: int) -> None:
    unique, asked = ("source", "external_id"), ("id", "external_id", "kind")
    with database.write() as connection:
        person = factories.contact(connection)
        bulk.insert_new(connection, Event, [event(person, number) for number in range(known)], unique)
        rows = [{"id": 100 + number, **event(person, number)} for number in range(3)]
        added = bulk.insert_new(connection, Event, rows, unique, asked)
        stored = connection.execute(sa.select(Event.id, Event.external_id, Event.kind).where(Event.id >= 100)).all()
    assert sorted(added) == sorted(map(tuple, stored))
    assert len(added) == 3 - known


def test_insert_new_without_columns_meets_any_constraint(database: Database) -> None:
    with database.write() as connection:
        bulk.insert_new(connection, Account, [account(domain="a.example"), account(domain="a.example")])
        assert connection.scalar(sa.select(sa.func.count(Account.id))) == 1


def test_upsert_changes_what_it_meets(database: Database) -> None:
    def row(scope: str, reason: str) -> dict[str, Any]:
        where = {"address_hash": "k1:a", "scope": scope, "reason": reason}
        return {**where, "source": "test", "actor": reason, "created_at": NOW}

    unique = ("address_hash", "scope")
    with database.write() as connection:
        bulk.upsert(connection, Suppression, [row("all", "first")], unique)
        rows = [row("all", "lost"), row("all", "second"), row("marketing", "other")]
        returned = bulk.upsert(connection, Suppression, rows, unique, ("reason",), ("id", "scope"))
        stored = connection.execute(
            sa.select(Suppression.scope, Suppression.reason, Suppression.actor).order_by(Suppression.scope)
        ).all()
    assert stored == [("all", "second", "first"), ("marketing", "other", "other")]
    assert {row.scope for row in returned} == {"all", "marketing"}


def test_other_constraints_still_raise(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        bulk.insert_new(connection, Event, [event(77, 1)], ("source", "external_id"))


# --- updates ----------------------------------------------------------------------------------------------------------


def test_update_rows_changes_each_row_by_its_key(database: Database) -> None:
    later = NOW + timedelta(days=1)
    with database.write() as connection:
        people = [factories.contact(connection) for _ in range(3)]
        changes = [{"id": key, "stage": f"s{key}", "updated_at": later, "consent": {"n": key}} for key in people[:2]]
        changed = bulk.update_rows(connection, Contact, "id", [*changes, {**changes[0], "id": 10**6}])
        rows = connection.execute(sa.select(Contact.id, Contact.stage, Contact.updated_at, Contact.consent)).all()
    assert changed == 2
    assert sorted(rows)[:2] == [(key, f"s{key}", later, {"n": key}) for key in people[:2]]
    assert sorted(rows)[2] == (people[2], "lead", NOW, None)


def test_update_rows_takes_a_key_of_several_columns(database: Database) -> None:
    with database.write() as connection:
        sender = factories.sender(connection)
        days = [NOW.date(), NOW.date() + timedelta(days=1)]
        bulk.insert_rows(connection, SendCount, [{"day": day, "sender_id": sender, "count": 1} for day in days])
        rows = [{"day": days[0], "sender_id": sender, "count": 9}]
        assert bulk.update_rows(connection, SendCount, ("day", "sender_id"), rows) == 1
        assert connection.scalars(sa.select(SendCount.count).order_by(SendCount.day)).all() == [9, 1]


# --- pages ------------------------------------------------------------------------------------------------------------


def test_in_page_finds_numbers_and_words(database: Database) -> None:
    with database.write() as connection:
        bulk.insert_rows(connection, Account, [account(id=n, name=f"n{n}", domain=str(n)) for n in range(1, 2001)])
        by_id = sa.select(sa.func.count()).where(bulk.in_page(Account.id, range(1001, 9001)))
        by_name = sa.select(Account.id).where(bulk.in_page(Account.name, ["n7", "n8", "'x"])).order_by(Account.id)
        outside = sa.select(sa.func.count()).where(~bulk.in_page(Account.id, [1]))
        assert connection.scalar(by_id) == 1000
        assert connection.scalars(by_name).all() == [7, 8]
        assert connection.scalar(outside) == 1999


def test_words_of_a_page_may_hold_anything(database: Database) -> None:
    words = ['"', "\\", '\\"', "{", "}", ",", "", "NULL", "null", " a ", "'", "%s", "a\nb", EVERY_CHARACTER]
    with database.write() as connection:
        bulk.insert_rows(connection, Account, [account(id=n, name=word) for n, word in enumerate(words, 1)])
        for number, word in enumerate(words, 1):
            found = connection.scalars(sa.select(Account.id).where(bulk.in_page(Account.name, [word, None, "-"])))
            assert found.all() == [number]
        found = connection.scalars(sa.select(Account.name).where(bulk.in_page(Account.name, words)))
        assert sorted(found) == sorted(words)
        numbers = sa.select(Account.id).where(bulk.in_page(Account.id, [None, -1, 2, 2**62]))
        assert connection.scalars(numbers).all() == [2]


def test_in_page_of_nothing_is_nothing(database: Database) -> None:
    with database.write() as connection:
        factories.account(connection)
        assert connection.scalar(sa.select(sa.func.count()).where(bulk.in_page(Account.id, []))) == 0


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_a_page_of_any_size_is_one_statement_each(database: Database, queries: Counting, size: int) -> None:
    with database.write() as connection:
        person = factories.contact(connection)
        rows = [event(person, n) for n in range(size)]
        with queries() as counter:
            ids = bulk.reserve_ids(connection, Event, size)
            bulk.insert_rows(connection, Event, [{**row, "id": key} for row, key in zip(rows, ids, strict=True)])
            bulk.insert_new(connection, Event, rows, ("source", "external_id"), ("id",))
            bulk.upsert(connection, Event, rows, ("source", "external_id"), ("kind",), ("id",))
            bulk.update_rows(connection, Event, "id", [{"id": key, "kind": "changed"} for key in ids])
            kinds = connection.scalars(sa.select(Event.kind).where(bulk.in_page(Event.id, ids))).all()
    assert counter.count == {"postgresql": 5, "sqlite": 4}[database.dialect]  # COPY and `lite` pass by the counter
    assert kinds == ["changed"] * size


def test_an_empty_page_asks_nothing(database: Database, queries: Counting) -> None:
    with database.write() as connection, queries() as counter:
        bulk.insert_rows(connection, Account, [])
        bulk.insert_new(connection, Account, [], ("id",), ("id",))
        bulk.upsert(connection, Account, [], ("id",))
        bulk.update_rows(connection, Account, "id", [])
    assert counter.count == 0


@pytest.mark.parametrize("column", [Account.id, Contact.account_id, Account.domain], ids=str)
def test_in_page_is_looked_up_in_the_index(tmp_path: Path, column: Any) -> None:
    database = Database(databases.sqlite_url(tmp_path))
    asked = str(sa.select(column).where(bulk.in_page(column, [])).compile(dialect=database.engine.dialect))
    with database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", ("[]",)).all()
    database.dispose()
    assert plan[0].detail.startswith(f"SEARCH {column.class_.__tablename__}")


def test_a_copied_page_that_breaks_a_rule_raises_as_any_statement_does(database: Database) -> None:
    rows = [{"name": "one", "term": 1}, {"name": "one", "term": 2}]
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        bulk.insert_rows(connection, Lease, rows)
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(Lease)) == 0
