"""The `handoff` section: what it says as a value, what it means where it is silent, and its mistakes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from nurture.core.findings import Texts
from nurture.core.handoff import REJECTIONS, By, Handoff, Rejection, Rule, Sla, Territory, Then
from nurture.core.lint_handoff import handoff_problems
from nurture.core.schema import read_lifecycle
from nurture.core.spans import Span, Unit
from nurture.errors import ProgramError
from tests.programs import LIFECYCLE

HOUR = timedelta(hours=1)
README = Path(__file__).parents[3] / "README.md"


def read(section: str) -> Handoff:
    return read_lifecycle(LIFECYCLE + section, "x.yaml").handoff


def mistakes(section: str) -> list[str]:
    """Return what is wrong with a section, whether its shape or what it means."""
    try:
        lifecycle = read_lifecycle(LIFECYCLE + section, "x.yaml")
    except ProgramError as error:
        return [problem.what for problem in error.problems]
    return [problem.what for problem in handoff_problems(lifecycle, Texts({"x.yaml": LIFECYCLE + section}))]


def test_a_file_without_the_section_routes_by_owner_and_in_turn_and_has_no_clock() -> None:
    rules = read("")
    assert [rule.by for rule in rules.rules] == [By.CONTACT_OWNER, By.ACCOUNT_OWNER, By.ROUND_ROBIN]
    assert (rules.sla, rules.fallback, rules.rejections) == (None, None, REJECTIONS)
    assert mistakes("") == []


def test_everything_that_can_be_said_is_read() -> None:
    rules = read(
        """\
handoff:
  pools: {dach: [Ada@Example.com]}
  routing:
    - territory: {when: "country == 'DE'", pool: dach}
    - territory: {own: industry}
    - territory: {when: "country == 'US'", reps: [bo@example.com]}
    - round_robin
  capacity: {open: 5, per_day: 2}
  fallback: vera@example.com
  own_account: true
  sla: {accept_within: 4 working hours, warn_at: 25%, escalate_to: vera@example.com}
  reject: {not_now: {cool_off: 90 days, to: lost, unless: [demo_requested], task: Call}}
  return: {at_most: 100 days, then: review}
"""
    )
    first, own, inline, turn = rules.rules
    assert (first.by, first.pool, rules.members("dach")) == (By.TERRITORY, "dach", {"ada@example.com"})
    assert own == Rule(By.TERRITORY, own=Territory.INDUSTRY, line=own.line)
    assert rules.members(inline.pool) == {"bo@example.com"}
    assert rules.members(turn.pool) is None
    assert (rules.most_open, rules.per_day, rules.fallback, rules.owns_account) == (5, 2, "vera@example.com", True)
    assert rules.sla == Sla(4 * HOUR, warn_after=HOUR, escalate_after=4 * HOUR, escalate_to="vera@example.com")
    not_now = rules.rejections["not_now"]
    assert not_now == Rejection(Span(90, Unit.DAYS), "lost", frozenset({"demo_requested"}), "Call", not_now.line)
    assert (rules.returned, rules.return_at_most) == (Then.REVIEW, timedelta(days=100))
    assert rules.named == {"ada@example.com", "bo@example.com", "vera@example.com"}


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("handoff: {routing: [owner]}", "unknown routing rule 'owner'"),
        ("handoff: {routing: [round_robin: nobody]}", "unknown pool 'nobody'"),
        ("handoff: {routing: [territory: {pool: x}]}", "a territory asks `when`"),
        ("handoff: {routing: [{round_robin: everyone, contact_owner: true}]}", "a routing rule is one of"),
        ("handoff: {pools: {a: []}}", "the pool 'a' is empty"),
        ("handoff: {pools: {everyone: [a@b.example]}}", "the pool 'everyone' is there already"),
        ("handoff: {pools: {a: [ada]}}", "'ada' is no address of a rep"),
        ("handoff: {sla: {accept_within: 4 hours}}", "'4 hours' is no working time"),
        ("handoff: {sla: {accept_within: 0 working hours}}", "nobody can do anything in no time"),
        ("handoff: {sla: {accept_within: 1 working hour, warn_at: half}}", "'half' is no part of the time"),
        ("handoff: {reject: {no: {cool_off: never}}}", "'never' is no length of time"),
        ("handoff: {reject: {no: {cool_off: 1 day, to: nowhere}}}", "unknown stage 'nowhere'"),
        ("handoff: {reject: {no: {cool_off: 1 day, unless: [demoed]}}}", "unknown event 'demoed'"),
        ("handoff: {hours: {days: mon-fri, hours: '17:00-09:00'}}", "can never open"),
        ("handoff: {pools: {a: [a@b.example]}}", "no routing rule takes from the pool 'a'"),
        ("handoff: {routing: [round_robin, account_owner]}", "this rule is never reached"),
        (
            "handoff: {pools: {a: [a@b.example], b: [a@b.example]}, routing: [round_robin: b, round_robin: a]}",
            "this rule is never reached: `round_robin: b`",
        ),
        ("handoff: {reject: {no: {cool_off: 1 day, to: customer}}}", "would stay with sales"),
        ("handoff: {sla: {accept_within: 4 working hours, reassign_after: 1 working hour}}", "`reassign_after` comes"),
    ],
)
def test_mistakes_are_named(section: str, what: str) -> None:
    found = mistakes(section + "\n")
    assert any(each.startswith(what) or what in each for each in found), found


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("{from: lead, to: prospect,", "{from: customer, to: prospect,"), "nobody is ever handed over"),
        (("from: [lead, prospect, customer], to: lost", "from: lead, to: lost"), "cannot go from 'prospect' to 'lost'"),
    ],
)
def test_a_way_that_the_lifecycle_lacks_is_a_mistake(change: tuple[str, str], what: str) -> None:
    section = "handoff: {reject: {bad_fit: {cool_off: forever, to: lost}}}\n"
    text = LIFECYCLE.replace(*change) + section
    lifecycle = read_lifecycle(text, "x.yaml")
    found = [problem.what for problem in handoff_problems(lifecycle, Texts({"x.yaml": text}))]
    assert any(what in each for each in found), found


def test_the_section_in_the_readme_is_in_order() -> None:
    (section,) = re.findall(r"```yaml\n(handoff:\n.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert mistakes(section.replace("disqualified", "lost")) == []
