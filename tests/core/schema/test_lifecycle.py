"""Lifecycle files: what they say as a value, and their mistakes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nurture.core.conditions import Compare, Op
from nurture.core.schema import Vocabulary, read_lifecycle
from nurture.core.spans import Span, Unit
from nurture.core.words import FieldType, Role, Team, Voice
from nurture.errors import ProgramError

TEXT = """\
kind: lifecycle
name: small
start: lead
stages:
  - {name: lead, label: A lead, role: nurture, voice: marketing, content: [educational]}
  - {name: prospect, role: engage, voice: personal, owner: sales}
moves:
  - {from: lead, to: prospect, when: level == 'SQL', reason: qualified, dwell: 1 day, cool_off: 30 days, at_most: 3}
  - {from: [prospect], to: lead, when: "idle('20 business days')", reason: went quiet}
scoring:
  fit:
    rules:
      - {when: account.employees >= 50, points: 12.5, label: big}
    grades: {B: 10, A: 20}
    disqualify:
      - {when: "contains(title, 'student')", label: studies}
  engagement:
    half_life: 60 days
    categories:
      downloads: {cap: 40, half_life: 10 days, events: {content_downloaded: 10, watched: 5}}
      website: {cap: 20, events: {page_viewed: 2}}
levels: {SQL: "fit in ('A', 'B') and engagement >= 30", MQL: engagement >= 10}
events: [watched]
"""
KNOWN = Vocabulary(
    fields={
        "account.employees": FieldType.NUMBER,
        "engagement": FieldType.NUMBER,
        "fit": FieldType.TEXT,
        "level": FieldType.TEXT,
        "stage": FieldType.TEXT,
        "title": FieldType.TEXT,
    }
)


def test_everything_that_a_file_says_is_in_the_value() -> None:
    lifecycle = read_lifecycle(TEXT, "l.yaml", KNOWN)
    lead, prospect = lifecycle.stages
    assert (lead.label, lead.role, lead.voice, lead.owner) == ("A lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING)
    assert (lead.content, lead.line) == (frozenset({"educational"}), 5)
    assert (prospect.label, prospect.owner) == ("Prospect", Team.SALES)
    there, back = lifecycle.moves
    assert (there.from_stage, there.to_stage, there.when) == ("lead", "prospect", Compare("level", Op.EQ, "SQL"))
    assert (there.dwell, there.cool_off, there.at_most) == (Span(1, Unit.DAYS), Span(30, Unit.DAYS), 3)
    assert (back.from_stage, back.reason, back.line) == ("prospect", "went quiet", 9)
    assert [level for level, _ in lifecycle.levels] == ["SQL", "MQL"]
    assert lifecycle.event_kinds == {"watched"}


def test_points_are_hundredths_and_the_best_grade_comes_first() -> None:
    lifecycle = read_lifecycle(TEXT, "l.yaml", KNOWN)
    assert lifecycle.fit.rules[0].points == 1250
    assert lifecycle.fit.grades == (("A", 2000), ("B", 1000), ("D", -(10**9)))
    downloads, website = lifecycle.categories
    assert (downloads.cap, downloads.weights) == (4000, {"content_downloaded": 1000, "watched": 500})
    assert (downloads.half_life, website.half_life) == (timedelta(days=10), timedelta(days=60))


def test_memory_reaches_as_far_back_as_anything_looks() -> None:
    assert read_lifecycle(TEXT, "l.yaml", KNOWN).memory == timedelta(days=600)
    longer = TEXT.replace("idle('20 business days')", "did('watched', within='900 days')")
    assert read_lifecycle(longer, "l.yaml", KNOWN).memory == timedelta(days=900)


@pytest.mark.parametrize(
    ("old", "new", "at", "problem"),
    [
        ("role: nurture", "role: nurturing", "nurturing", "unknown role 'nurturing', did you mean 'nurture'?"),
        ("voice: marketing", "voice: loud", "loud", "unknown voice 'loud', there is marketing, personal, silent"),
        ("owner: sales", "owner: sale", "sale}", "unknown team 'sale', did you mean 'sales'?"),
        ("name: prospect", "name: lead", "lead, role: engage", "two stages are named 'lead'"),
        ("start: lead", "start: led", "led", "unknown stage 'led', did you mean 'lead'?"),
        ("to: prospect", "to: prospct", "prospct", "unknown stage 'prospct', did you mean 'prospect'?"),
        ("from: [prospect]", "from: [prospect, x]", "x]", "unknown stage 'x', there is lead, prospect"),
        ("level == 'SQL'", "level == 'SQ'", "'SQ'", "`level` is never 'SQ', did you mean 'SQL'?"),
        ("fit in ('A', 'B')", "fit in ('A', 'C')", "('A', 'C')", "`fit` is never 'C', there is A, B, D"),
        ("account.employees >= 50", "employees >= 50", "employees >=", "unknown field `employees`"),
        ("account.employees >= 50", "contains(title, x)", "x)", "unknown key `x)`, put text that has a comma"),
        ("points: 12.5", "points: many", "many", "expected a number of points, not 'many'"),
        ("half_life: 10 days", "half_life: 2 business days", "2 business", "2 business days cannot be used here"),
        ("watched: 5", "wathced: 5", "wathced", "unknown event 'wathced', did you mean 'watched'?"),
        ("cap: 20, ", "", "{events", "`cap` is missing"),
        ("dwell: 1 day", "dwel: 1 day", "dwel", "unknown key `dwel`, did you mean 'dwell'?"),
        ("at_most: 3", "at_most: 0", "0}", "expected at least 1, not 0"),
        ("reason: qualified, ", "", "{from: lead", "`reason` is missing"),
        ("events: [watched]", "events: watched", "watched\n", "expected a list, not 'watched'"),
        ("moves:", "move:", "move:", "unknown key `move`, did you mean 'moves'?"),
    ],
)
def test_a_mistake_is_pointed_at(old: str, new: str, at: str, problem: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    before = text[: text.index(at)]
    with pytest.raises(ProgramError) as error:
        read_lifecycle(text, "l.yaml", KNOWN)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert f"l.yaml:{line}:{column}: {problem}" in str(error.value)
