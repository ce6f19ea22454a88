from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op
from nurture.core.facts import FIELDS
from nurture.core.spans import Span, Unit
from nurture.db.asked import Terms, side
from nurture.db.session import Database
from nurture.db.sides import Nothing
from tests import databases
from tests.conftest import BOTH
from tests.core.scored import NOW
from tests.db import crowd


@pytest.fixture(scope="module", params=BOTH)
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A crowd that every test of this file asks about."""
    if request.param == "sqlite":
        yield from opened(databases.sqlite_url(tmp_path_factory.mktemp("town")))
        return
    with databases.postgresql_url() as url:
        yield from opened(url)


class Town:
    """A database with a crowd in it, beside the same crowd in Python."""

    def __init__(self, database: Database, seed: int, size: int) -> None:
        self.database = database
        with database.write() as connection:
            self.crowd = crowd.loaded(connection, crowd.people(connection, seed, size))

    def agrees(self, condition: Condition) -> set[int]:
        with self.database.read() as connection:
            found = crowd.in_sql(connection, condition)
            assert crowd.in_sql(connection, condition, few=True) == found, condition
        assert found == crowd.in_python(self.crowd, condition), condition
        return found


def opened(url: str) -> Iterator[Town]:
    database = Database(url)
    yield Town(database, 7, 120)
    database.dispose()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=crowd.conditions)
def test_sql_agrees_with_python_on_any_condition(town: Town, condition: Condition) -> None:
    town.agrees(condition)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", BOTH)
def test_sql_agrees_with_python_on_any_crowd(kind: str, seed: int, tmp_path: Path) -> None:
    def ask(url: str) -> None:
        database = Database(url)
        town = Town(database, seed, 200)

        @settings(max_examples=1_500)
        @given(condition=crowd.conditions)
        def agree(condition: Condition) -> None:
            town.agrees(condition)

        agree()
        database.dispose()

    if kind == "sqlite":
        ask(databases.sqlite_url(tmp_path))
    else:
        with databases.postgresql_url() as url:
            ask(url)


def days(amount: int) -> Span:
    return Span(amount, Unit.DAYS)


def business(amount: int) -> Span:
    return Span(amount, Unit.BUSINESS_DAYS)


def test_every_field_of_conditions_is_found_in_the_tables() -> None:
    terms = Terms(crowd.LIFECYCLE, NOW, "sqlite")
    asked_of_stages = {"role", "voice"}
    assert [name for name in FIELDS if name not in asked_of_stages and isinstance(side(name, terms), Nothing)] == []
    assert set(FIELDS) <= {*crowd.FIELD_NAMES}


NASTY = [
    Compare("fields.plan", Op.EQ, "5"),
    Compare("fields.plan", Op.EQ, 5),
    Compare("fields.plan", Op.EQ, True),
    Compare("fields.plan", Op.EQ, 1),
    Compare("fields.plan", Op.NE, "a"),
    Compare("fields.größe", Op.CONTAINS, "%"),
    Compare("fields.größe", Op.CONTAINS, "_"),
    Compare("fields.größe", Op.CONTAINS, "\\"),
    Compare("fields.größe", Op.CONTAINS, ""),
    Compare("fields.größe", Op.CONTAINS, " "),
    Compare("title", Op.CONTAINS, "ä"),
    Compare("title", Op.CONTAINS, "οδοσ"),
    Compare("title", Op.CONTAINS, "I"),
    Compare("title", Op.EQ, "ä"),
    Compare("title", Op.GT, "Z"),
    Compare("title", Op.LE, "ä"),
    Compare("account.technologies", Op.CONTAINS, "ÄRGER"),
    Compare("account.technologies", Op.IN, ("SAP", "x")),
    Compare("account.technologies", Op.UNKNOWN),
    Compare("fields.x", Op.IN, ("SAP", 5, True)),
    Compare("fields.x", Op.NOT_IN, ("SAP", 5, True)),
    Compare("fields.x", Op.KNOWN),
    Compare("fields.x", Op.GE, 0.30000000000000004),
    Compare("account.employees", Op.LT, 10**15),
    Compare("engagement", Op.EQ, 20.5),
    Compare("fit_points", Op.GE, 20.1),
    Compare("role", Op.NE, "nurture"),
    Compare("role", Op.EQ, "out"),
    Compare("voice", Op.CONTAINS, "SIL"),
    Compare("email_domain", Op.EQ, "acme.example"),
    Compare("email_domain", Op.EQ, "ACME.example"),
    Compare("email_domain", Op.EQ, "i.example"),
    Compare("active_sequences", Op.EQ, 0),
    Compare("open_tasks", Op.GE, 1),
    Compare("sent_messages", Op.GT, 0),
    Compare("open_handoff", Op.NE, True),
    Compare("suppressed", Op.EQ, True),
    Compare("slots_filled", Op.GE, 1),
    Compare("slots_filled", Op.EQ, 0),
    Compare("slots.budget", Op.NE, "no"),
    Not(Compare("account.industry", Op.EQ, "software")),
    Not(Any((Compare("title", Op.EQ, "A"), Compare("account.fields.x", Op.GT, 3)))),
    Not(All((Compare("level", Op.EQ, "MQL"), Compare("fields.x", Op.UNKNOWN)))),
    Did("clicked"),
    Did("sent", days(60)),
    Did("clicked", days(30), 2),
    Not(Did("clicked", days(30), 2)),
    Did("replied", days(10**9 - 1)),
    Did("page_viewed", business(2)),
    Did("page_viewed", business(30), 2),
    Did("page_viewed", Span(0, Unit.DAYS)),
    Idle(days(30)),
    Idle(business(3)),
    Not(Idle(business(14))),
    Idle(days(10**9 - 1)),
    All(()),
    Any(()),
]


@pytest.mark.parametrize("condition", NASTY, ids=str)
def test_sql_agrees_with_python_where_databases_differ(town: Town, condition: Condition) -> None:
    town.agrees(condition)
