from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import Did, Not
from nurture.core.definition import Category
from nurture.core.lifecycle import FitModel, FitRule
from nurture.core.model import Event, Standing
from nurture.core.receipts import receipt
from nurture.core.scoring import engagement, fit, reaches, restand, standing
from tests.core.scored import ACME, DAY, FIT, NOW, SCORED, event, is_, person, situation

TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("facts", "points", "grade"),
    [
        ({"title": "Chief Executive"}, 6500, "A"),
        ({}, 5000, "B"),
        ({"account": replace(ACME, employees=None)}, 3000, "C"),
        ({"account": replace(ACME, industry="mining", employees=3)}, 0, "D"),
        ({"account": None}, 0, "D"),
        ({"country": "XX", "title": "Chief Executive"}, 6500, "D"),
    ],
)
def test_fit_adds_up_what_is_known(facts: dict[str, object], points: int, grade: str) -> None:
    assert fit(situation(contact=person(**facts)), SCORED, NOW) == (points, grade)


def test_unknown_is_neutral_never_negative() -> None:
    rules = (FitRule(Not(is_("title", "x")), 0, "any"), FitRule(is_("title", "intern"), -1000, "intern"))
    lifecycle = replace(SCORED, fit=replace(FIT, rules=rules))
    assert fit(situation(), lifecycle, NOW)[0] == 0
    assert fit(situation(contact=person(title="intern")), lifecycle, NOW)[0] == -1000


def test_without_a_catch_all_the_last_grade_is_given() -> None:
    lifecycle = replace(SCORED, fit=FitModel((), (("A", 6000), ("B", 4000))))
    assert fit(situation(), lifecycle, NOW) == (0, "B")


def test_fit_does_not_decay() -> None:
    assert fit(situation(), SCORED, NOW) == fit(situation(), SCORED, NOW + 1000 * DAY)


@pytest.mark.parametrize(
    ("age", "points"),
    [(0 * DAY, 1000), (30 * DAY, 500), (60 * DAY, 250), (15 * DAY, 707), (-2 * DAY, 1000), (300 * DAY, 0)],
)
def test_engagement_halves_with_every_half_life(age: timedelta, points: int) -> None:
    assert engagement(situation(event("content_downloaded", NOW - age)), SCORED, NOW) == points


def test_contributions_are_forgotten_after_ten_half_lives() -> None:
    loud = replace(SCORED, categories=(Category("c", 10**9, {"replied": 10**8}, DAY),))
    at = event("replied", NOW - 10 * DAY)
    assert engagement(situation(at), loud, NOW - TICK) == 97656
    assert engagement(situation(at), loud, NOW) == 0


def test_trust_weighs() -> None:
    assert engagement(situation(event("content_downloaded", trust=0.25)), SCORED, NOW) == 250


def test_one_noisy_channel_is_capped() -> None:
    views = [event("page_viewed", NOW, key=str(number)) for number in range(1000)]
    assert engagement(situation(*views), SCORED, NOW) == 2000
    assert engagement(situation(*views, event("demo_requested")), SCORED, NOW) == 8000


def test_standing_takes_the_best_level_that_holds() -> None:
    assert standing(situation(), SCORED, NOW) == Standing(5000, "B", 0, NOW, None, "scored-1")
    downloads = [event("content_downloaded", NOW, key=str(number)) for number in range(3)]
    assert standing(situation(*downloads), SCORED, NOW).level == "MQL"
    assert standing(situation(*downloads, event("demo_requested")), SCORED, NOW).level == "SQL"
    assert standing(situation(event("demo_requested"), contact=person(account=None)), SCORED, NOW).level == "MQL"


def test_standing_does_not_depend_on_the_one_before() -> None:
    old = Standing(0, "D", 99999, NOW - DAY, "SQL")
    assert standing(situation(standing=old), SCORED, NOW) == standing(situation(), SCORED, NOW)


def test_a_negative_weight_takes_points_away() -> None:
    category = Category("mail", 4000, {"replied": 1000, "unsubscribed": -3000}, 10 * DAY)
    lifecycle = replace(SCORED, categories=(category,))
    assert engagement(situation(event("replied"), event("unsubscribed")), lifecycle, NOW) == -2000


# --- always -----------------------------------------------------------------------------------------------------------

KINDS = ["content_downloaded", "page_viewed", "webinar_watched", "demo_requested", "form_submitted", "opened"]


@st.composite
def events(draw: st.DrawFn) -> tuple[Event, ...]:
    found = draw(
        st.lists(
            st.tuples(st.sampled_from(KINDS), st.integers(0, 24 * 700), st.sampled_from([0.0, 0.3, 0.7, 1.0])),
            max_size=8,
        )
    )
    return tuple(
        event(kind, NOW - timedelta(hours=age), key=str(number), trust=trust)
        for number, (kind, age, trust) in enumerate(found)
    )


@given(events())
def test_engagement_never_exceeds_the_sum_of_the_caps(happened: tuple[Event, ...]) -> None:
    assert 0 <= engagement(situation(*happened), SCORED, NOW) <= sum(c.cap for c in SCORED.categories)


@given(events(), events())
def test_more_events_never_lower_engagement(some: tuple[Event, ...], more: tuple[Event, ...]) -> None:
    assert engagement(situation(*some, *more), SCORED, NOW) >= engagement(situation(*some), SCORED, NOW)


@given(events(), st.integers(0, 10**7), st.integers(0, 10**7))
def test_engagement_only_decays(happened: tuple[Event, ...], first: int, second: int) -> None:
    early, late = sorted((first, second))
    seen = situation(*happened)
    before = engagement(seen, SCORED, NOW + timedelta(seconds=early))
    assert engagement(seen, SCORED, NOW + timedelta(seconds=late)) <= before


@given(st.permutations(list(range(8))), events())
def test_the_order_of_events_does_not_matter(order: list[int], happened: tuple[Event, ...]) -> None:
    shuffled = tuple(happened[place] for place in order if place < len(happened))
    assert engagement(replace(situation(), events=shuffled), SCORED, NOW) == engagement(
        situation(*happened), SCORED, NOW
    )


@given(events(), st.integers(1, 14000))
def test_reaches_is_exact(happened: tuple[Event, ...], points: int) -> None:
    seen = situation(*happened)
    at = reaches(seen, SCORED, points, NOW)
    if engagement(seen, SCORED, NOW) < points:
        assert at is None
        return
    assert at is not None
    assert at > NOW
    assert engagement(seen, SCORED, at) < points <= engagement(seen, SCORED, at - TICK)


@given(events(), st.integers(-5000, 8000), st.integers(1, 10**7))
def test_reaches_is_never_late_where_weights_are_negative(
    happened: tuple[Event, ...], points: int, seconds: int
) -> None:
    weights = {"content_downloaded": 1000, "demo_requested": -1500, "page_viewed": 300, "form_submitted": -100}
    other = Category("other", 3000, {"webinar_watched": 700, "opened": -900}, 5 * DAY)
    lifecycle = replace(SCORED, categories=(Category("mixed", 4000, weights, 30 * DAY), other))
    seen, later = situation(*happened), NOW + timedelta(seconds=seconds)
    at = reaches(seen, lifecycle, points, NOW)
    if (engagement(seen, lifecycle, later) >= points) is not (engagement(seen, lifecycle, NOW) >= points):
        assert at is not None
        assert NOW < at <= later


def test_a_debt_that_fades_is_noticed() -> None:
    lifecycle = replace(SCORED, categories=(Category("c", 4000, {"unsubscribed": -3000}, 10 * DAY),))
    at = reaches(situation(event("unsubscribed")), lifecycle, -1500, NOW)
    assert at is not None
    assert abs(at - (NOW + 10 * DAY)) < timedelta(hours=1)


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_adds_up_to_the_standing() -> None:
    seen = situation(
        event("content_downloaded", NOW - 30 * DAY), event("page_viewed", NOW), event("demo_requested", NOW - DAY)
    )
    told = receipt(seen, SCORED, NOW)
    assert told.standing == standing(seen, SCORED, NOW)
    assert sum(line.points for line in told.categories) == told.standing.engagement
    assert sum(line.points for line in told.rules if line.holds) == told.standing.fit_points
    assert [(line.label, line.holds) for line in told.rules] == [("industry", True), ("size", True), ("decides", False)]
    (download,) = told.categories[0].entries
    assert (download.fresh, download.points) == (1000, 500)


@given(events())
def test_every_receipt_adds_up(happened: tuple[Event, ...]) -> None:
    told = receipt(situation(*happened), SCORED, NOW)
    assert sum(line.points for line in told.categories) == told.standing.engagement


def test_a_receipt_shows_what_a_cap_took() -> None:
    views = [event("page_viewed", NOW, key=str(number)) for number in range(20)]
    website = receipt(situation(*views), SCORED, NOW).categories[1]
    assert (website.earned, website.points, website.cap) == (4000, 2000, 2000)


def test_a_receipt_says_what_would_lift_the_level() -> None:
    told = receipt(situation(), SCORED, NOW)
    (demo, title) = told.changes
    assert (demo.what, demo.grade, demo.level) == ("one more: asked for a demo", "B", "SQL")
    assert (title.what, title.grade, title.level) == ("title contains 'chief'", "A", None)


def test_a_receipt_knows_events_that_only_a_level_asks_for() -> None:
    lifecycle = replace(SCORED, levels=(("MET", Did("meeting_held")),))
    assert ("one more: met", "MET") in [(c.what, c.level) for c in receipt(situation(), lifecycle, NOW).changes]


def test_a_receipt_says_what_disqualifies_and_that_nothing_else_would_help() -> None:
    told = receipt(situation(contact=person(country="XX")), SCORED, NOW)
    assert [line.label for line in told.disqualified] == ["we do not sell there"]
    assert ("not (country is 'XX')", "B") in [(c.what, c.grade) for c in told.changes]
    assert "title contains 'chief'" not in [c.what for c in told.changes]


def test_restand_gives_the_situation_its_standing() -> None:
    moment = datetime.fromisoformat("2026-05-01T00:00:00+00:00")
    seen = restand(situation(event("demo_requested")), SCORED, moment)
    assert seen.standing is not None
    assert seen.standing.as_of == moment
