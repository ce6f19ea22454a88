"""The demo: a month of an invented company, the same every time, with no mail that should not have been."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nurture.db import timers
from nurture.db.session import Database
from nurture.demo.people import awake, chance
from tests.typed import typed
from tests.world import MONDAY

_SETTINGS = [name for name in os.environ if name.startswith("NURTURE_")]
"""What the tests' own environment says, which the demo must not hear."""


@dataclass(frozen=True)
class Played:
    """A demo that was lived through: its folder, what it told, and its database."""

    folder: Path
    told: dict[str, Any]
    database: Database

    @property
    def counts(self) -> dict[str, int]:
        return {line["what"]: line["count"] for line in self.told["happened"]}

    def ask(self, statement: str) -> list[Any]:
        with self.database.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _type(*words: str, code: int = 0) -> str:
    said = typed(words, dict.fromkeys(_SETTINGS))
    assert said.code == code, said.out + said.err
    return said.out + said.err if code else said.out


def _play(folder: Path, days: int) -> dict[str, Any]:
    told = json.loads(_type("demo", "--folder", str(folder), "--days", str(days), "--no-serve", "--json"))
    assert isinstance(told, dict)
    return told


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A whole month, lived through once for all tests."""
    folder = tmp_path_factory.mktemp("month") / "demo"
    told = _play(folder, 30)
    database = Database(f"sqlite:///{folder / 'nurture.db'}")
    yield Played(folder, told, database)
    database.dispose()


def test_something_of_everything_happens(played: Played) -> None:
    assert all(played.counts.values()), played.counts
    assert played.counts["contacts imported"] == 300
    assert played.counts["marketing mails sent"] > 500
    for what in ("moved from lead to prospect", "personal mails sent", "answered"):
        assert 20 < played.counts[what] < 150


def test_every_mail_is_a_file_and_no_more_than_what_was_sent(played: Played) -> None:
    files = list((played.folder / "outbox").rglob("*.eml"))
    assert len(files) == played.counts["marketing mails sent"] + played.counts["personal mails sent"]
    assert played.ask("SELECT count(*) FROM messages WHERE sent_at IS NOT NULL") == [(len(files),)]


def test_nobody_is_written_to_who_must_not_be(played: Played) -> None:
    wrong = """
        SELECT m.id FROM messages m JOIN suppressions s ON s.address_hash = m.to_hash
        WHERE (s.scope = 'all' OR s.scope = m.voice) AND s.created_at < m.sent_at
    """
    assert played.ask("SELECT count(*) FROM suppressions")[0][0] > 18
    assert played.ask(wrong) == []


def test_every_step_of_a_run_is_sent_once(played: Played) -> None:
    again = """
        SELECT enrollment_id, step_id FROM messages WHERE sent_at IS NOT NULL
        GROUP BY enrollment_id, step_id HAVING count(*) > 1
    """
    assert played.ask(again) == []


def test_personal_mail_was_approved_as_it_went(played: Played) -> None:
    unapproved = """
        SELECT m.id FROM messages m LEFT JOIN approvals a ON a.id = m.approval_id AND a.content_hash = m.content_hash
        WHERE m.voice = 'personal' AND m.sent_at IS NOT NULL AND (a.id IS NULL OR a.approved_at > m.sent_at)
    """
    assert played.ask(unapproved) == []


def test_nothing_is_lost(played: Played) -> None:
    with played.database.read() as connection:
        assert timers.lost(connection) == []


def test_three_commands_are_told_and_work(played: Played) -> None:
    commands = [shlex.split(command) for command in played.told["next"]]
    assert [words[3] for words in commands] == ["approvals", "why", "contacts"]
    drafts, why, story = (_type(*words[1:]) for words in commands)
    assert f"{played.counts['waiting for approval']} drafts wait." in drafts
    assert "approv" in why
    assert "replied" in story


def test_two_demos_are_alike_and_the_second_replaces_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = _play(folder, 2)
    (folder / "left behind").write_text("gone", "utf-8")
    second = _play(folder, 2)
    assert first["happened"] == second["happened"]
    assert not (folder / "left behind").exists()


def test_what_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious", "utf-8")
    assert "is no demo" in _type("demo", "--folder", str(tmp_path), "--no-serve", code=1)
    assert (tmp_path / "thesis.txt").read_text("utf-8") == "precious"


def test_another_database_is_not_touched(tmp_path: Path) -> None:
    said = typed(["demo", "--folder", str(tmp_path / "demo")], {"NURTURE_DATABASE_URL": "sqlite:///real.db"})
    assert said.code == 2
    assert "NURTURE_DATABASE_URL is set" in said.err
    assert not (tmp_path / "demo").exists()


def test_people_sleep_and_have_weekends() -> None:
    saturday_night = MONDAY.replace(day=7, hour=23, minute=12)
    assert awake(MONDAY) == MONDAY
    assert awake(saturday_night) == MONDAY.replace(day=9, hour=7, minute=12)
    assert awake(MONDAY.replace(hour=3)) == MONDAY.replace(hour=7)


def test_chance_is_a_hash() -> None:
    drawn = [chance("ann", str(number)) for number in range(2000)]
    assert drawn == [chance("ann", str(number)) for number in range(2000)]
    assert 0.47 < sum(drawn) / len(drawn) < 0.53
