"""Rows that come column by column: all of them arrive, however many."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from nurture.db.columns import Same, insert_columns
from nurture.db.session import Database
from nurture.db.tables import Suppression
from tests.factories import NOW

_TABLE: sa.Table = Suppression.__table__


def insert(database: Database, first: int, count: int) -> None:
    same = {name: Same(name) for name in ("scope", "reason", "source", "actor")}
    hashes = [str(number) for number in range(first, first + count)]
    columns = {"address_hash": hashes, "created_at": Same(NOW), **same, "scope": Same("all")}
    with database.write() as connection:
        insert_columns(connection, _TABLE, count, columns)


def test_every_row_arrives_however_many_there_are(database: Database) -> None:
    counts = (0, 1, 9, 10, 37, 101, 999, 1000, 2345)
    for place, count in enumerate(counts):
        insert(database, 10_000 * place, count)
    with database.read() as connection:
        told = connection.execute(sa.select(_TABLE.c.address_hash, _TABLE.c.created_at).order_by(_TABLE.c.id)).all()
    expected = [str(10_000 * place + number) for place, count in enumerate(counts) for number in range(count)]
    assert [row.address_hash for row in told] == expected
    assert {row.created_at for row in told} == {NOW}


def test_columns_of_unequal_length_are_refused(database: Database) -> None:
    columns = {"address_hash": ["a", "b"], "scope": Same("all")}
    with pytest.raises(ValueError, match="address_hash has 2 values for 3 rows"), database.write() as connection:
        insert_columns(connection, _TABLE, 3, columns)
