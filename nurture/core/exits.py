"""What ends a run early: each of its sequence's `exit_when`, asked when something has happened to the contact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from nurture.core.conditions import evaluate, say
from nurture.core.effects import EndRun, WakeRun
from nurture.core.events import REPLIES
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Enrollment, Event, Situation, VersionId
from nurture.core.sequence import Exit, Sequence
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, Scope

Fresh = tuple[Event, ...]


def exits(
    situation: Situation,
    fresh: tuple[Event, ...],
    sequences: Mapping[VersionId, Sequence],
    lifecycle: Lifecycle,
    now: datetime,
) -> tuple[EndRun | WakeRun, ...]:
    """Say which live runs end by what has just happened, or need not wait for their task any longer.

    Events from before a run began (imported, or reported late) do not count for it. The first exit that applies, in
    the order of the file, gives the reason.
    """
    effects: list[EndRun | WakeRun] = []
    for run in situation.enrollments:
        sequence = sequences.get(run.version_id)
        if run.state not in LIVE_ENROLLMENTS or sequence is None:
            continue
        since = tuple(event for event in fresh if event.at >= run.entered_at)
        end = _end(run, sequence, situation, since, lifecycle, now)
        if end:
            effects.append(end)
        elif run.waiting_for == "task" and any(event.kind == "task_done" for event in since):
            effects.append(WakeRun(run.id, "a task was done"))
    return tuple(effects)


def has_left(sequence: Sequence, situation: Situation, lifecycle: Lifecycle) -> bool:
    """Say whether the contact's stage is no longer one that the sequence addresses, or has another voice."""
    stage = lifecycle.stage(situation.contact.stage)
    audience = sequence.audience
    if stage.voice is not sequence.voice:
        return True
    if audience.roles and stage.role not in audience.roles:
        return True
    return bool(audience.stages) and stage.name not in audience.stages


def _end(
    run: Enrollment, sequence: Sequence, situation: Situation, fresh: Fresh, lifecycle: Lifecycle, now: datetime
) -> EndRun | None:
    for exit_ in sequence.exits:
        found = _applies(exit_, sequence, situation, fresh, lifecycle, now)
        if found:
            reason, disposition = found
            return EndRun(run.id, EnrollmentState.EXITED, reason, disposition)
    return None


def _applies(
    exit_: Exit, sequence: Sequence, situation: Situation, fresh: Fresh, lifecycle: Lifecycle, now: datetime
) -> tuple[str, str | None] | None:
    """Return the reason and the disposition when the exit applies."""
    by_event = _BY_EVENT.get(exit_.kind)
    if by_event:
        applies, reason, disposition = by_event
        return (reason, disposition) if any(applies(event, sequence) for event in fresh) else None
    if exit_.kind == "stage_left":
        left = has_left(sequence, situation, lifecycle)
        return (f"stage left: now {situation.contact.stage}", None) if left else None
    if exit_.kind == "event" and not any(event.kind == exit_.event for event in fresh):
        return None
    if exit_.when and not evaluate(exit_.when, situation, lifecycle, now):
        return None
    if exit_.kind == "event":
        return exit_.event or "event", None
    return (f"goal: {say(exit_.when)}", "success") if exit_.when else None


def _replied(event: Event, sequence: Sequence) -> bool:
    return event.kind in REPLIES


def _unsubscribed(event: Event, sequence: Sequence) -> bool:
    """Say whether it is this voice that the contact left: leaving marketing does not end a conversation with a rep."""
    if event.kind == "complained":
        return True
    scope = event.data.get("scope", Scope.MARKETING.value)
    return event.kind == "unsubscribed" and scope in (Scope.ALL.value, sequence.voice.value)


def _bounced(event: Event, sequence: Sequence) -> bool:
    """Say whether the address is gone for good; a full mailbox is not."""
    return event.kind == "bounced" and event.data.get("permanent") is True


_BY_EVENT: Mapping[str, tuple[Callable[[Event, Sequence], bool], str, str]] = {
    "reply": (_replied, "replied", "connected"),
    "unsubscribe": (_unsubscribed, "unsubscribed", "not_interested"),
    "bounce": (_bounced, "bounced", "bad_data"),
}
