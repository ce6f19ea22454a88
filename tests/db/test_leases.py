from __future__ import annotations

from nurture.db import leases
from nurture.db.session import Database

LONG, OVER = 60, -1


def acquire(database: Database, holder: str, seconds: float = LONG) -> int | None:
    with database.write() as connection:
        return leases.acquire(connection, "ticker", holder, seconds)


def test_only_one_holds_a_lease(database: Database) -> None:
    assert acquire(database, "a") == 1
    assert acquire(database, "b") is None


def test_the_holder_keeps_its_term(database: Database) -> None:
    assert [acquire(database, "a"), acquire(database, "a", OVER), acquire(database, "a")] == [1, 1, 1]


def test_a_lease_past_its_end_is_taken_with_a_new_term(database: Database) -> None:
    acquire(database, "a", OVER)
    assert acquire(database, "b") == 2
    assert acquire(database, "a") is None


def test_a_released_lease_is_free_at_once(database: Database) -> None:
    acquire(database, "a")
    with database.write() as connection:
        leases.release(connection, "ticker", "b")
    assert acquire(database, "b") is None
    with database.write() as connection:
        leases.release(connection, "ticker", "a")
    assert acquire(database, "b") == 2


def test_leases_of_other_names_are_others(database: Database) -> None:
    acquire(database, "a")
    with database.write() as connection:
        assert leases.acquire(connection, "reports", "b", LONG) == 1
