"""Sequences, runs and contacts to walk through, with as little in them as a test needs to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nurture.core.definition import Stage
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import (
    Company,
    Contact,
    ContactId,
    Enrollment,
    EnrollmentId,
    Event,
    MessageBrief,
    MessageId,
    Sender,
    SenderId,
    Situation,
    VersionId,
)
from nurture.core.sequence import Exit, Sequence, Step
from nurture.core.spans import parse_span
from nurture.core.windows import ALWAYS_OPEN, Delay
from nurture.core.words import EnrollmentState, MessageState, Role, Team, Voice

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning."""

COMPANY = Company("Acme", "Main Street 1", time_zone="UTC")

LIFECYCLE = Lifecycle(
    "test",
    (
        Stage("lead", "Lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING, frozenset({"educational"})),
        Stage("prospect", "Prospect", Role.ENGAGE, Voice.PERSONAL, Team.SALES),
        Stage("lost", "Lost", Role.OUT, Voice.SILENT, Team.MARKETING),
    ),
    start="lead",
)

SENDER = Sender(SenderId(1), "newsletter", Voice.MARKETING, "news@acme.example", "Acme", "outbox")


def after(text: str) -> Delay:
    return Delay(parse_span(text))


def email(step_id: str, next_: str | None = None, **values: Any) -> Step:
    return Step(step_id, "email", next=next_, template=f"leads/{step_id}", **values)


def sequence(*steps: Step, voice: Voice = Voice.MARKETING, **values: Any) -> Sequence:
    """Return a sequence of these steps that may send at any time."""
    return Sequence("welcome", voice, steps, **{"sender": "newsletter", "window": ALWAYS_OPEN, **values})


def enrollment(**values: Any) -> Enrollment:
    row: dict[str, Any] = {"state": EnrollmentState.PENDING, "entered_at": NOW, "base_at": NOW}
    return Enrollment(EnrollmentId(1), ContactId(1), "welcome", VersionId(1), 1, **{**row, **values})


def contact(**values: Any) -> Contact:
    return Contact(ContactId(1), **{"stage": "lead", "stage_since": NOW, "email": "ann@leads.example", **values})


def situation(**values: Any) -> Situation:
    return Situation(values.pop("contact", contact()), **values)


def happened(kind: str, at: datetime = NOW, **values: Any) -> Event:
    return Event(kind, at, "test", f"{kind}:{at.isoformat()}", ContactId(1), **values)


def brief(**values: Any) -> MessageBrief:
    """Return the message of step `hello` of the run."""
    row: dict[str, Any] = {
        "voice": Voice.MARKETING,
        "state": MessageState.CLAIMED,
        "enrollment_id": EnrollmentId(1),
        "step_id": "hello",
        "template": "leads/hello",
        "due_at": NOW,
    }
    return MessageBrief(MessageId(1), **{**row, **values})


REPLY = Exit("reply")
