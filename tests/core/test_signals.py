"""Signals: how strong, until when, and what those about a company give to its people; in scores and in receipts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.decay import moment, ticks
from nurture.core.definition import Category
from nurture.core.model import Event, Situation
from nurture.core.receipts import receipt
from nurture.core.scoring import engagement, reaches
from nurture.core.signals import account_kinds, expires_at, strength
from tests.core.scored import DAY, NOW, SCORED, event, situation

INTENT = Category("intent", 4000, {"intent_signaled": 1500, "trial_started": 3000}, 10 * DAY, account_cap=2000)
MAIL = Category("mail", 3000, {"replied": 1000, "unsubscribed": -2500}, 20 * DAY)
RULES = replace(SCORED, categories=(INTENT, MAIL))


def signal(age: timedelta = 0 * DAY, **data: object) -> Event:
    return event("intent_signaled", NOW - age, key=f"{age}{sorted(data.items())}", data=data)


def seen(*events: Event, about_account: tuple[Event, ...] = ()) -> Situation:
    return situation(*events, account_events=about_account)


@pytest.mark.parametrize(
    ("said", "share"), [(None, 1.0), (0.5, 0.5), ("0.25", 0.25), (7, 1.0), (-1, 0.0), ("much", 1.0)]
)
def test_a_weak_signal_gives_less(said: object, share: float) -> None:
    data = {} if said is None else {"strength": said}
    assert strength(signal(**data)) == share
    assert engagement(seen(signal(**data)), RULES, NOW) == round(1500 * share)


def test_only_signals_are_weak_or_expire() -> None:
    form = event("trial_started", data={"strength": 0.1, "expires_at": "2020-01-01"})
    assert (strength(form), expires_at(form)) == (1.0, None)
    assert engagement(seen(form), RULES, NOW) == 3000


@pytest.mark.parametrize("said", ["2026-03-04T09:00:00Z", "2026-03-04T10:00:00+01:00", "2026-03-04T09:00:00"])
def test_an_expired_signal_gives_nothing_and_the_moment_is_known(said: str) -> None:
    expiring = seen(signal(expires_at=said))
    end = NOW + 2 * DAY
    assert engagement(expiring, RULES, end - timedelta(seconds=1)) > 1200
    assert engagement(expiring, RULES, end) == 0
    assert reaches(expiring, RULES, 100, NOW) == end


def test_what_is_no_moment_never_expires() -> None:
    assert expires_at(signal(expires_at="soon")) is None


def test_a_company_lifts_its_people_up_to_its_own_cap_and_never_above_the_category() -> None:
    about = tuple(signal(0 * DAY, number=number) for number in range(5))
    assert engagement(seen(about_account=about), RULES, NOW) == 2000
    assert engagement(seen(event("trial_started"), about_account=about), RULES, NOW) == 4000
    assert engagement(seen(about_account=about), replace(RULES, categories=(replace(INTENT, account_cap=0),)), NOW) == 0
    assert account_kinds(RULES) == {"intent_signaled", "trial_started"}


def test_a_receipt_shows_what_takes_points_away_and_what_the_company_gave() -> None:
    about = (signal(5 * DAY, number=1), signal(0 * DAY, number=2))
    told = receipt(seen(event("replied"), event("unsubscribed"), signal(), about_account=about), RULES, NOW)
    intent, mail = told.categories
    assert [(entry.fresh, entry.shared) for entry in intent.entries] == [(1500, False), (1500, True), (1500, True)]
    assert intent.points == 1500 + 2000
    assert [entry.points for entry in mail.entries] == [1000, -2500]
    assert (mail.earned, mail.points) == (-1500, -1500)
    assert intent.points + mail.points == told.standing.engagement


SIGNALS = st.lists(
    st.builds(
        lambda age, length, share: signal(
            timedelta(hours=age),
            expires_at=moment(ticks(NOW) + length * 3_600_000_000).isoformat(),
            strength=share,
        ),
        st.integers(0, 2000),
        st.integers(-100, 2000),
        st.sampled_from([0.3, 1.0]),
    ),
    max_size=5,
)


@given(SIGNALS, SIGNALS, st.integers(1, 4000))
def test_when_signals_fall_below_a_number_is_exact(own: list[Event], about: list[Event], points: int) -> None:
    who = seen(*own, about_account=tuple(about))
    at = reaches(who, RULES, points, NOW)
    if engagement(who, RULES, NOW) < points:
        assert at is None
        return
    assert at is not None
    assert engagement(who, RULES, at) < points <= engagement(who, RULES, at - timedelta(microseconds=1))


@given(SIGNALS, SIGNALS)
def test_every_receipt_of_signals_adds_up(own: list[Event], about: list[Event]) -> None:
    told = receipt(seen(*own, about_account=tuple(about)), RULES, NOW)
    assert sum(line.points for line in told.categories) == told.standing.engagement
