from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.changes import changes_at, standing_changes_at
from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op, evaluate
from nurture.core.lifecycle import FitRule
from nurture.core.model import Event, Situation
from nurture.core.scoring import restand
from nurture.core.spans import Span, Unit
from tests.core.scored import DAY, NOW, SCORED, at_least, business_days, days, event, is_, person, situation
from tests.core.test_scoring import events

TICK = timedelta(microseconds=1)


def answer(condition: Condition, seen: Situation, at: datetime) -> bool:
    return evaluate(condition, restand(seen, SCORED, at), SCORED, at)


@pytest.mark.parametrize(
    "condition",
    [is_("stage", "lead"), Compare("account.industry", Op.KNOWN), Did("replied"), Did("demo_requested"), All(())],
)
def test_facts_do_not_change_by_themselves(condition: Condition) -> None:
    assert changes_at(condition, situation(event("demo_requested")), SCORED, NOW) is None


def test_silence_becomes_long_enough() -> None:
    seen = situation(event("replied", NOW - DAY))
    assert changes_at(Idle(days(20)), seen, SCORED, NOW) == NOW + 19 * DAY
    assert changes_at(Idle(days(20)), seen, SCORED, NOW + 19 * DAY) is None


def test_silence_in_business_days_ends_on_one() -> None:
    friday = situation(contact=person(since=NOW - 3 * DAY))
    assert changes_at(Idle(business_days(2)), friday, SCORED, NOW) == NOW + DAY


def test_an_event_leaves_its_window() -> None:
    seen = situation(*(event("page_viewed", NOW - age * DAY) for age in (1, 5, 9)))
    assert changes_at(Did("page_viewed", days(10)), seen, SCORED, NOW) == NOW + 9 * DAY
    assert changes_at(Did("page_viewed", days(10), 2), seen, SCORED, NOW) == NOW + 5 * DAY
    assert changes_at(Did("page_viewed", days(10), 3), seen, SCORED, NOW) == NOW + 1 * DAY
    assert changes_at(Did("page_viewed", days(10), 4), seen, SCORED, NOW) is None
    assert changes_at(Did("page_viewed", days(1)), seen, SCORED, NOW) is None


def test_engagement_decays_through_a_threshold() -> None:
    seen = situation(event("demo_requested"))
    at = changes_at(at_least("engagement", 30), seen, SCORED, NOW)
    assert at is not None
    assert abs(at - (NOW + 60 * DAY)) < timedelta(minutes=30)


def test_levels_and_grades_are_followed_to_what_they_look_at() -> None:
    seen = situation(event("demo_requested"))
    assert answer(is_("level", "SQL"), seen, NOW)
    lost = changes_at(is_("level", "SQL"), seen, SCORED, NOW)
    assert lost is not None
    assert not answer(is_("level", "SQL"), seen, lost)
    assert standing_changes_at(seen, SCORED, NOW) == lost
    assert standing_changes_at(seen, SCORED, lost) == changes_at(is_("level", "MQL"), seen, SCORED, lost)
    assert standing_changes_at(situation(), SCORED, NOW) is None


def test_a_fit_rule_with_a_window_is_followed_too() -> None:
    fit = replace(SCORED.fit, rules=(FitRule(Did("event_attended", days(90)), 6000, "met us"),))
    lifecycle = replace(SCORED, fit=fit)
    seen = situation(event("event_attended", NOW - DAY))
    assert changes_at(is_("fit", "A"), seen, lifecycle, NOW) == NOW + 89 * DAY
    assert standing_changes_at(seen, lifecycle, NOW) == NOW + 89 * DAY


def test_moments_that_change_nothing_are_passed_over() -> None:
    seen = situation(event("page_viewed", NOW - DAY), contact=person(since=NOW - 5 * DAY))
    never = All((is_("stage", "out"), Idle(days(20))))
    assert changes_at(never, seen, SCORED, NOW) is None
    either = Any((Did("page_viewed", days(3)), Not(Did("page_viewed", days(3)))))
    assert changes_at(either, seen, SCORED, NOW) is None


def test_a_level_that_asks_for_levels_is_no_circle() -> None:
    lifecycle = replace(SCORED, levels=(("A", is_("level", "A")), ("B", at_least("engagement", 1))))
    assert changes_at(is_("level", "A"), situation(), lifecycle, NOW) is None


# --- always -----------------------------------------------------------------------------------------------------------

SPANS = st.builds(Span, st.integers(0, 60), st.sampled_from([Unit.HOURS, Unit.DAYS, Unit.BUSINESS_DAYS]))
KINDS = st.sampled_from(["content_downloaded", "page_viewed", "demo_requested"])
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Idle, SPANS),
    st.builds(Did, KINDS, st.none() | SPANS, st.integers(1, 3)),
    st.builds(
        Compare,
        st.just("engagement"),
        st.sampled_from([Op.LT, Op.LE, Op.GT, Op.GE, Op.EQ, Op.NE]),
        st.integers(0, 90) | st.floats(0, 90),
    ),
    st.builds(is_, st.just("level"), st.sampled_from(["SQL", "MQL"])),
    st.builds(is_, st.sampled_from(["fit", "stage"]), st.sampled_from(["B", "lead"])),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@given(CONDITIONS, events(), st.floats(0, 1), st.integers(1, 3 * 10**7))
def test_changes_at_is_exact(condition: Condition, happened: tuple[Event, ...], part: float, seconds: int) -> None:
    seen = situation(*happened, contact=person(since=NOW - 20 * DAY))
    before = answer(condition, seen, NOW)
    at = changes_at(condition, seen, SCORED, NOW)
    if at is None:
        assert answer(condition, seen, NOW + timedelta(seconds=seconds)) is before
        return
    assert at > NOW
    assert answer(condition, seen, at) is not before
    assert answer(condition, seen, at - TICK) is before
    assert answer(condition, seen, NOW + (at - NOW - TICK) * part) is before


@given(events(), st.floats(0, 1))
def test_the_standing_keeps_its_grade_and_level_until_it_changes(happened: tuple[Event, ...], part: float) -> None:
    seen = situation(*happened)

    def stands(moment: datetime) -> tuple[str, str | None]:
        standing = restand(seen, SCORED, moment).standing
        assert standing is not None
        return standing.grade, standing.level

    at = standing_changes_at(seen, SCORED, NOW)
    if at is None:
        assert stands(NOW + 2000 * DAY * part) == stands(NOW)
        return
    assert stands(at) != stands(NOW)
    assert stands(NOW + (at - NOW - TICK) * part) == stands(NOW)
