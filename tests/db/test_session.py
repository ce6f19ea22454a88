from __future__ import annotations

import pytest
import sqlalchemy as sa

from nurture.db.session import Database
from nurture.db.tables import Lease


def test_a_block_that_ends_is_committed(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(Lease).values(name="a"))
    assert names(database) == ["a"]


def test_a_block_that_raises_is_rolled_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(database)
    assert names(database) == []


def insert_and_fail(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(Lease).values(name="a"))
        _ = 1 / 0


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(sa.select(Lease.name)))
