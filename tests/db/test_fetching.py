"""A page that is read by columns says what its rows say."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from nurture.core.model import Contact, Enrollment
from nurture.core.words import EnrollmentState
from nurture.db import bulk, contacts, enrollments, tables
from nurture.db.fetching import by_columns
from nurture.db.session import Database
from tests import factories
from tests.factories import NOW

_ALL = sa.select(tables.Contact.__table__).where(bulk.in_given(tables.Contact.id)).order_by(tables.Contact.id)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_columns_are_those_of_the_rows(database: Database, size: int) -> None:
    with database.write() as connection:
        for number in range(size):
            about = {"first_name": "Ann" if number % 2 else None, "fields": {"n": number}, "consent": None}
            factories.contact(connection, stage_since=NOW + timedelta(seconds=number % 3), **about)
        ids = {"ids": list(range(1, 9))}
        rows = connection.execute(_ALL, ids).all()
        columns = by_columns(connection, _ALL, ids)
    assert list(map(tuple, zip(*columns, strict=True))) == list(map(tuple, rows))
    assert len(columns) == len(tables.Contact.__table__.c)


def test_contacts_are_read_with_their_account_and_their_owner(database: Database) -> None:
    with database.write() as connection:
        rep = factories.rep(connection, time_zone="Europe/Berlin")
        firm = factories.account(connection, name="Acme", technologies=["a"], fields={"size": 3}, owner_id=rep)
        ann = factories.contact(connection, "ann@acme.example", account_id=firm, fields={"plan": "pro"}, title="CTO")
        factories.address(connection, ann, "other@acme.example", is_primary=False)
        bob = factories.contact(connection, owner_id=rep, country="DE")
        read = contacts.read(connection, [bob, ann, 10**6])
    assert list(read) == [ann, bob]
    first, second = read.values()
    assert (type(first), first.id, first.email, first.address_hash) == (
        Contact,
        ann,
        "ann@acme.example",
        "k1:ann@acme.example",
    )
    assert (first.title, first.fields, first.created_at, first.owner) == ("CTO", {"plan": "pro"}, NOW, None)
    assert first.account is not None
    assert (first.account.name, first.account.technologies, first.account.fields) == ("Acme", ("a",), {"size": 3})
    assert first.account.owner_id == rep
    assert (second.email, second.account, second.country, second.fields) == (None, None, "DE", {})
    assert second.owner is not None
    assert (second.owner.id, second.owner.email, second.owner.time_zone) == (
        rep,
        "rep@company.example",
        "Europe/Berlin",
    )
    with database.read() as connection:
        assert contacts.read(connection, []) == {}


def test_runs_are_what_their_rows_say(database: Database) -> None:
    with database.write() as connection:
        person, version = factories.contact(connection), factories.version(connection)
        keys = [
            factories.enrollment(connection, person, version, run=number, state=state, failures=number)
            for number, state in enumerate((EnrollmentState.WAITING, EnrollmentState.EXITED, EnrollmentState.FAILED))
        ]
        found = enrollments.by_ids(connection, keys)
        names = Enrollment.__dataclass_fields__
        rows = connection.execute(sa.select(*(tables.Enrollment.__table__.c[name] for name in names))).mappings()
        expected = {row["id"]: Enrollment(**{**row, "state": EnrollmentState(row["state"])}) for row in rows}
        assert enrollments.of_contacts(connection, [person]) == {person: [expected[key] for key in keys]}
    assert found == expected
    assert all(type(run.state) is EnrollmentState for run in found.values())
