"""Who gets a handoff: rules in order, fair rounds, nobody over their capacity, and the reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import Compare, Op
from nurture.core.handoff import EVERYONE, By, Handoff, Rule, Territory
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Account, AccountId, Contact, ContactId, Rep, RepId, Situation
from nurture.core.routing import Candidate, Desk, Elsewhere, route
from nurture.core.working import WorkingCalendar

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIFECYCLE = Lifecycle("test", (), start="lead", file="lifecycle.yaml")
ACME = Account(AccountId(1), "Acme", country="Germany", industry="Retail")


def rep(key: int, name: str = "") -> Rep:
    return Rep(RepId(key), name or f"Rep {key}", f"r{key}@sales.example")


def candidate(key: int, **values: object) -> Candidate:
    return Candidate(rep(key), WorkingCalendar("UTC"), **values)  # type: ignore[arg-type]


def person(key: int = 1, **values: object) -> Situation:
    return Situation(Contact(ContactId(key), "prospect", NOW, **values))  # type: ignore[arg-type]


def rules(*routes: Rule, **values: object) -> Handoff:
    return Handoff(rules=routes, **values)  # type: ignore[arg-type]


ROUND = rules(Rule(By.ROUND_ROBIN, EVERYONE, line=7))
THREE = Desk((candidate(1), candidate(2), candidate(3)))


@pytest.mark.parametrize(
    ("who", "asked", "gets", "reason"),
    [
        (person(owner=rep(2)), rules(Rule(By.CONTACT_OWNER)), 2, "owns the contact"),
        (person(account=replace(ACME, owner_id=RepId(3))), rules(Rule(By.ACCOUNT_OWNER)), 3, "owns the account"),
        (person(), rules(Rule(By.CONTACT_OWNER), Rule(By.ROUND_ROBIN, EVERYONE)), 1, "whose turn it is"),
        (
            person(country="DE"),
            rules(Rule(By.TERRITORY, "dach", Compare("country", Op.EQ, "DE")), pools={"dach": ("r3@sales.example",)}),
            3,
            "whose territory it is",
        ),
        (person(), rules(Rule(By.ROUND_ROBIN, "south"), pools={"south": ("r2@sales.example",)}), 2, "whose turn it is"),
        (person(), rules(), None, "no routing rule applies"),
    ],
    ids=["contact-owner", "account-owner", "next-rule", "territory", "pool", "nothing"],
)
def test_the_first_rule_that_finds_somebody_decides(
    who: Situation, asked: Handoff, gets: int | None, reason: str
) -> None:
    routed = route(who, asked, THREE, LIFECYCLE, NOW)
    assert (routed.rep.id if routed.rep else None, routed.reason) == (gets, reason)


@pytest.mark.parametrize(("country", "account"), [("Germany", None), ("de", None), (None, ACME)])
def test_reps_have_the_territory_that_they_say_however_it_is_written(
    country: str | None, account: Account | None
) -> None:
    desk = Desk((candidate(1, territory=("US",)), candidate(2, territory=("AT", "DE"))))
    asked = rules(Rule(By.TERRITORY, own=Territory.COUNTRY, line=4))
    routed = route(person(country=country, account=account), asked, desk, LIFECYCLE, NOW)
    assert routed.rep == rep(2)
    assert (routed.reason, routed.rule) == ("whose territory is DE", "lifecycle.yaml:4")


def test_territories_may_be_industries() -> None:
    desk = Desk((candidate(1, territory=("retail",)), candidate(2)))
    asked = rules(Rule(By.TERRITORY, own=Territory.INDUSTRY))
    assert route(person(account=ACME), asked, desk, LIFECYCLE, NOW).rep == rep(1)
    assert route(person(), asked, desk, LIFECYCLE, NOW).rep is None


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (candidate(1, open=3, most_open=3), "has 3 open handoffs, at most 3"),
        (candidate(1, today=2, per_day=2), "got 2 handoffs today, at most 2"),
        (candidate(1, has_mailbox=False), "has no mailbox to write from: nurture reps add --email r1@sales.example"),
        (
            Candidate(rep(1), WorkingCalendar("UTC", time_off=frozenset({date(2026, 3, 2)}))),
            "is away until 2026-03-03",
        ),
        (Candidate(rep(1), WorkingCalendar("UTC", hours=())), "has no working hours"),
    ],
    ids=["open", "today", "mailbox", "away", "never"],
)
def test_who_cannot_take_it_is_passed_over_with_the_reason(held: Candidate, why: str) -> None:
    routed = route(person(), ROUND, Desk((held, candidate(2))), LIFECYCLE, NOW)
    assert (routed.rep, routed.skipped) == (rep(2), (f"Rep 1: {why}",))
    alone = route(person(), ROUND, Desk((held,)), LIFECYCLE, NOW)
    assert (alone.rep, alone.reason) == (None, "no rep is free")


def test_the_fallback_takes_what_nobody_else_can_but_not_while_away() -> None:
    asked = rules(Rule(By.ROUND_ROBIN, EVERYONE), fallback="r1@sales.example")
    full = candidate(1, open=9, most_open=1)
    assert route(person(), asked, Desk((full,)), LIFECYCLE, NOW).reason == "gets what nobody else can take"
    away = replace(full, calendar=WorkingCalendar("UTC", time_off=frozenset({date(2026, 3, 2)})))
    assert route(person(), asked, Desk((away,)), LIFECYCLE, NOW).rep is None


def test_who_let_it_lie_does_not_get_it_again() -> None:
    assert route(person(), ROUND, THREE, LIFECYCLE, NOW, had=[1, 2]).rep == rep(3)
    assert route(person(owner=rep(1)), rules(Rule(By.CONTACT_OWNER)), THREE, LIFECYCLE, NOW, had=[1]).rep is None


def test_conflicts_are_named() -> None:
    account = replace(ACME, owner_id=RepId(3))
    desk = replace(
        THREE,
        elsewhere=(
            Elsewhere(ContactId(8), account.id, "Bob Chan", RepId(2)),
            Elsewhere(ContactId(9), account.id, "ann bell", None),
        ),
    )
    who = person(owner=rep(9, "Gone Girl"), account=account, first_name="Ann", last_name="Bell")
    assert route(who, ROUND, desk, LIFECYCLE, NOW).conflicts == (
        "the contact is owned by Gone Girl",
        "the account is owned by Rep 3",
        "ann bell is open already, as contact 9, with nobody yet",
        "Bob Chan of the same account is open with Rep 2",
    )


# --- properties -------------------------------------------------------------------------------------------------------

limits = st.one_of(st.none(), st.integers(0, 5))
desks = st.lists(st.tuples(st.integers(0, 3), limits, limits), min_size=1, max_size=5).map(
    lambda team: Desk(
        tuple(
            candidate(key, open=already, most_open=most, per_day=daily)
            for key, (already, most, daily) in enumerate(team, 1)
        )
    )
)


@given(desks, st.integers(1, 25))
def test_nobody_gets_more_than_they_can_take(desk: Desk, number: int) -> None:
    before = {each.rep.id: each for each in desk.candidates}
    got: Counter[int] = Counter()
    waiting = 0
    for key in range(number):
        routed = route(person(key), ROUND, desk, LIFECYCLE, NOW)
        desk = desk.after(routed, person(key))
        if routed.rep:
            got[routed.rep.id] += 1
            assert not waiting, "somebody waits although a rep is free"
        waiting += routed.rep is None
    for key, times in got.items():
        held = before[RepId(key)]
        assert held.most_open is None or held.open + times <= held.most_open
        assert held.per_day is None or times <= held.per_day


@given(st.integers(1, 6), st.integers(1, 30), st.integers(0, 6))
def test_rounds_are_fair_wherever_they_begin(reps: int, number: int, last: int) -> None:
    desk = Desk(tuple(candidate(key) for key in range(1, reps + 1)), {EVERYONE: RepId(last)})
    got: Counter[int] = Counter(dict.fromkeys(range(1, reps + 1), 0))
    for key in range(number):
        routed = route(person(key), ROUND, desk, LIFECYCLE, NOW)
        assert routed.rep is not None
        got[routed.rep.id] += 1
        desk = desk.after(routed, person(key))
    assert max(got.values()) - min(got.values()) <= 1
