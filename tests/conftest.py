"""What every test may ask for. Databases come from `tests/databases.py`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from nurture.db.session import Database
from tests import databases

BOTH = [pytest.param("sqlite", id="sqlite"), pytest.param("postgresql", id="postgresql", marks=pytest.mark.pg)]


settings.register_profile("house", deadline=None)
settings.load_profile("house")  # how long an example takes depends on what else the machine does


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.begin_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.end_run()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests, but no garbage: nothing of it goes out of use before the run is over. Afterwards, rarely."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()
    return collected


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with our tables and no rows; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield databases.sqlite_url(tmp_path)
        return
    with databases.postgresql_url() as url:
        yield url


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table (for SQLite, of a file that is not there yet)."""
    if request.param == "sqlite":
        yield databases.sqlite_url(tmp_path, empty=True)
        return
    with databases.postgresql_url(empty=True) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with our tables and no rows; the test runs on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def queries(database: Database) -> Callable[[], AbstractContextManager[databases.Queries]]:
    """Count what a block asks of `database`: `with queries() as counter: …; counter.count`."""
    return partial(databases.count_queries, database)
