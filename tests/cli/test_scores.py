"""`nurture score export`: every contact once, named as the owner's system names them, by any lifecycle file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

PEOPLE = """\
Id,Email,Title,Industry,Employees,Company
=7,ann@acme.example,Chief of Data,Retail,400,Acme
8,bob@tiny.example,Student,Retail,400,Tiny
9,cy@acme.example,,,,
"""

MINE = """\
kind: lifecycle
name: mine
start: lead
stages: [{name: lead, role: nurture, voice: marketing}]
scoring:
  fit:
    rules: [{when: known(title), points: 7.5}]
    disqualify: [{when: "contains(title, 'student')"}]
  engagement:
    categories: {asked: {cap: 30, events: {demo_requested: 10}}}
  rank: {fit: 1, engagement: 0.5}
"""


@pytest.fixture
def shell(nurture: Shell) -> Shell:
    """A shell with three people who have ids of a system `crm`."""
    people = nurture.file("people.csv", PEOPLE)
    nurture("contacts", "import", people, "--map", "id=Id", "--source", "crm")
    nurture("events", "record", "cy@acme.example", "demo_requested")
    return nurture


def test_everybody_is_scored_by_what_is_live(shell: Shell) -> None:
    rows = exported(shell)
    assert list(rows[0]) == ["external_id", "fit_points", "grade", "engagement", "rank_score"]
    assert {row["external_id"] for row in rows} == {"'=7", "8", "9"}
    stored = shell("score", "ann@acme.example", "--fresh", "--json").json
    ann = next(row for row in rows if row["external_id"] == "'=7")
    assert float(ann["fit_points"]) == stored["fit"]["points"] > 0
    assert ann["grade"] == stored["fit"]["grade"]


def test_a_file_scores_that_is_not_applied_and_weighs_both_models(shell: Shell) -> None:
    file = shell.file("mine.yaml", MINE)
    rank = {row["external_id"]: float(row["rank_score"]) for row in exported(shell, "--lifecycle", file)}
    assert rank["'=7"] == 7.5
    assert rank["9"] == pytest.approx(5, abs=0.01)
    assert rank["8"] < -100_000, "whoever is disqualified comes after everybody else"


def test_a_bad_file_is_refused_where_it_is_wrong_and_nothing_is_written(shell: Shell) -> None:
    bad = MINE.replace("known(title)", "known(tittle)") + "levels: {SQL: engagement >= 31}\n"
    said = shell("score", "export", "--csv", shell.folder / "o.csv", "--lifecycle", shell.file("bad.yaml", bad), code=1)
    assert "bad.yaml:7:" in said.err
    assert "did you mean 'title'" in said.err
    worth = shell.file("bad.yaml", MINE.replace("engagement: 0.5}", "engagement: -1}"))
    said = shell("score", "export", "--csv", shell.folder / "o.csv", "--lifecycle", worth, code=1)
    assert "what a point is worth" in said.err
    assert not (shell.folder / "o.csv").exists()


def test_a_level_that_nobody_can_reach_is_told_and_stops_no_export(shell: Shell) -> None:
    high = shell.file("high.yaml", MINE + "levels: {SQL: engagement >= 31}\n")
    said = shell("score", "export", "--csv", shell.folder / "o.csv", "--lifecycle", high)
    assert "never reaches 31" in said.err
    assert "3 contacts" in said.out


def test_ids_of_several_systems_are_told_apart(shell: Shell) -> None:
    other = shell.file("other.csv", "Key,Email\nx1,ann@acme.example\n")
    shell("contacts", "import", other, "--map", "id=Key", "--source", "shop")
    said = shell("score", "export", "--csv", shell.folder / "o.csv", code=2)
    assert "crm, shop, email" in said.err
    assert sorted(row["external_id"] for row in exported(shell, "--system", "shop")) == ["", "", "x1"]
    assert "ann@acme.example" in {row["external_id"] for row in exported(shell, "--system", "email")}


def exported(shell: Shell, *words: str | Path) -> list[dict[str, str]]:
    """Export, and return the rows."""
    path = shell.folder / "scores.csv"
    said = shell("score", "export", "--csv", path, *words, "--json").json
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert said["contacts"] == len(rows)
    return rows
