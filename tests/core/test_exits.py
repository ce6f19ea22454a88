from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nurture.core.conditions import Compare, Op
from nurture.core.effects import EndRun, WakeRun
from nurture.core.exits import exits, has_left
from nurture.core.model import EnrollmentId, Event, VersionId
from nurture.core.sequence import Audience, Exit, Sequence
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, Role, Voice
from tests.core.running import LIFECYCLE, NOW, contact, email, enrollment, happened, sequence, situation

DAY = timedelta(days=1)
RUN = enrollment(state=EnrollmentState.WAITING, waiting_for="time", step_id="hello", entered_at=NOW - DAY)


def ended(
    *fresh: Event, exit_: Exit, run: Any = RUN, voice: Voice = Voice.MARKETING, stage: str | None = None, **values: Any
) -> tuple[EndRun | WakeRun, ...]:
    """Return what becomes of a run with one exit when `fresh` happens to its contact."""
    sequences = {VersionId(1): sequence(email("hello"), voice=voice, exits=(exit_,), **values)}
    here = stage or ("lead" if voice is Voice.MARKETING else "prospect")
    return exits(situation(contact=contact(stage=here), enrollments=(run,)), fresh, sequences, LIFECYCLE, NOW)


@pytest.mark.parametrize(
    ("exit_", "event", "reason"),
    [
        ("reply", happened("replied"), "replied"),
        ("unsubscribe", happened("unsubscribed"), "unsubscribed"),
        ("unsubscribe", happened("unsubscribed", data={"scope": "all"}), "unsubscribed"),
        ("unsubscribe", happened("complained"), "unsubscribed"),
        ("bounce", happened("bounced", data={"permanent": True}), "bounced"),
    ],
)
def test_what_has_happened_ends_the_run(exit_: str, event: Event, reason: str) -> None:
    (end,) = ended(event, exit_=Exit(exit_))
    assert isinstance(end, EndRun)
    assert (end.enrollment_id, end.state, end.reason) == (RUN.id, EnrollmentState.EXITED, reason)


@pytest.mark.parametrize(
    ("exit_", "event"),
    [
        ("reply", happened("auto_replied")),
        ("reply", happened("clicked")),
        ("reply", happened("replied", NOW - 2 * DAY)),
        ("unsubscribe", happened("unsubscribed", data={"scope": "personal"})),
        ("bounce", happened("bounced", data={"permanent": False})),
        ("bounce", happened("bounced")),
        ("stage_left", happened("replied")),
    ],
)
def test_what_does_not_count_ends_nothing(exit_: str, event: Event) -> None:
    assert ended(event, exit_=Exit(exit_)) == ()


def test_leaving_marketing_does_not_end_a_conversation() -> None:
    leaving = happened("unsubscribed", data={"scope": "marketing"})
    assert ended(leaving, exit_=Exit("unsubscribe"), voice=Voice.PERSONAL) == ()
    everything = happened("unsubscribed", data={"scope": "all"})
    assert len(ended(everything, exit_=Exit("unsubscribe"), voice=Voice.PERSONAL)) == 1


def test_an_exit_names_the_event_that_it_waits_for() -> None:
    booked = Exit("event", event="meeting_booked")
    (end,) = ended(happened("meeting_booked"), exit_=booked)
    assert isinstance(end, EndRun)
    assert end.reason == "meeting_booked"
    assert ended(happened("meeting_held"), exit_=booked) == ()


def test_a_goal_ends_the_run_once_it_is_met() -> None:
    goal = Exit("goal", when=Compare("country", Op.EQ, "DE"))
    sequences = {VersionId(1): sequence(email("hello"), exits=(goal,))}
    met = situation(contact=contact(country="DE"), enrollments=(RUN,))
    (end,) = exits(met, (), sequences, LIFECYCLE, NOW)
    assert isinstance(end, EndRun)
    assert end.disposition == "success"
    assert ended(exit_=goal) == ()


AUDIENCES = [
    (Audience(), "lead", False),
    (Audience(), "prospect", True),
    (Audience(), "lost", True),
    (Audience(frozenset({Role.NURTURE})), "lead", False),
    (Audience(frozenset({Role.ENGAGE})), "lead", True),
    (Audience(stages=frozenset({"lead"})), "lead", False),
    (Audience(stages=frozenset({"newcomer"})), "lead", True),
]


@pytest.mark.parametrize(("audience", "stage", "left"), AUDIENCES)
def test_a_run_ends_in_a_stage_that_its_sequence_does_not_address(audience: Audience, stage: str, left: bool) -> None:
    assert bool(ended(exit_=Exit("stage_left"), stage=stage, audience=audience)) is left
    addressed = sequence(email("hello"), audience=audience)
    assert has_left(addressed, situation(contact=contact(stage=stage)), LIFECYCLE) is left


@pytest.mark.parametrize("state", EnrollmentState)
def test_only_live_runs_can_end(state: EnrollmentState) -> None:
    found = ended(happened("replied"), exit_=Exit("reply"), run=replace(RUN, state=state))
    assert bool(found) is (state in LIVE_ENROLLMENTS)


def test_every_run_is_judged_by_its_own_version() -> None:
    hears: Sequence = sequence(email("hello"), exits=(Exit("reply"),))
    deaf = replace(hears, exits=())
    runs = tuple(replace(RUN, id=EnrollmentId(n), version_id=VersionId(n)) for n in (1, 2, 3))
    found = exits(
        situation(enrollments=runs), (happened("replied"),), {VersionId(1): hears, VersionId(2): deaf}, LIFECYCLE, NOW
    )
    assert [effect.enrollment_id for effect in found] == [1]


def test_a_finished_task_wakes_the_run_that_waits_for_it() -> None:
    waiting = replace(RUN, waiting_for="task")
    assert ended(happened("task_done"), exit_=Exit("reply"), run=waiting) == (WakeRun(RUN.id, "a task was done"),)
    assert ended(happened("task_done"), exit_=Exit("reply")) == ()
