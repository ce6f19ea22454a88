"""Messages that are due, as the gates see them: one that may go in each voice, and every kind of trouble with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from nurture.core.decision import Due
from nurture.core.model import Suppressed
from nurture.core.sequence import LatePolicy
from nurture.core.windows import Window
from nurture.core.words import EnrollmentState, MessageState, Scope, Voice
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
RUN = enrollment(state=EnrollmentState.WAITING, waiting_for="message", step_id="hello", entered_at=NOW - DAY)
STEP = email("hello", content="educational")
PERSONAL = {"voice": Voice.PERSONAL}


def due(**values: Any) -> Due:
    """Return a marketing message that may go."""
    row: dict[str, Any] = {
        "message": brief(),
        "situation": situation(enrollments=(RUN,)),
        "lifecycle": LIFECYCLE,
        "company": COMPANY,
        "sender": SENDER,
        "sequence": sequence(STEP, exits=(REPLY,)),
        "step": STEP,
        "slot_at": NOW,
    }
    return Due(**{**row, **values})


def personal(**values: Any) -> Due:
    """Return a personal message that its rep has approved."""
    row: dict[str, Any] = {
        "message": brief(**PERSONAL),
        "situation": situation(contact=contact(stage="prospect"), enrollments=(RUN,)),
        "sequence": sequence(email("hello"), voice=Voice.PERSONAL, exits=(REPLY,)),
        "step": email("hello"),
        "approved": True,
        "approved_at": NOW,
        "drafted_at": NOW - DAY,
    }
    return due(**{**row, **values})


def in_situation(of: Due, **values: Any) -> Due:
    return replace(of, situation=replace(of.situation, **values))


OFFICE = sequence(STEP, window=Window(spread=30))


def a_few(most: int, values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return some of the values: with all of them at once, the first gate would forbid nearly everything."""
    each = [strategy.map(lambda value, name=name: (name, value)) for name, strategy in values.items()]
    return st.lists(st.one_of(*each), max_size=most).map(dict)


CHANGES = a_few(
    3,
    {
        "sending_paused": st.just("stop"),
        "sequence_live": st.booleans(),
        "unsubscribe_ready": st.just("missing"),
        "budget": st.integers(0, 2),
        "approved": st.sampled_from([None, True, False]),
        "approved_at": st.sampled_from([None, NOW - 2 * HOUR, NOW]),
        "drafted_at": st.sampled_from([None, NOW - DAY]),
        "not_after": st.sampled_from([NOW - HOUR, NOW, NOW + DAY]),
        "slot_at": st.sampled_from([None, NOW - DAY, NOW, NOW + DAY]),
        "patience": st.sampled_from([timedelta(), 6 * HOUR]),
        "sender": st.just(replace(SENDER, paused_reason="paused")),
        "sequence": st.sampled_from([None, OFFICE, sequence(STEP)]),
        "step": st.sampled_from([None, replace(STEP, content="offer"), replace(STEP, late=LatePolicy.SKIP)]),
        "message": st.sampled_from([brief(enrollment_id=None), brief(enrollment_id=7), brief(**PERSONAL)]),
    },
)
SITUATIONS = a_few(
    2,
    {
        "contact": st.sampled_from(
            [
                *(contact(stage=stage) for stage in ("prospect", "lost", "no such stage")),
                contact(email=None),
                contact(time_zone="Asia/Tokyo"),
                contact(country="US"),
            ]
        ),
        "suppressions": st.sampled_from(Scope).map(lambda scope: (Suppressed(scope, "told by phone", NOW - DAY),)),
        "events": st.lists(st.sampled_from(["replied", "rep_wrote", "auto_replied", "form_submitted"]), max_size=2).map(
            lambda kinds: tuple(happened(kind, NOW - HOUR) for kind in kinds)
        ),
        "messages": st.just((brief(**PERSONAL, state=MessageState.ACCEPTED, step_id="before"),)),
        "enrollments": st.one_of(
            st.just(()),
            st.sampled_from(EnrollmentState).map(lambda state: (replace(RUN, state=state, paused_until=NOW + DAY),)),
            st.just((replace(RUN, step_id="next", run=2),)),
        ),
    },
)


def _case(base: Due, changes: dict[str, Any], world: dict[str, Any], hours: int) -> tuple[Due, datetime]:
    return in_situation(replace(base, **changes), **world), NOW + hours * HOUR


CASES = st.builds(_case, st.sampled_from([due(), personal()]), CHANGES, SITUATIONS, st.integers(0, 200))
"""Anything that can be due, and when it is looked at."""
