"""Every figure that has a goal is measured, at its smallest, and says whether it was reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from bench import due, goals, memory, post_office, rows
from bench.goals import Goal, Reached
from bench.population import population
from bench.sinks import sink
from nurture.db import tables
from nurture.db.session import Database
from nurture.db.timers import lost
from tests.conftest import BOTH
from tests.databases import postgresql_url, sqlite_url


@pytest.mark.parametrize("kind", BOTH)
def test_cost_among_many_is_measured_where_nothing_is_lost(kind: str, tmp_path: Path) -> None:
    if kind == "sqlite":
        _measure_among_many(sqlite_url(tmp_path, empty=True))
    else:
        with postgresql_url(empty=True) as url:
            _measure_among_many(url)


def _measure_among_many(url: str) -> None:
    population(url, 40)
    (costs,) = due.costs([url], [40], 1, due=4)
    assert min(costs) > 0
    assert due.idle_ms(url, times=10) > 0
    database = Database(url)
    with database.read() as connection:
        assert lost(connection) == []
    database.dispose()


def test_memory_is_that_of_a_process_of_its_own(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path, empty=True)
    population(url, 20)
    assert memory.peak(url, 20, due=2) > 10


@pytest.mark.parametrize("kind", BOTH)
def test_rows_are_measured_beside_the_driver(kind: str, tmp_path: Path) -> None:
    if kind == "sqlite":
        _measure_rows(sqlite_url(tmp_path, empty=True))
    else:
        with postgresql_url(empty=True) as url:
            _measure_rows(url)


def _measure_rows(url: str) -> None:
    found = rows.rates(url, 1, size=5)
    assert min(found.ours, found.raw, found.planned) > 0
    database = Database(url)
    with database.read() as connection:
        table = tables.Message.__table__
        columns = [column for column in table.c if column.name not in ("id", *rows.OWN)]
        written = connection.execute(sa.select(*columns).where(table.c.state == "dispatching")).all()
        assert len(connection.execute(sa.select(table.c.id)).all()) == 30
    database.dispose()
    assert len(written) == 20
    assert len(set(written)) == 1, "the driver writes the same rows"


@pytest.mark.skipif(not post_office.is_installed(), reason="django-post_office is not installed")
def test_django_post_office_sends_the_same_mail(tmp_path: Path) -> None:
    with sink("smtp") as running:
        found = post_office.measure(3, f"sqlite:///{tmp_path / 'other.db'}", running.port)
        assert (running.counts().mails, min(found.values()) > 0) == (3, True)


def test_figures_say_whether_they_reached_their_goal() -> None:
    least, most = Goal(5, "rate", 10, 20), Goal(9, "time", 2.0, 1.0, most=True, unit="ms")
    assert [least.verdict(value) for value in (9, 10, 20)] == ["missed", "floor", "goal"]
    assert [most.verdict(value) for value in (2.1, 2.0, 1.0)] == ["missed", "floor", "goal"]
    told = json.loads(Reached(most, "sqlite", 0.5).line())
    assert (told["number"], told["goal"], told["value"], told["reached"]) == (9, "sqlite: time", 0.5, "goal")
    assert "≤ 1 ms" in goals.table([Reached(most, "sqlite", 0.5)])


def test_figure_that_only_explains_has_no_verdict() -> None:
    found = Reached(goals.OF_TIGHTEST, "sqlite", 0.1)
    assert json.loads(found.line())["reached"] is None
    assert goals.table([found]).split()[-4:] == ["10%", "–", "–", "–"]
