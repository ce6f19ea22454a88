"""Whoever speaks for a cohort says of each of it what planning and deciding it alone would have said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.core.cohorts import Spoken, cohorts
from nurture.core.decide import decide
from nurture.core.decision import Due, Send
from nurture.core.effects import Plan, PlanMessage
from nurture.core.model import Account, AccountId, Company, Contact, ContactId, Enrollment, EnrollmentId, VersionId
from nurture.core.schedule import schedule
from nurture.core.sequence import LatePolicy
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.spans import parse_span
from nurture.core.windows import ALWAYS_OPEN, Delay, Window
from nurture.core.words import EnrollmentState, MessageState
from tests.core.dues import CASES, RUN, due
from tests.core.running import (
    COMPANY,
    LIFECYCLE,
    NOW,
    REPLY,
    SENDER,
    brief,
    contact,
    email,
    enrollment,
    happened,
    sequence,
    situation,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SPRING = datetime(2026, 3, 28, 0, 30, tzinfo=UTC)
"""The night before clocks go forward in Europe."""

ZONES = st.sampled_from([None, "Europe/Berlin", "Asia/Tokyo", "Nowhere/Land"])
COUNTRIES = st.sampled_from([None, "DE", "US", "XX"])
ACCOUNTS = st.none() | st.builds(Account, st.just(AccountId(1)), time_zone=ZONES, country=COUNTRIES)
CONTACTS = st.builds(
    Contact,
    st.just(ContactId(0)),
    st.sampled_from(["lead", "lead", "prospect"]),
    st.just(NOW),
    email=st.sampled_from(["ann@leads.example", "ann@leads.example", "", None]),
    time_zone=ZONES,
    country=COUNTRIES,
    account=ACCOUNTS,
    address_hash=st.sampled_from(["one", "one", "", None]),
)
RUNS = st.builds(
    enrollment,
    state=st.sampled_from([EnrollmentState.ACTIVE, EnrollmentState.WAITING]),
    step_id=st.sampled_from(["hello", "hello", "more"]),
    waiting_for=st.sampled_from([None, "time"]),
    entered_at=st.sampled_from([NOW, NOW - DAY]),
    base_at=st.sampled_from([NOW, SPRING]),
    occurrence=st.integers(0, 1),
    failures=st.integers(0, 1),
)
WINDOWS = st.sampled_from([ALWAYS_OPEN, Window(spread=0), Window(opens=time(22), closes=time(3), spread=0), Window()])
STEPS = {
    "late": st.sampled_from(LatePolicy),
    "late_after": st.sampled_from([None, "3 hours", "1 day", "2 business days"]).map(
        lambda t: parse_span(t) if t else t
    ),
    "delay": st.sampled_from(
        [Delay(), Delay(parse_span("1 business day")), Delay(parse_span("1 day"), time(2, 30)), Delay(weekday=3)]
    ),
    "content": st.sampled_from([None, "educational", "offer"]),
}


@st.composite
def versions(draw: st.DrawFn) -> Sequenced:
    first, second = (draw(st.fixed_dictionaries(STEPS)) for _ in range(2))
    exits = (REPLY,) if draw(st.booleans()) else ()
    return sequence(email("hello", "more", **first), email("more", **second), window=draw(WINDOWS), exits=exits)


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[Enrollment], dict[ContactId, Contact]]:
    """Runs of a few kinds with contacts of a few kinds, so that many stand alike; some contacts have two runs."""
    kinds = draw(st.lists(RUNS, min_size=1, max_size=2)), draw(st.lists(CONTACTS, min_size=1, max_size=3))
    people = {ContactId(key): _person(key, draw(st.sampled_from(kinds[1]))) for key in range(1, 5)}
    runs = [
        replace(draw(st.sampled_from(kinds[0])), id=EnrollmentId(100 + number), contact_id=ContactId(number % 4 + 1))
        for number in range(draw(st.integers(2, 6)))
    ]
    return runs, people


def _person(key: int, kind: Contact) -> Contact:
    """Return somebody of a kind, with a name, an address and fields of their own."""
    own: dict[str, Any] = {"first_name": f"Ann{key}", "fields": {"number": key}, "stage_since": NOW - key * DAY}
    own |= {name: f"{value}{key}" for name in ("email", "address_hash") if (value := getattr(kind, name))}
    return replace(kind, id=ContactId(key), **own)


LATER = st.integers(0, 60).map(lambda hours: hours * HOUR) | st.sampled_from([SPRING - NOW + DAY, 30 * DAY])
COMPANIES = st.sampled_from([COMPANY, replace(COMPANY, time_zone="America/New_York")])


def planned(run: Enrollment, of: Contact, version: Sequenced, company: Company, now: datetime) -> Plan:
    return schedule(version, run, situation(contact=of), LIFECYCLE, company, now)


def due_of(plan: Plan, of: Contact, version: Sequenced, company: Company, now: datetime) -> Due:
    """Return the message that a plan asks for as the gates see it, of a contact about whom nothing is known."""
    (action,) = plan.actions
    assert isinstance(action, PlanMessage)
    run = plan.enrollment
    return Due(
        brief(state=MessageState.READY, enrollment_id=run.id, step_id=action.step_id, due_at=action.due_at),
        situation(contact=of, enrollments=(run,), events=(happened("replied", run.entered_at - DAY),) * (run.id % 2)),
        LIFECYCLE,
        company,
        SENDER,
        version,
        version.step(action.step_id),
        action.not_after,
        drafted_at=now,
        slot_at=action.due_at,
    )


def test_what_the_speaker_says_holds_for_each_of_its_cohort() -> None:
    met: Counter[str] = Counter()

    @settings(max_examples=150, derandomize=True, database=None)
    @given(pages(), versions(), COMPANIES, LATER)
    def alike(
        page: tuple[list[Enrollment], dict[ContactId, Contact]], version: Sequenced, company: Company, later: timedelta
    ) -> None:
        runs, people = page
        now = NOW + later
        for cohort in cohorts(runs, people, (), {VersionId(1): version}, company):
            slot = planned(cohort[0], people[cohort[0].contact_id], version, company, now).due_at or now
            for moment in (now, slot, slot + 10 * MINUTE):
                met[holds_for_all(cohort, people, version, company, moment)] += len(cohort) > 1

    alike()
    assert min(met["sent"], met["nothing"], met["Hold"] + met["Skip"] + met["Cancel"]) >= 20, met


def holds_for_all(
    cohort: Sequence[Enrollment],
    people: Mapping[ContactId, Contact],
    version: Sequenced,
    company: Company,
    now: datetime,
) -> str:
    """Compare what is said of each of a cohort with what is said of the first; return what that was.

    Where nothing may be sent nobody speaks: each is asked on the plain way, and has a share of its own of any spread.
    """
    plans = [planned(run, people[run.contact_id], version, company, now) for run in cohort]
    speaker = plans[0]
    for run, plan in zip(cohort, plans, strict=True):
        its = replace(speaker.enrollment, id=run.id, contact_id=run.contact_id)
        assert plan == replace(speaker, enrollment=its)
    if not speaker.actions:
        return "nothing"
    assert len({(bool(people[run.contact_id].email), bool(people[run.contact_id].address_hash)) for run in cohort}) == 1
    answers = [decide(due_of(plan, people[plan.enrollment.contact_id], version, company, now), now) for plan in plans]
    if not isinstance(answers[0], Send):
        assert not any(isinstance(answer, Send) for answer in answers)
        return type(answers[0]).__name__
    said = Spoken(answers[0])
    for run, answer in zip(cohort, answers, strict=True):
        assert isinstance(answer, Send)
        checks = said.checks(run)
        assert checks == answer.checks
        assert all(one.reading is other.reading for one, other in zip(checks, answer.checks, strict=True))
    return "sent"


def test_of_the_launch_cap_each_is_told_what_was_left_for_it() -> None:
    said = decide(due(budget=5), NOW)
    assert isinstance(said, Send)
    for left in (5, 4):
        assert Spoken(said).checks(RUN, left) == decide(due(budget=left), NOW).checks


# --- who stands apart -------------------------------------------------------------------------------------------------


OTHER: dict[str, Any] = {
    "sequence": "farewell",
    "version_id": VersionId(2),
    "run": 2,
    "state": EnrollmentState.WAITING,
    "entered_at": NOW - DAY,
    "base_at": NOW - DAY,
    "step_id": "more",
    "occurrence": 1,
    "waiting_for": "time",
    "reason": "told",
    "disposition": "told",
    "ended_at": NOW,
    "paused_until": NOW,
    "sender_id": 2,
    "failures": 1,
}
VERSION = sequence(email("hello", "more"), email("more"))
VERSIONS = {VersionId(number): VERSION for number in (1, 2)}
FIRST = enrollment(step_id="hello", state=EnrollmentState.ACTIVE)
ANN = contact(address_hash="one")


def together(second: Enrollment, them: Contact, *, apart: tuple[int, ...] = (), versions: Any = VERSIONS) -> bool:
    """Say whether a run stands alike with the first one."""
    second, them = replace(second, id=EnrollmentId(2), contact_id=ContactId(2)), replace(them, id=ContactId(2))
    people = {ContactId(1): ANN, ContactId(2): them}
    found = cohorts([FIRST, second], people, [ContactId(key) for key in apart], versions, COMPANY)
    return found == [[FIRST, second]]


def test_runs_stand_alike_that_differ_in_whose_they_are_alone() -> None:
    assert together(FIRST, ANN)
    named = {"first_name": "Bob", "fields": {"plan": "pro"}, "stage_since": NOW - DAY, "time_zone": "Nowhere/Land"}
    assert together(FIRST, replace(ANN, email="bob@leads.example", address_hash="other", **named))


@pytest.mark.parametrize("name", [field.name for field in fields(Enrollment) if field.name not in ("id", "contact_id")])
def test_runs_that_differ_in_anything_else_do_not_stand_alike(name: str) -> None:
    assert not together(replace(FIRST, **{name: OTHER[name]}), ANN)


@pytest.mark.parametrize(
    "values",
    [
        {"stage": "prospect"},
        {"time_zone": "Asia/Tokyo"},
        {"time_zone": "UTC"},
        {"country": "JP"},
        {"account": Account(AccountId(1), country="JP")},
        {"email": None},
        {"email": ""},
        {"address_hash": None},
        {"address_hash": ""},
    ],
    ids=str,
)
def test_contacts_of_whom_gates_read_something_else_do_not_stand_alike(values: dict[str, Any]) -> None:
    assert not together(FIRST, replace(ANN, **values))


def test_contacts_apart_and_mail_that_is_spread_stand_alone() -> None:
    assert not together(FIRST, ANN, apart=(1,))
    assert not together(FIRST, ANN, apart=(2,))
    assert not together(FIRST, ANN, apart=(1, 2))
    spread = {VersionId(1): replace(VERSION, window=Window(spread=1))}
    assert not together(FIRST, ANN, versions=spread)


@settings(max_examples=30, derandomize=True, database=None)
@given(pages(), st.sets(st.integers(1, 4)), versions())
def test_each_run_has_one_cohort_and_its_place_is_kept(
    page: tuple[list[Enrollment], dict[ContactId, Contact]], apart: set[int], version: Sequenced
) -> None:
    runs, people = page
    found = cohorts(runs, people, {ContactId(key) for key in apart}, {VersionId(1): version}, COMPANY)
    places = [[runs.index(run) for run in cohort] for cohort in found]
    assert sorted(place for cohort in places for place in cohort) == list(range(len(runs)))
    assert all(cohort == sorted(cohort) for cohort in places)
    assert places == sorted(places)
    assert all(len(cohort) == 1 for cohort in found if cohort[0].contact_id in apart)


# --- what is read -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _watched(kind: type[Any]) -> type[Any]:
    names = frozenset(field.name for field in fields(kind))

    class Watched(kind):  # type: ignore[misc]
        """A value that says which of its fields are read."""

        __slots__ = ("seen",)

        def __getattribute__(self, name: str) -> Any:
            if name in names:
                object.__getattribute__(self, "seen").add(f"{kind.__name__}.{name}")
            return super().__getattribute__(name)

    return Watched


def watched(value: Any, seen: set[str], **changes: Any) -> Any:
    """Return a value that adds to `seen` which of its fields are read."""
    spy = object.__new__(_watched(type(value)))
    object.__setattr__(spy, "seen", seen)
    for field in fields(value):
        object.__setattr__(spy, field.name, changes.get(field.name, getattr(value, field.name)))
    return spy


def watched_contact(of: Contact, seen: set[str]) -> Any:
    return watched(of, seen, account=watched(of.account, seen) if of.account else None)


def known_of(of: Contact, company: Company) -> set[str]:
    """Return what cohorts are told apart by of a contact and its account."""
    seen: set[str] = set()
    cohorts([FIRST], {FIRST.contact_id: watched_contact(of, seen)}, (), VERSIONS, company)
    return seen


PARTS = {"Situation.contact", "Situation.enrollments", "Situation.events", "Situation.suppressions"}
"""What gates may read of somebody of whom no wish is known: whoever has events or suppressions stands apart."""

OF_A_RUN = {f"Enrollment.{field.name}" for field in fields(Enrollment)} - {"Enrollment.contact_id"}
"""What gates may read of a run: all by which cohorts are told apart, and its id, which is said of each."""


@settings(max_examples=150, derandomize=True, database=None)
@given(CASES, st.none() | CONTACTS)
def test_gates_read_nothing_by_which_cohorts_are_not_told_apart(case: tuple[Due, datetime], of: Contact | None) -> None:
    due, now = case
    of = of or due.situation.contact
    seen: set[str] = set()
    runs = tuple(watched(run, seen) for run in due.situation.enrollments)
    spied = watched(due.situation, seen, contact=watched_contact(of, seen), enrollments=runs)
    try:
        decide(replace(due, situation=spied), now)
    except KeyError:  # a stage that the lifecycle does not have
        pass
    wishes = {"Situation.messages"} if due.situation.suppressions else set()
    assert seen <= known_of(of, due.company) | PARTS | OF_A_RUN | wishes


@settings(max_examples=60, derandomize=True, database=None)
@given(RUNS, CONTACTS, versions(), LATER)
def test_steps_of_mail_read_nothing_by_which_cohorts_are_not_told_apart(
    run: Enrollment, of: Contact, version: Sequenced, later: timedelta
) -> None:
    seen: set[str] = set()
    spied = watched(situation(), seen, contact=watched_contact(of, seen))
    schedule(version, run, spied, LIFECYCLE, COMPANY, NOW + later)
    assert seen - {"Situation.contact"} <= known_of(of, COMPANY)
