from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.decay import Curve, moment, ticks
from nurture.core.definition import Category
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Event
from tests.core.scored import DAY, NOW, SCORED, event

SINCE = ticks(NOW)

LIFECYCLES = st.lists(
    st.builds(
        Category,
        st.just("c"),
        st.integers(1, 12_000),
        st.dictionaries(st.sampled_from(["replied", "page_viewed", "clicked"]), st.integers(1, 4_000), min_size=1),
        st.timedeltas(timedelta(minutes=1), timedelta(days=90)),
    ),
    min_size=1,
    max_size=4,
).map(lambda categories: replace(SCORED, categories=tuple(categories)))

HAPPENED = st.lists(
    st.builds(
        lambda kind, age, trust: event(kind, NOW - age, trust=trust),
        st.sampled_from(["replied", "page_viewed", "clicked"]),
        st.timedeltas(timedelta(days=-2), timedelta(days=400)),
        st.floats(0, 1),
    ),
    max_size=40,
)


def plainly_below(curve: Curve, points: int, end: int) -> int | None:
    """Halve the time until engagement stays below `points`, without any guess."""
    early, late = SINCE, end
    if curve.least(late, SINCE) >= points:
        return None
    while late - early > 1:
        middle = (early + late) // 2
        early, late = (early, middle) if curve.least(middle, SINCE) < points else (middle, late)
    return late


@given(LIFECYCLES, HAPPENED, st.integers(-5, 9_000))
def test_a_search_near_a_guess_finds_what_a_plain_search_finds(
    lifecycle: Lifecycle, happened: list[Event], points: int
) -> None:
    curve = Curve(happened, lifecycle)
    if curve.least(SINCE, SINCE) < points:
        assert curve.reaches(points, SINCE) is None
        return
    assert curve.reaches(points, SINCE) == plainly_below(
        curve, points, SINCE + 1_000 * DAY // timedelta(microseconds=1)
    )


def test_nothing_that_weighs_leaves_nothing_to_wait_for() -> None:
    curve = Curve([event("sent")], SCORED)
    assert (curve.least(SINCE, SINCE), curve.only_falls, curve.reaches(0, SINCE)) == (0, True, None)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(microseconds=1), 400 * DAY])
def test_moments_and_ticks_are_the_same(later: timedelta) -> None:
    assert moment(ticks(NOW + later)) == NOW + later
