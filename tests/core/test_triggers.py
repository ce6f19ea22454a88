from dataclasses import replace

import pytest

from nurture.core.conditions import Compare, Op
from nurture.core.effects import Enroll
from nurture.core.model import Enrollment, Event, Situation, Suppressed
from nurture.core.sequence import Audience, Reentry, Sequence, Step, Trigger
from nurture.core.triggers import TRIGGERS, NotEnrolled, matching, may_enroll, say_trigger
from nurture.core.words import EnrollmentState, Role, Scope, Voice
from tests.core.scored import (
    DAY,
    ENTERS_NURTURE,
    INTRODUCTION,
    NOW,
    SCORED,
    WELCOME,
    at_least,
    days,
    event,
    is_,
    person,
    run,
    sequence,
    situation,
)

ENTERED = event("stage_entered", data={"stage": "lead"})
FORM = event("form_submitted", data={"form": "pricing"})
SUPPRESSED = Suppressed(Scope.MARKETING, "unsubscribed", NOW - 2 * DAY)


def on(kind: str, **params: object) -> Trigger:
    return Trigger("event", {"kind": kind, **params})


def answers(seen: Situation, *sequences: Sequence) -> list[Enroll | NotEnrolled]:
    return list(matching(seen, seen.events, sequences, SCORED, NOW))


def enrolls(seen: Situation, wanted: Sequence) -> bool:
    return any(isinstance(answer, Enroll) for answer in answers(seen, wanted))


# --- what asks --------------------------------------------------------------------------------------------------------


def test_entering_a_stage_of_the_role_enrolls() -> None:
    assert answers(situation(ENTERED), WELCOME) == [Enroll("lead-welcome", 1, "entered stage lead")]


def test_becoming_known_is_entering_the_first_stage() -> None:
    assert enrolls(situation(event("created")), WELCOME)


def test_nothing_new_enrolls_nobody() -> None:
    assert answers(situation(), WELCOME) == []
    assert answers(situation(FORM), WELCOME) == []


def test_a_stage_that_was_left_again_enrolls_nobody() -> None:
    passed_through = situation(event("stage_entered", data={"stage": "lead"}), contact=person("prospect"))
    assert answers(passed_through, WELCOME, INTRODUCTION) == []


@pytest.mark.parametrize(
    ("params", "matches"),
    [
        ({}, True),
        ({"stage": "lead"}, True),
        ({"stage": ("prospect", "lead")}, True),
        ({"stage": "prospect"}, False),
        ({"role": "nurture"}, True),
        ({"role": ("engage",)}, False),
        ({"role": "nurture", "stage": "customer"}, False),
    ],
)
def test_a_stage_may_be_named_by_role_or_name(params: dict[str, object], matches: bool) -> None:
    assert enrolls(situation(ENTERED), sequence("s", Trigger("stage_entered", params))) is matches


@pytest.mark.parametrize(
    ("params", "matches"),
    [
        ({}, True),
        ({"where": {"form": "pricing"}}, True),
        ({"where": {"form": ["demo", "pricing"]}}, True),
        ({"where": {"form": "demo"}}, False),
        ({"where": {"page": "pricing"}}, False),
        ({"where": is_("account.industry", "software")}, True),
        ({"where": is_("account.industry", "mining")}, False),
    ],
)
def test_an_event_may_be_narrowed_by_its_data_or_by_the_contact(params: dict[str, object], matches: bool) -> None:
    assert enrolls(situation(FORM), sequence("s", on("form_submitted", **params))) is matches


def test_another_kind_of_event_enrolls_nobody() -> None:
    assert not enrolls(situation(FORM), sequence("s", on("demo_requested")))


def test_what_a_machine_probably_did_enrolls_nobody() -> None:
    click = sequence("s", on("clicked"))
    assert not enrolls(situation(event("clicked", trust=0.2)), click)
    assert enrolls(situation(event("clicked", trust=0.9)), click)


def test_manual_waits_for_a_person() -> None:
    assert not enrolls(situation(ENTERED, FORM), sequence("s", Trigger("manual")))


def test_one_answer_for_each_sequence_however_much_happened() -> None:
    twice = sequence("s", on("form_submitted"), ENTERS_NURTURE)
    assert len(answers(situation(ENTERED, FORM), twice)) == 1


def test_higher_priority_comes_first_then_the_name() -> None:
    named = [sequence(name, on("form_submitted"), priority=p) for name, p in (("b", 50), ("a", 50), ("z", 90))]
    assert [answer.sequence for answer in answers(situation(FORM), *named)] == ["z", "a", "b"]


def test_every_trigger_says_itself() -> None:
    assert set(TRIGGERS) == {"stage_entered", "segment_entered", "event", "manual"}
    assert say_trigger(ENTERS_NURTURE) == "the contact enters a stage (role: nurture)"
    narrowed = on("form_submitted", where=is_("country", "DE"))
    assert say_trigger(narrowed) == "the contact submitted a form (where: country is 'DE')"
    named = Trigger("event", {"kind": "webinar_watched", "where": {"room": ["one", "two"]}})
    assert say_trigger(named) == "webinar watched (where: room is one, two)"
    assert say_trigger(Trigger("manual")) == "somebody enrolls the contact by hand"


# --- who may enter ----------------------------------------------------------------------------------------------------


def why_not(seen: Situation, wanted: Sequence) -> str | None:
    answer = may_enroll(wanted, seen, SCORED, NOW)
    return answer.reason if isinstance(answer, NotEnrolled) else None


def test_by_hand_nothing_has_to_happen() -> None:
    assert may_enroll(WELCOME, situation(), SCORED, NOW) == Enroll("lead-welcome", 1, "by hand")


def test_a_sequence_that_is_not_live_takes_nobody() -> None:
    assert why_not(situation(), replace(WELCOME, live=False)) == "the sequence is not live"


def test_the_voice_of_the_stage_decides() -> None:
    reason = why_not(situation(), INTRODUCTION)
    assert reason == "the sequence speaks with the personal voice, stage lead with the marketing one"
    assert why_not(situation(contact=person("out")), WELCOME) is not None


@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        (Audience(), None),
        (Audience(frozenset({Role.NURTURE, Role.OUT})), None),
        (Audience(frozenset({Role.ENGAGE})), "the audience is engage, and the role of stage lead is nurture"),
        (Audience(stages=frozenset({"lead"})), None),
        (Audience(stages=frozenset({"prospect"})), "the audience is prospect, and the stage is lead"),
        (Audience(when=is_("account.industry", "software")), None),
        (Audience(when=at_least("account.employees", 999)), "the audience is who meets: employees is at least 999"),
    ],
)
def test_the_audience_decides(audience: Audience, reason: str | None) -> None:
    assert why_not(situation(), replace(WELCOME, audience=audience)) == reason


def test_without_an_address_nobody_enters_a_sequence_that_writes() -> None:
    nobody = situation(contact=person(email=None))
    calls = replace(WELCOME, steps=(Step("call", "task"),))
    assert why_not(nobody, WELCOME) == "the contact has no address"
    assert why_not(nobody, calls) is None


@pytest.mark.parametrize(
    ("scope", "voice", "allowed"),
    [
        (Scope.ALL, Voice.MARKETING, False),
        (Scope.ALL, Voice.PERSONAL, False),
        (Scope.MARKETING, Voice.MARKETING, False),
        (Scope.MARKETING, Voice.PERSONAL, False),
        (Scope.PERSONAL, Voice.MARKETING, True),
        (Scope.PERSONAL, Voice.PERSONAL, False),
    ],
)
def test_whoever_does_not_want_to_hear_from_us_is_not_enrolled(scope: Scope, voice: Voice, allowed: bool) -> None:
    stage, wanted = ("lead", WELCOME) if voice is Voice.MARKETING else ("prospect", INTRODUCTION)
    seen = situation(contact=person(stage), suppressions=(Suppressed(scope, "wish", NOW - DAY),))
    assert (why_not(seen, wanted) is None) is allowed


def test_whoever_left_marketing_and_then_wrote_to_us_may_hear_from_a_rep() -> None:
    prospect = person("prospect")
    before = situation(event("replied", NOW - 3 * DAY), contact=prospect, suppressions=(SUPPRESSED,))
    after = situation(event("replied", NOW - DAY), contact=prospect, suppressions=(SUPPRESSED,))
    visit = situation(event("page_viewed", NOW - DAY), contact=prospect, suppressions=(SUPPRESSED,))
    assert why_not(before, INTRODUCTION) is not None
    assert why_not(visit, INTRODUCTION) is not None
    assert why_not(after, INTRODUCTION) is None
    assert why_not(replace(after, contact=person()), WELCOME) is not None


ENDED = run(state=EnrollmentState.COMPLETED, ended_at=NOW - 20 * DAY)


@pytest.mark.parametrize(
    ("policy", "after", "runs", "reason"),
    [
        (Reentry.ONCE, None, (), None),
        (Reentry.ONCE, None, (ENDED,), "was in it before, and enters once"),
        (Reentry.ONCE, None, (replace(ENDED, sequence="other"),), None),
        (Reentry.IF_NOT_ACTIVE, None, (ENDED,), None),
        (Reentry.IF_NOT_ACTIVE, None, (ENDED, run(2)), "already in it"),
        (Reentry.ALWAYS, None, (ENDED,), None),
        (Reentry.ALWAYS, None, (replace(run(), state=EnrollmentState.PAUSED),), "already in it"),
        (Reentry.AFTER, days(20), (ENDED,), None),
        (Reentry.AFTER, days(21), (ENDED,), "was in it until 2026-02-10, and may enter again on 2026-03-03"),
    ],
)
def test_reentry(policy: Reentry, after: object, runs: tuple[Enrollment, ...], reason: str | None) -> None:
    wanted = replace(WELCOME, reentry=policy, reentry_after=after)
    assert why_not(situation(enrollments=runs), wanted) == reason


def test_runs_are_numbered_on() -> None:
    again = replace(WELCOME, reentry=Reentry.IF_NOT_ACTIVE)
    runs = (replace(ENDED, run=1), replace(ENDED, run=4), replace(ENDED, run=9, sequence="other"))
    answer = may_enroll(again, situation(enrollments=runs), SCORED, NOW)
    assert answer == Enroll("lead-welcome", 5, "by hand")


def test_an_unknown_fact_keeps_nobody_out_by_not_being_equal() -> None:
    audience = Audience(when=Compare("country", Op.NE, "FR"))
    assert why_not(situation(), replace(WELCOME, audience=audience)) is None


def test_only_the_new_events_ask() -> None:
    seen = situation(event("form_submitted", NOW - DAY), ENTERED)
    fresh: tuple[Event, ...] = (ENTERED,)
    assert matching(seen, fresh, [sequence("s", on("form_submitted"))], SCORED, NOW) == ()
