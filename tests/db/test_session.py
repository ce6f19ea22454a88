from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from nurture.db.session import VANISHED, Database, place, read_url, unreachable
from nurture.db.tables import Account, ExternalId, Lease
from nurture.errors import DatabaseError
from tests import databases, factories
from tests.databases import Queries


def insert(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(Lease).values(name=name))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.scalars(sa.select(Lease.name)))


# --- transactions -----------------------------------------------------------------------------------------------------


def test_a_block_that_ends_is_committed(database: Database) -> None:
    insert(database, "a")
    assert names(database) == ["a"]


def test_a_block_that_raises_is_rolled_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(database)
    assert names(database) == []
    insert(database, "b")
    assert names(database) == ["b"]


def insert_and_fail(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(Lease).values(name="a"))
        _ = 1 / 0


def test_reading_may_not_write(database: Database) -> None:
    with database.read() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
        connection.execute(sa.insert(Lease).values(name="a"))
    insert(database, "b")
    assert names(database) == ["b"]


def test_reading_sees_one_moment(database: Database) -> None:
    with database.read() as connection:
        before = connection.scalars(sa.select(Lease.name)).all()
        insert(database, "a")
        assert connection.scalars(sa.select(Lease.name)).all() == before == []
    assert names(database) == ["a"]


def test_who_reads_first_may_write_after_another_has_written(database: Database) -> None:
    """A deferred transaction of SQLite would fail here with BUSY_SNAPSHOT; an immediate one makes the other wait."""
    other = threading.Thread(target=insert, args=(database, "other"))
    with database.write() as connection:
        assert connection.scalars(sa.select(Lease.name)).all() == []
        other.start()
        connection.execute(sa.insert(Lease).values(name="mine"))
    other.join(30)
    assert names(database) == ["mine", "other"]


def test_references_are_kept(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(sa.insert(ExternalId).values(contact_id=99, system="crm", external_id="1"))


def test_documents_come_back_as_they_were(database: Database) -> None:
    document = {"ä": [1, 2.5, None, {"deep": True}], "": "😀"}
    with database.write() as connection:
        factories.account(connection, fields=document, technologies=["x"])
        assert connection.execute(sa.select(Account.fields, Account.technologies)).one() == (document, ["x"])


def test_sqlite_is_durable_and_lets_readers_read(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", create=True)
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with database.read() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in asked]
    database.dispose()
    assert found == ["wal", 2, 1, 30_000]


def test_counting_counts_statements_and_not_transactions(
    database: Database, queries: Callable[[], AbstractContextManager[Queries]]
) -> None:
    with queries() as counter:
        insert(database, "a")
        names(database)
    names(database)
    assert counter.count == 2


# --- what cannot be opened --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql://me@host/name", "postgresql+psycopg"),
        ("postgres://me@host/name", "postgresql+psycopg"),
        ("postgresql+psycopg2://me@host/name", "postgresql+psycopg"),
        ("sqlite:///x.db", "sqlite+pysqlite"),
    ],
)
def test_urls_get_the_driver_that_is_used_here(url: str, driver: str) -> None:
    assert read_url(url).drivername == driver


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "cannot be read"),
        ("leads.db", "cannot be read"),
        ("mysql://me:canary@host/name", "not on mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_other_urls_are_refused(url: str, said: str) -> None:
    with pytest.raises(DatabaseError, match=said) as refused:
        Database(url)
    assert "canary" not in str(refused.value)


def test_sqlite_waits_for_the_disk_unless_work_can_be_done_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", create=True)
    hasty, full, normal = database.restartable(), 2, 1
    for one, sync in ((database, full), (hasty, normal), (hasty, normal), (database, full)):
        with one.write() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == sync
    database.dispose()


def test_restartable_work_is_committed_like_any_other(database: Database) -> None:
    insert(database.restartable(), "a")
    insert(database, "b")
    assert names(database) == ["a", "b"]


def test_a_missing_file_is_not_made_by_opening(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    with (
        pytest.raises(DatabaseError, match=r"There is no database at .*missing\.db"),
        Database(f"sqlite:///{path}").read(),
    ):
        pass
    assert not path.exists()


def test_a_locked_database_says_so() -> None:
    locked = OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
    said = str(unreachable(read_url("sqlite:///n.db"), locked))
    assert said == "The database n.db was locked by another process for more than 30 seconds."


def test_a_password_is_never_told() -> None:
    url = read_url("postgresql://me:canary@host:5/name")
    failed = OperationalError("", None, Exception("no user me with canary"))
    said = str(unreachable(url, failed))
    assert said.startswith("The database name on host:5 cannot be reached: no user me with ***. Check that PostgreSQL")
    assert place(url) == "name on host:5"
    assert place(read_url("postgresql:///name?host=/run/pg")) == "name on /run/pg"
    assert place(read_url("postgresql://")) == "the default database on the local socket"


def test_a_new_file_that_another_connection_writes_is_waited_for(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", create=True)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked: list[str] = []

    def end_at_the_second_time(statement: str) -> None:
        asked.append(statement)
        if asked.count("PRAGMA journal_mode=WAL") == 2 and other.in_transaction:
            other.execute("COMMIT")

    sa.event.listen(
        database.engine, "connect", lambda raw, _: raw.set_trace_callback(end_at_the_second_time), insert=True
    )
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert asked.count("PRAGMA journal_mode=WAL") == 2
    other.close()
    database.dispose()


def test_a_lock_that_stays_is_an_error_and_nothing_is_kept(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", create=True)
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=1")  # the pool hands this connection out again
    holder = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="was locked by another process"), database.write():
        pass
    holder.execute("ROLLBACK")
    holder.close()
    with database.write() as connection:
        assert connection.scalar(sa.select(1)) == 1
    database.dispose()


@pytest.mark.pg
def test_a_postgresql_that_vanishes_is_noticed_by_every_connection() -> None:
    with databases.postgresql_url() as url:
        database = Database(url)
        with database.read() as connection:
            given = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        database.dispose()
    assert {name: int(given[name]) for name in VANISHED} == VANISHED
