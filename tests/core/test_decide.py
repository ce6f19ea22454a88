from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings

from nurture.core.decide import Cancel, Decision, Due, Hold, Send, Skip, decide
from nurture.core.gates import GATES
from nurture.core.model import Suppressed
from nurture.core.sequence import LatePolicy
from nurture.core.spans import parse_span
from nurture.core.words import EnrollmentState, MessageState, Scope, Voice
from tests.core import plain_gates
from tests.core.dues import CASES, DAY, HOUR, MINUTE, OFFICE, PERSONAL, RUN, STEP, due, in_situation, personal
from tests.core.running import (
    NOW,
    SENDER,
    brief,
    contact,
    email,
    happened,
    sequence,
)

NAMES = [name for name, _ in GATES]


def decided_by(decision: Decision) -> str:
    return decision.checks[-1].gate


def test_a_message_that_passes_every_gate_is_sent() -> None:
    for passing in (due(), personal()):
        decision = decide(passing, NOW)
        assert isinstance(decision, Send)
        assert [check.gate for check in decision.checks] == NAMES
        assert all(check.passed for check in decision.checks)


# --- program, sender, unsubscribe, caps -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "gate"),
    [
        ({"sending_paused": "an operator said so"}, "program"),
        ({"sequence_live": False}, "program"),
        ({"sender": replace(SENDER, paused_reason="401 from the provider")}, "sender"),
        ({"unsubscribe_ready": "no public URL"}, "unsubscribe"),
        ({"budget": 0}, "caps"),
    ],
)
def test_what_is_switched_off_or_used_up_holds(values: dict[str, Any], gate: str) -> None:
    decision = decide(due(**values), NOW)
    assert isinstance(decision, Hold)
    assert decided_by(decision) == gate
    assert decision.until > NOW


def test_the_launch_cap_holds_until_the_next_day_in_utc() -> None:
    decision = decide(due(budget=0), NOW)
    assert isinstance(decision, Hold)
    assert (decision.until.date(), decision.until.hour) == ((NOW + DAY).date(), 0)


def test_switching_on_again_is_no_burst() -> None:
    untils = set()
    for number in range(50):
        paused = due(sending_paused="stop", message=brief(enrollment_id=number + 1))
        decision = decide(paused, NOW)
        assert isinstance(decision, Hold)
        untils.add(decision.until)
    assert len(untils) > 40


def test_personal_mail_needs_no_unsubscribe_endpoint() -> None:
    assert isinstance(decide(personal(unsubscribe_ready="no public URL"), NOW), Send)


# --- consent ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "marketing_goes", "personal_goes"),
    [(Scope.ALL, False, False), (Scope.MARKETING, False, True), (Scope.PERSONAL, True, False)],
)
def test_suppressions_forbid_within_their_scope(scope: Scope, marketing_goes: bool, personal_goes: bool) -> None:
    suppressed = (Suppressed(scope, "they asked", NOW - DAY),)
    begun = (brief(**PERSONAL, state=MessageState.ACCEPTED, step_id="before", sent_at=NOW - 2 * DAY),)
    one_way = decide(in_situation(due(), suppressions=suppressed), NOW)
    two_way = decide(in_situation(personal(), suppressions=suppressed, messages=begun), NOW)
    assert isinstance(one_way, Send if marketing_goes else Cancel)
    assert isinstance(two_way, Send if personal_goes else Cancel)


def test_leaving_marketing_forbids_a_personal_sequence_to_begin() -> None:
    left = in_situation(personal(), suppressions=(Suppressed(Scope.MARKETING, "unsubscribed", NOW - DAY),))
    decision = decide(left, NOW)
    assert isinstance(decision, Cancel)
    assert decided_by(decision) == "consent"


@pytest.mark.parametrize(
    ("kind", "at", "trust", "goes"),
    [
        ("form_submitted", NOW - HOUR, 1.0, True),
        ("meeting_booked", NOW - HOUR, 1.0, True),
        ("form_submitted", NOW - 2 * DAY, 1.0, False),
        ("form_submitted", NOW - HOUR, 0.1, False),
        ("clicked", NOW - HOUR, 1.0, False),
        ("auto_replied", NOW - HOUR, 1.0, False),
    ],
)
def test_a_later_word_from_the_contact_lets_it_begin(kind: str, at: Any, trust: float, goes: bool) -> None:
    left = in_situation(
        personal(),
        suppressions=(Suppressed(Scope.MARKETING, "unsubscribed", NOW - DAY),),
        events=(happened(kind, at, trust=trust),),
    )
    assert isinstance(decide(left, NOW), Send if goes else Cancel)


def test_nobody_without_an_address_is_written_to() -> None:
    assert isinstance(decide(in_situation(due(), contact=contact(email=None)), NOW), Cancel)


# --- stage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["prospect", "lost", "no such stage"])
def test_a_stage_of_another_voice_cancels(stage: str) -> None:
    decision = decide(in_situation(due(), contact=contact(stage=stage)), NOW)
    assert isinstance(decision, Cancel)
    assert decided_by(decision) == "stage"


def test_content_that_the_stage_does_not_allow_is_skipped() -> None:
    decision = decide(due(step=replace(STEP, content="offer")), NOW)
    assert isinstance(decision, Skip)
    assert decided_by(decision) == "stage"


def test_a_stage_without_a_list_allows_every_content() -> None:
    assert isinstance(decide(personal(step=email("hello", content="offer")), NOW), Send)


# --- the run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [EnrollmentState.COMPLETED, EnrollmentState.EXITED, EnrollmentState.FAILED])
def test_mail_of_a_run_that_is_over_is_cancelled(state: EnrollmentState) -> None:
    assert isinstance(decide(in_situation(due(), enrollments=(replace(RUN, state=state),)), NOW), Cancel)


def test_mail_of_a_run_that_is_gone_is_cancelled() -> None:
    assert isinstance(decide(in_situation(due(), enrollments=()), NOW), Cancel)


@pytest.mark.parametrize(("until", "expected"), [(NOW + 3 * DAY, NOW + 3 * DAY), (None, NOW + DAY)])
def test_mail_of_a_paused_run_waits_as_long_as_the_run(until: Any, expected: Any) -> None:
    paused = replace(RUN, state=EnrollmentState.PAUSED, paused_until=until)
    decision = decide(in_situation(due(), enrollments=(paused,)), NOW)
    assert isinstance(decision, Hold)
    assert decision.until == expected


def test_mail_of_a_step_that_the_run_has_left_is_skipped() -> None:
    assert isinstance(decide(in_situation(due(), enrollments=(replace(RUN, step_id="next"),)), NOW), Skip)


def test_a_message_without_a_run_passes() -> None:
    alone = personal(message=brief(**PERSONAL, enrollment_id=None, step_id=None), sequence=None, step=None)
    assert isinstance(decide(in_situation(alone, enrollments=()), NOW), Send)


# --- replies and approvals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [due(), personal()])
def test_a_reply_since_the_run_began_cancels(message: Due) -> None:
    decision = decide(in_situation(message, events=(happened("replied", NOW - HOUR),)), NOW)
    assert isinstance(decision, Cancel)
    assert decided_by(decision) == "reply"


@pytest.mark.parametrize(("kind", "at"), [("auto_replied", NOW - HOUR), ("replied", NOW - 2 * DAY)])
def test_automatic_and_earlier_replies_cancel_nothing(kind: str, at: Any) -> None:
    assert isinstance(decide(in_situation(due(), events=(happened(kind, at),)), NOW), Send)


def test_a_run_that_goes_on_after_replies_asks_its_rep_again() -> None:
    going_on = personal(sequence=sequence(email("hello"), voice=Voice.PERSONAL), approved_at=NOW - 2 * HOUR)
    replied = in_situation(going_on, events=(happened("replied", NOW - HOUR),))
    decision = decide(replied, NOW)
    assert isinstance(decision, Hold)
    assert decided_by(decision) == "approval"
    assert isinstance(decide(replace(replied, approved_at=NOW), NOW), Send)


@pytest.mark.parametrize("approved", [None, False])
def test_personal_mail_without_an_approval_waits(approved: bool | None) -> None:
    decision = decide(personal(approved=approved, approved_at=None), NOW)
    assert isinstance(decision, Hold)
    assert decided_by(decision) == "approval"


def test_what_the_rep_wrote_by_hand_voids_the_approval() -> None:
    wrote = in_situation(personal(approved_at=NOW - 2 * HOUR), events=(happened("rep_wrote", NOW - HOUR),))
    assert isinstance(decide(wrote, NOW), Hold)


@pytest.mark.parametrize(("policy", "answer"), [("exit", Cancel), ("advance", Skip)])
def test_a_draft_that_expired_unapproved_follows_its_step(policy: str, answer: type[Decision]) -> None:
    expired = personal(approved=False, approved_at=None, not_after=NOW, step=email("hello", on_rejected=policy))
    assert isinstance(decide(expired, NOW), answer)


def test_an_unapproved_draft_is_looked_at_when_it_expires() -> None:
    decision = decide(personal(approved=False, approved_at=None, not_after=NOW + HOUR), NOW)
    assert isinstance(decision, Hold)
    assert decision.until == NOW + HOUR


# --- window and lateness ----------------------------------------------------------------------------------------------


def test_outside_the_window_it_waits_for_the_contacts_morning() -> None:
    tokyo = in_situation(due(sequence=OFFICE), contact=contact(time_zone="Asia/Tokyo"))
    decision = decide(tokyo, NOW)  # 18:00 in Tokyo
    assert isinstance(decision, Hold)
    assert decided_by(decision) == "window"
    assert decision.checks[-1].inputs["zone_from"] == "contact"
    assert NOW + 15 * HOUR <= decision.until < NOW + 15.5 * HOUR
    assert isinstance(decide(replace(tokyo, slot_at=decision.until), decision.until), Send)


def test_what_was_left_lying_gets_a_new_slot_and_then_goes() -> None:
    late = due(sequence=OFFICE, slot_at=NOW)
    now = NOW + 3 * HOUR
    decision = decide(late, now)
    assert isinstance(decision, Hold)
    assert decided_by(decision) == "lateness"
    assert now <= decision.until < now + HOUR
    assert isinstance(decide(replace(late, slot_at=decision.until), decision.until), Send)


def test_mail_that_was_held_is_not_left_lying() -> None:
    assert isinstance(decide(due(sequence=OFFICE, slot_at=NOW + 3 * HOUR), NOW + 3 * HOUR), Send)


def test_mail_that_was_approved_late_goes_at_once() -> None:
    late = personal(approved_at=NOW + 3 * HOUR, slot_at=NOW)
    assert isinstance(decide(late, NOW + 3 * HOUR), Send)


def test_expired_mail_is_skipped() -> None:
    decision = decide(due(not_after=NOW), NOW)
    assert isinstance(decision, Skip)
    assert decided_by(decision) == "lateness"


def test_mail_later_than_its_step_allows_is_skipped() -> None:
    step = email("hello", late=LatePolicy.SKIP, late_after=parse_span("1 hour"))
    assert isinstance(decide(due(step=step, slot_at=NOW + 2 * HOUR), NOW + 2 * HOUR), Skip)


# --- every decision ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(CASES)
def test_every_decision_names_its_gates_in_order_up_to_the_one_that_decided(case: tuple[Due, datetime]) -> None:
    due_then, now = case
    decision = decide(due_then, now)
    gates = [check.gate for check in decision.checks]
    assert gates == NAMES[: len(gates)]
    assert all(check.passed and not check.reason for check in decision.checks[:-1])
    if isinstance(decision, Send):
        assert gates == NAMES
        assert decision.checks[-1].passed
    else:
        assert not decision.checks[-1].passed
        assert decision.reason == decision.checks[-1].reason != ""
    if isinstance(decision, Hold):
        assert decision.until > now
    for check in decision.checks:
        assert json.loads(json.dumps(check.inputs)) == check.inputs


@example((due(slot_at=None, step=replace(STEP, late=LatePolicy.SKIP)), NOW + 2 * DAY))
@example((in_situation(personal(message=brief(**PERSONAL, enrollment_id=None)), events=(happened("replied"),)), NOW))
@settings(deadline=None, max_examples=300)
@given(CASES)
def test_what_is_shared_between_messages_changes_no_decision(case: tuple[Due, datetime]) -> None:
    assert plain_gates.shown(decide(*case)) == plain_gates.decide(*case)


def test_messages_that_differ_in_nothing_a_gate_reads_share_its_check() -> None:
    one = decide(due(), NOW)
    other = decide(in_situation(due(slot_at=NOW - MINUTE), contact=contact(email="bob@example.com")), NOW)
    same = {check.gate for check, its in zip(one.checks, other.checks, strict=True) if check is its}
    assert same == set(NAMES) - {"enrollment", "reply", "lateness"}
    assert all(check.reading is its.reading for check, its in zip(one.checks, other.checks, strict=True))


@settings(deadline=None)
@given(CASES)
def test_what_is_shared_tells_nothing_of_one_person(case: tuple[Due, datetime]) -> None:
    for check in decide(*case).checks:
        values = list(check.reading.inputs.values())
        assert not any(isinstance(value, int) and not isinstance(value, bool) for value in values)
        assert not any(sign in str(values) for sign in ("2026-", "told by phone", "@"))
