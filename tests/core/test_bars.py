"""What a rejection bars: moves of the engine from marketing to sales, until it ends or the contact asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from nurture.core.handoff import FOREVER, Handoff, Rejection
from nurture.core.model import Bar, Situation
from nurture.core.moves import manual_move, move, review_at
from nurture.core.scoring import restand
from tests.core.scored import DAY, NOW, SCORED, event, person, situation

LIFECYCLE = replace(
    SCORED, handoff=Handoff(rejections={"not_now": Rejection(None, unless=frozenset({"quote_requested"}))})
)


def hot(bar: Bar | None, *more: str) -> Situation:
    """Return a lead whom only a bar keeps from sales, in their stage since yesterday."""
    happened = (event("demo_requested", NOW - 2 * DAY), *(event(kind, NOW - DAY / 2) for kind in more))
    seen = situation(*happened, contact=person(since=NOW - DAY))
    return restand(replace(seen, bar=bar), LIFECYCLE, NOW)


def test_without_a_bar_they_go_to_sales() -> None:
    made = move(hot(None), LIFECYCLE, NOW)
    assert made
    assert made.to_stage == "prospect"


@pytest.mark.parametrize("until", [NOW + 30 * DAY, FOREVER], ids=["a-month", "forever"])
def test_a_bar_keeps_the_engine_from_handing_them_over(until: object) -> None:
    assert move(hot(Bar(until, "not_now")), LIFECYCLE, NOW) is None  # type: ignore[arg-type]


def test_a_bar_ends_and_they_are_looked_at_then() -> None:
    ends = NOW + timedelta(hours=5)
    assert review_at(hot(Bar(ends, "not_now")), LIFECYCLE, NOW) == ends
    assert move(hot(Bar(NOW, "not_now")), LIFECYCLE, NOW)


def test_what_the_reason_excepts_lifts_the_bar_if_it_comes_afterwards() -> None:
    assert move(hot(Bar(FOREVER, "not_now"), "quote_requested"), LIFECYCLE, NOW)
    assert move(hot(Bar(FOREVER, "other"), "quote_requested"), LIFECYCLE, NOW) is None


def test_people_are_not_barred() -> None:
    assert manual_move(hot(Bar(FOREVER, "not_now")), LIFECYCLE, "prospect", "met at the fair", "ada", NOW)
