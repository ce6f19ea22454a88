from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import Compare, Did, Idle, Op
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.model import Event, OpenTask, Situation
from nurture.core.moves import REVIEW_EVERY, manual_move, move, opens_at, review_at
from nurture.core.scoring import restand, standing
from nurture.errors import Refused
from tests.core.scored import (
    DAY,
    NOW,
    SCORED,
    at_least,
    business_days,
    change,
    conditioned,
    days,
    event,
    is_,
    person,
    run,
    situation,
)
from tests.core.test_scoring import events

TICK = timedelta(microseconds=1)


def goes(seen: Situation, lifecycle: Lifecycle = SCORED, at: datetime = NOW) -> str | None:
    made = move(restand(seen, lifecycle, at), lifecycle, at)
    return made.to_stage if made else None


def review(seen: Situation, lifecycle: Lifecycle = SCORED, at: datetime = NOW) -> datetime | None:
    return review_at(restand(seen, lifecycle, at), lifecycle, at)


# --- moves ------------------------------------------------------------------------------------------------------------


def test_a_lead_who_qualifies_moves_and_the_move_says_by_which_rule() -> None:
    made = move(restand(situation(event("demo_requested")), SCORED, NOW), SCORED, NOW)
    assert made is not None
    assert (made.from_stage, made.to_stage, made.reason) == ("lead", "prospect", "qualified")
    assert (made.rule, made.actor) == ("sequences/lifecycles/scored.yaml:10", "engine")


def test_somebody_who_does_nothing_stays() -> None:
    assert goes(situation()) is None


def test_the_first_move_in_the_file_that_holds_is_made() -> None:
    both = situation(event("purchased", NOW - 60 * DAY), contact=person("prospect"))
    assert goes(both) == "customer"
    backwards = replace(SCORED, moves=tuple(reversed(SCORED.moves)))
    assert goes(both, backwards) == "lead"


def test_a_prospect_who_falls_silent_goes_back() -> None:
    assert goes(situation(contact=person("prospect"))) == "lead"


@pytest.mark.parametrize(
    "sign",
    [
        {"tasks": (OpenTask(1, "call", None),)},
        {"enrollments": (run(sequence="prospect-introduction", version=2),)},
        {"contact": person("prospect", since=NOW - 5 * DAY)},
    ],
)
def test_nobody_goes_back_while_something_is_going_on(sign: dict[str, object]) -> None:
    assert goes(situation(**{"contact": person("prospect"), **sign})) is None


def test_a_move_waits_for_its_dwell() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), dwell=days(10))
    seen = situation(contact=person(since=NOW - 10 * DAY))
    assert goes(seen, lifecycle) == "prospect"
    assert goes(seen, lifecycle, NOW - TICK) is None


def test_a_dwell_may_be_counted_in_business_days() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), dwell=business_days(2))
    friday = situation(contact=person(since=NOW - 3 * DAY))
    assert goes(friday, lifecycle, NOW + DAY) == "prospect"
    assert goes(friday, lifecycle, NOW + DAY - TICK) is None


def test_after_leaving_a_stage_nobody_comes_back_before_the_cool_off() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), cool_off=days(30))
    left = (change("prospect", "lead", NOW - 99 * DAY, "went_quiet"), change("prospect", "lead", NOW - 30 * DAY, "bad"))
    assert goes(situation(stage_changes=left), lifecycle) == "prospect"
    assert goes(situation(stage_changes=left), lifecycle, NOW - TICK) is None


def test_leaving_another_stage_needs_no_cool_off() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), cool_off=days(30))
    assert goes(situation(stage_changes=(change("customer", "lead", NOW, "gone"),)), lifecycle) == "prospect"


def test_a_move_is_made_at_most_so_often() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), at_most=2)
    once = change("lead", "prospect", NOW - 50 * DAY, "because")
    by_hand = change("lead", "prospect", NOW - 50 * DAY, "met them")
    assert goes(situation(stage_changes=(once, by_hand)), lifecycle) == "prospect"
    assert goes(situation(stage_changes=(once, once)), lifecycle) is None
    assert opens_at(lifecycle.moves[0], situation(stage_changes=(once, once)), lifecycle) is None


def test_a_move_without_a_condition_is_never_made_by_the_engine() -> None:
    only = replace(SCORED, moves=(Move("lead", "out", None, "not for us"),))
    assert goes(situation(), only) is None
    assert review(situation(), only) is None


def test_stages_to_avoid_are_passed_over() -> None:
    seen = restand(situation(event("demo_requested")), SCORED, NOW)
    assert move(seen, SCORED, NOW, avoiding={"prospect"}) is None


def test_conditions_that_differ_keep_people_from_flapping() -> None:
    up = Move("lead", "prospect", at_least("engagement", 60), "warm")
    down = Move("prospect", "lead", Compare("engagement", Op.LT, 20), "cold")
    lifecycle = replace(SCORED, moves=(up, down))
    seen = situation(event("demo_requested"))
    assert goes(seen, lifecycle) == "prospect"
    there = replace(seen, contact=person("prospect", since=NOW))
    assert goes(there, lifecycle, NOW + 60 * DAY) is None
    assert goes(there, lifecycle, NOW + 100 * DAY) == "lead"
    assert goes(replace(there, contact=person("lead")), lifecycle, NOW + 60 * DAY) is None


@pytest.mark.parametrize(("reason", "opens"), [("bad timing", 90), ("something else", 5), ("bad fit", None)])
def test_the_cool_off_depends_on_why_they_left(reason: str, opens: int | None) -> None:
    by_reason = (("bad timing", days(90)), ("bad fit", None))
    lifecycle = conditioned(Compare("stage", Op.KNOWN), cool_off=days(5), cool_off_by=by_reason)
    left = (change("prospect", "lead", NOW - 400 * DAY, "bad fit"), change("prospect", "lead", NOW, reason))
    seen = situation(stage_changes=left)
    assert opens_at(lifecycle.moves[0], seen, lifecycle) == (None if opens is None else NOW + opens * DAY)
    assert review(seen, lifecycle) == (None if opens is None else NOW + opens * DAY)


def test_without_a_length_for_other_reasons_they_do_not_wait() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), cool_off_by=(("bad fit", None),))
    assert goes(situation(stage_changes=(change("prospect", "lead", NOW, "quiet"),)), lifecycle) == "prospect"


def test_recycling_is_capped_over_all_moves_from_sales_back_to_marketing() -> None:
    lifecycle = replace(SCORED, recycles=2)
    there, back = (
        change("lead", "prospect", NOW - 99 * DAY, "x"),
        change("prospect", "lead", NOW - 98 * DAY, "rejected"),
    )
    quiet = {"contact": person("prospect")}
    assert goes(situation(stage_changes=(there, back, there), **quiet), lifecycle) == "lead"
    assert goes(situation(stage_changes=(there, back, there, back, there), **quiet), lifecycle) is None
    assert review(situation(stage_changes=(there, back, there, back, there), **quiet), lifecycle) is None
    by_hand = manual_move(situation(stage_changes=(there, back) * 3, **quiet), lifecycle, "lead", "rest", "rita", NOW)
    assert by_hand.to_stage == "lead"


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_a_person_may_make_every_move_that_the_lifecycle_lists() -> None:
    made = manual_move(situation(), SCORED, "out", "asked to be left alone", "rita@us.example", NOW)
    assert (made.to_stage, made.rule, made.actor) == ("out", "rita@us.example", "rita@us.example")


def test_dwell_and_cool_off_do_not_bind_people() -> None:
    seen = situation(contact=person(since=NOW), stage_changes=(change("prospect", "lead", NOW, "went_quiet"),) * 5)
    assert manual_move(seen, SCORED, "prospect", "met at a fair", "rita", NOW).to_stage == "prospect"


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("lead", "already"),
        ("customer", "from there it leads to prospect, out"),
        ("vip", "it has lead, prospect, customer, out"),
    ],
)
def test_what_the_lifecycle_does_not_list_is_refused_with_what_it_does(to: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        manual_move(situation(), SCORED, to, "why not", "rita", NOW)


# --- reviews ----------------------------------------------------------------------------------------------------------


def test_nothing_to_wait_for_means_no_review() -> None:
    assert review(situation()) is None
    assert review(situation(contact=person("customer"))) is None
    assert review(situation(contact=person("no such stage"))) is None


def test_silence_is_reviewed_when_it_is_long_enough() -> None:
    seen = situation(contact=person("prospect", since=NOW - DAY))
    assert review(seen) == datetime.fromisoformat("2026-03-30T09:00:00+00:00") - 3 * DAY


def test_silence_matters_only_where_nothing_else_stands_in_the_way() -> None:
    seen = situation(contact=person("prospect", since=NOW - DAY), enrollments=(run(),))
    assert review(seen) is None


def test_a_dwell_is_reviewed_when_it_ends_and_the_condition_holds() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), dwell=days(10))
    assert review(situation(contact=person(since=NOW - 4 * DAY)), lifecycle) == NOW + 6 * DAY
    never = conditioned(is_("stage", "out"), dwell=days(10))
    assert review(situation(contact=person(since=NOW - 4 * DAY)), never) is None


def test_a_cool_off_is_reviewed_when_it_ends() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), cool_off=days(30))
    assert review(situation(stage_changes=(change("prospect", "lead", NOW - DAY, "x"),)), lifecycle) == NOW + 29 * DAY


def test_a_condition_that_comes_true_during_the_dwell_is_reviewed_at_its_end() -> None:
    lifecycle = conditioned(Idle(days(5)), dwell=days(10))
    assert review(situation(contact=person(since=NOW)), lifecycle) == NOW + 10 * DAY


def test_a_move_that_is_used_up_is_not_waited_for() -> None:
    lifecycle = conditioned(Idle(days(5)), at_most=1)
    used = (change("lead", "prospect", NOW - 90 * DAY, "because"),)
    assert review(situation(contact=person(since=NOW), stage_changes=used), lifecycle) is None


def test_a_window_that_closes_is_reviewed() -> None:
    lifecycle = conditioned(Compare("stage", Op.UNKNOWN))
    lifecycle = replace(lifecycle, levels=(("hot", Did("page_viewed", days(7))),))
    assert review(situation(event("page_viewed", NOW - DAY)), lifecycle) == NOW + 6 * DAY


def test_decay_through_a_level_is_reviewed() -> None:
    seen = situation(event("content_downloaded"), *(event("form_submitted", key=str(n)) for n in range(2)))
    at = review(seen)
    assert at is not None
    levels = [standing(seen, SCORED, moment).level for moment in (at - TICK, at)]
    assert levels == ["MQL", None]


def test_nobody_is_reviewed_more_than_once_an_hour() -> None:
    lifecycle = conditioned(Compare("stage", Op.KNOWN), dwell=days(10))
    assert review(situation(contact=person(since=NOW - 10 * DAY + TICK)), lifecycle) == NOW + REVIEW_EVERY


@given(
    events(),
    st.sampled_from(["lead", "prospect", "customer", "out"]),
    st.integers(0, 60 * 24),
    st.booleans(),
)
def test_reviews_lie_ahead_and_nothing_moves_before_them(
    happened: tuple[Event, ...], stage: str, hours: int, busy: bool
) -> None:
    seen = situation(
        *happened,
        contact=person(stage, since=NOW - timedelta(hours=hours)),
        enrollments=(run(),) if busy else (),
        stage_changes=(change("prospect", "lead", NOW - timedelta(hours=hours), "went_quiet"),),
    )
    at = review(seen)
    assert at is None or at >= NOW + REVIEW_EVERY
    if goes(seen) is not None:
        return
    last = at - TICK if at else NOW + 3000 * DAY
    if at != NOW + REVIEW_EVERY:
        assert goes(seen, at=last) is None
        assert goes(seen, at=NOW + (last - NOW) / 2) is None
