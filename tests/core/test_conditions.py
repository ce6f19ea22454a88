from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import (
    All,
    Any,
    Compare,
    Condition,
    Did,
    Idle,
    Not,
    Op,
    evaluate,
    event_kinds,
    is_signal,
    mentions,
    say,
)
from nurture.core.model import Standing, Value
from nurture.core.spans import Span, Unit
from tests.core.scored import ACME, DAY, NOW, SCORED, at_least, business_days, days, event, is_, person, situation

YES = All(())
NO = Any(())
STANDING = Standing(6500, "A", 6000, NOW, level="MQL")


def holds(condition: Condition, *events: object, at: datetime = NOW, **parts: object) -> bool:
    return evaluate(condition, situation(*events, **{"standing": STANDING, **parts}), SCORED, at)


@pytest.mark.parametrize(
    ("op", "known", "value", "answer"),
    [
        (Op.EQ, "pro", "pro", True),
        (Op.EQ, "pro", "Pro", False),
        (Op.EQ, 1, True, False),
        (Op.EQ, None, None, False),
        (Op.NE, "pro", "free", True),
        (Op.NE, None, "free", True),
        (Op.LT, 5, 6, True),
        (Op.LT, 6, 6, False),
        (Op.LT, None, 6, False),
        (Op.LT, "5", 6, False),
        (Op.LE, 6, 6.0, True),
        (Op.GT, 7, 6, True),
        (Op.GT, "2026-03-02", "2026-03-01", True),
        (Op.GT, None, 6, False),
        (Op.GE, 6, 6, True),
        (Op.GE, True, 0, False),
        (Op.IN, "pro", ("free", "pro"), True),
        (Op.IN, None, ("free", "pro"), False),
        (Op.IN, ("a", "b"), ("b", "c"), True),
        (Op.NOT_IN, "pro", ("free",), True),
        (Op.NOT_IN, None, ("free",), True),
        (Op.CONTAINS, "Chief Officer", "chief", True),
        (Op.CONTAINS, ("SAP", "Jira"), "sap", True),
        (Op.CONTAINS, ("SAP", "Jira"), "sa", False),
        (Op.CONTAINS, None, "chief", False),
        (Op.CONTAINS, 12, "1", False),
        (Op.KNOWN, 0, None, True),
        (Op.KNOWN, None, None, False),
        (Op.UNKNOWN, None, None, True),
        (Op.UNKNOWN, False, None, False),
    ],
)
def test_comparing(op: Op, known: Value, value: Value, answer: bool) -> None:
    assert holds(Compare("fields.x", op, value), contact=person(fields={"x": known})) is answer


def test_an_account_that_is_not_there_is_unknown() -> None:
    nobody = person(account=None)
    assert not holds(is_("account.industry", "software"), contact=nobody)
    assert holds(Compare("account.industry", Op.NE, "software"), contact=nobody)
    assert holds(is_("account.industry", "software"), contact=person(account=ACME))


def test_scores_are_read_from_the_stored_standing() -> None:
    assert holds(at_least("engagement", 60))
    assert not holds(Compare("engagement", Op.GT, 60))
    assert holds(is_("fit", "A"))
    assert holds(is_("level", "MQL"))
    assert not holds(at_least("engagement", 0), standing=None)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (YES, True),
        (NO, False),
        (All((YES, NO)), False),
        (All((YES, YES)), True),
        (Any((NO, YES)), True),
        (Any((NO, NO)), False),
        (Not(YES), False),
        (Not(NO), True),
    ],
)
def test_joining(condition: Condition, answer: bool) -> None:
    assert holds(condition) is answer


def test_did_counts_events_of_the_kind() -> None:
    twice = (event("page_viewed", NOW - 2 * DAY), event("page_viewed", NOW - DAY), event("form_submitted"))
    assert holds(Did("page_viewed", at_least=2), *twice)
    assert not holds(Did("page_viewed", at_least=3), *twice)
    assert not holds(Did("replied"), *twice)


def test_did_counts_until_the_window_has_passed_to_the_microsecond() -> None:
    did = Did("page_viewed", days(30))
    seen = event("page_viewed", NOW - 30 * DAY)
    assert not holds(did, seen)
    assert holds(did, seen, at=NOW - timedelta(microseconds=1))


def test_did_counts_business_days_by_the_calendar() -> None:
    friday = event("page_viewed", NOW - 3 * DAY)
    assert holds(Did("page_viewed", business_days(2)), friday)
    assert not holds(Did("page_viewed", days(2)), friday)


def test_did_does_not_count_what_a_machine_probably_did() -> None:
    assert not holds(Did("clicked"), event("clicked", trust=0.4))
    assert holds(Did("clicked"), event("clicked", trust=0.5))


def test_an_event_of_a_clock_that_runs_ahead_counts_now() -> None:
    assert holds(Did("replied", days(1)), event("replied", NOW + timedelta(minutes=5)))


def test_a_window_longer_than_time_itself_never_ends() -> None:
    assert holds(Did("replied", days(10**9 - 1)), event("replied", NOW - 300 * DAY))


def test_idle_is_counted_from_the_last_human_signal() -> None:
    assert holds(Idle(days(20)), event("form_submitted", NOW - 20 * DAY))
    assert not holds(Idle(days(20)), event("form_submitted", NOW - 20 * DAY + timedelta(microseconds=1)))


@pytest.mark.parametrize("kind", ["delivered", "opened", "auto_replied", "sent", "bounced", "time_passed"])
def test_what_no_human_did_does_not_break_the_silence(kind: str) -> None:
    assert holds(Idle(days(20)), event("form_submitted", NOW - 30 * DAY), event(kind, NOW - DAY))


def test_clicks_of_machines_do_not_break_the_silence() -> None:
    assert holds(Idle(days(20)), event("clicked", NOW - DAY, trust=0.1))


def test_idle_is_counted_from_entering_the_stage_if_that_was_later() -> None:
    late = person(since=NOW - 5 * DAY)
    assert not holds(Idle(days(20)), event("form_submitted", NOW - 60 * DAY), contact=late)
    assert holds(Idle(days(5)), contact=late)


def test_idle_counts_business_days_in_the_zone_of_the_contact() -> None:
    friday_noon_in_auckland = datetime.fromisoformat("2026-02-27T12:00:00+13:00")
    silent = person(time_zone="Pacific/Auckland", since=friday_noon_in_auckland)
    monday_noon_in_auckland = datetime.fromisoformat("2026-03-02T12:00:00+13:00")
    assert holds(Idle(business_days(1)), contact=silent, at=monday_noon_in_auckland)
    assert not holds(Idle(business_days(1)), contact=silent, at=monday_noon_in_auckland - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("kind", "trust", "signal"),
    [
        ("replied", 1.0, True),
        ("webinar_watched", 1.0, True),
        ("webinar_watched", 0.2, False),
        ("nurture_finished", 1.0, False),
        ("opened", 1.0, False),
    ],
)
def test_own_events_are_signals_if_they_score(kind: str, trust: float, signal: bool) -> None:
    assert is_signal(event(kind, trust=trust), SCORED) is signal


def test_a_condition_names_what_it_reads() -> None:
    condition = All(
        (is_("stage", "lead"), Not(Any((Did("replied"), Did("clicked"), at_least("engagement", 1)))), Idle(days(1)))
    )
    assert mentions(condition) == {"stage", "engagement"}
    assert event_kinds(condition) == {"replied", "clicked"}


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (is_("stage", "lead"), "stage is 'lead'"),
        (at_least("engagement", 20), "engagement is at least 20"),
        (Not(is_("stage", "lead")), "stage is not 'lead'"),
        (Not(at_least("engagement", 20.5)), "engagement is not at least 20.5"),
        (Compare("fit", Op.IN, ("A", "B")), "fit is one of 'A', 'B'"),
        (Not(Compare("fit", Op.IN, ("A",))), "fit is none of 'A'"),
        (Compare("account.industry", Op.KNOWN), "industry is known"),
        (Not(Compare("account.industry", Op.KNOWN)), "industry is unknown"),
        (is_("fields.wants_demo", True), "wants demo is yes"),
        (Did("form_submitted", days(30), 2), "submitted a form at least 2 times within 30 days"),
        (Did("webinar_watched"), "webinar watched"),
        (Idle(business_days(1)), "gave no sign for 1 business day"),
        (Not(Idle(days(3))), "not (gave no sign for 3 days)"),
        (
            All((is_("stage", "lead"), Any((is_("fit", "A"), Did("replied"))))),
            "stage is 'lead' and (fit is 'A' or replied)",
        ),
        (YES, "always"),
        (NO, "never"),
    ],
)
def test_every_condition_says_itself(condition: Condition, sentence: str) -> None:
    assert say(condition) == sentence


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["", "a", "B"])


@given(VALUES, VALUES, st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.CONTAINS]))
def test_comparing_never_raises_and_unknown_only_differs(known: Value, value: Value, op: Op) -> None:
    answer = holds(Compare("fields.x", op, value), contact=person(fields={"x": known}))
    if known is None or known == "":
        assert answer is (op is Op.NE)


@given(st.integers(0, 400), st.sampled_from([u for u in Unit if u is not Unit.MINUTES]), st.integers(0, 20))
def test_silence_only_grows(hours: int, unit: Unit, amount: int) -> None:
    idle = Idle(Span(amount, unit))
    contact = person(since=NOW - timedelta(hours=hours))
    assert holds(idle, contact=contact, at=NOW + 3 * DAY) >= holds(idle, contact=contact)
