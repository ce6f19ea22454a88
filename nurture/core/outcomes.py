"""What follows for a contact from what becomes of their handoff: runs of marketing end, reps are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from nurture.core import sequence as sequences
from nurture.core.effects import CancelMessages, EndRun, OpenTaskFor
from nurture.core.model import Event, RepId, Situation, VersionId
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, Voice

TASK = "handoff"
"""The kind of the tasks that a handoff gives; they are cancelled when it is closed."""

FOLLOWED = frozenset({"handoff_accepted", "handoff_warned", "handoff_escalated", "handoff_rejected"})
"""Kinds of events after which somebody has something to do, or marketing to stop."""


def accepted(
    situation: Situation, fresh: Sequence[Event], versions: Mapping[VersionId, sequences.Sequence]
) -> Iterator[EndRun]:
    """Yield the end of marketing runs that still live when sales accepts."""
    if not any(event.kind == "handoff_accepted" for event in fresh):
        return
    for run in situation.enrollments:
        sequence = versions.get(run.version_id)
        if run.state in LIVE_ENROLLMENTS and sequence is not None and sequence.voice is Voice.MARKETING:
            yield EndRun(run.id, EnrollmentState.EXITED, "accepted by sales")


def follow(situation: Situation, fresh: Sequence[Event]) -> Iterator[OpenTaskFor | CancelMessages]:
    """Yield the tasks that come of a handoff that waits or was rejected, and what marketing may no longer send."""
    who = _who(situation)
    for event in fresh:
        match event.kind:
            case "handoff_accepted":
                yield CancelMessages(Voice.MARKETING, "accepted by sales")
            case "handoff_warned":
                yield _task(event, "warned", f"Accept or reject {who}", "rep_id", "due_at")
            case "handoff_escalated" if event.data.get("to_id") is not None:
                title = f"{who} waits for {event.data.get('rep') or 'a rep'}: see to it"
                yield _task(event, "escalated", title, "to_id", None)
            case "handoff_rejected" if event.data.get("task"):
                yield _task(event, "rejected", str(event.data["task"]), "rep_id", None, kind="custom")


def _task(event: Event, word: str, title: str, whose: str, due: str | None, kind: str = TASK) -> OpenTaskFor:
    data, rep = event.data, event.data.get(whose)
    due_at = data.get(due) if due else None
    return OpenTaskFor(
        kind=kind,
        title=title,
        key=f"handoff:{data.get('handoff')}:{word}:{rep}:{event.external_id}",
        due_at=datetime.fromisoformat(str(due_at)) if due_at else None,
        note=f"Handoff {data.get('handoff')}" + (f": {data['note']}" if data.get("note") else ""),
        rep_id=RepId(rep) if isinstance(rep, int) else None,
    )


def _who(situation: Situation) -> str:
    contact = situation.contact
    return " ".join(filter(None, (contact.first_name, contact.last_name))) or contact.email or "the contact"
