"""All that follows from what has just happened to one contact: score, moves, exits, suppressions, tasks, enrollments.

Pure and deterministic: the same situation, events, program and moment give the same effects in the same order, what
stops first, what begins last. A shell that writes a `MoveStage`, an `EndRun` or an `Enroll` puts the events that follow
(`stage_entered`, `sequence_exited` …) on the timeline itself and does not ask about them again: they are in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nurture.core import sequence as sequences
from nurture.core.bars import crosses
from nurture.core.conditions import end_of
from nurture.core.effects import (
    CancelMessages,
    CloseHandoff,
    Effect,
    EndRun,
    Enroll,
    EnterSegment,
    LeaveSegment,
    MoveStage,
    OpenHandoff,
    OpenTaskFor,
    PauseRun,
    Reaction,
    Suppress,
    VoidApprovals,
    WakeRun,
)
from nurture.core.events import REPLIES
from nurture.core.exits import exits
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Event, MessageBrief, Situation, Suppressed, VersionId
from nurture.core.moves import after_move, asked_for, move, review_at
from nurture.core.outcomes import FOLLOWED, accepted, follow
from nurture.core.packet import grounds, packet
from nurture.core.program import Program
from nurture.core.scoring import restand
from nurture.core.spans import Span, Unit
from nurture.core.triggers import matching
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, Scope, Team, Voice

REST_AFTER_REP_WROTE = Span(3, Unit.BUSINESS_DAYS)
"""How long personal runs rest after the rep wrote by hand."""

ANSWER_WITHIN = Span(1, Unit.BUSINESS_DAYS)
"""When a task to answer a reply is due."""

_VOIDING = {"replied": "replied", "owner_changed": "owner changed", "rep_wrote": "rep wrote by hand"}
_SPOKEN = REPLIES | _VOIDING.keys()
"""Kinds of events that void approvals, pause runs or ask for an answer."""

_OTHER_VOICE = {Voice.MARKETING: Voice.PERSONAL, Voice.PERSONAL: Voice.MARKETING, Voice.SILENT: None}
"""What may no longer be sent in a stage of a voice; None is every voice."""

Versions = Mapping[VersionId, sequences.Sequence]


def react(
    situation: Situation, fresh: tuple[Event, ...], program: Program, versions: Versions, now: datetime
) -> Reaction:
    """Return what follows from the `fresh` events, which `situation.events` holds already.

    `versions` are the sequence versions of the contact's live runs. An `updated` event may carry `data.stage` (with
    `data.reason` and `data.actor`): the move that a step or a person asks for, made if the lifecycle lists it.
    """
    lifecycle = program.lifecycle
    suppressing = tuple(_suppressions(fresh))
    seen = _suppressed(situation, suppressing, now)
    settled = _settle(_looked_at(seen, program, now), fresh, program, versions, now)
    crossing = tuple(_crossings(situation, settled.situation, program)) if program.segments else ()
    heard = (*settled.fresh, *_as_events(crossing, situation, now)) if crossing else settled.fresh
    enrolling = matching(settled.situation, heard, program.sequences.values(), lifecycle, now)
    effects: list[Effect] = [*suppressing, *settled.moves, *settled.endings]
    if suppressing or settled.moves:
        effects += _cancellations(suppressing, situation, settled.situation, lifecycle)
    if not _SPOKEN.isdisjoint([event.kind for event in fresh]):
        effects += _voids(fresh)
        effects += _pauses(settled.situation, fresh, versions, now)
        effects += _tasks(settled.situation, fresh, now)
    if settled.moves:
        effects += _handoff(situation, settled, lifecycle, now)
    if not FOLLOWED.isdisjoint([event.kind for event in fresh]):
        effects += follow(situation, fresh)
    effects += crossing
    effects += [answer for answer in enrolling if isinstance(answer, Enroll)]
    assert settled.situation.standing is not None
    review = review_at(settled.situation, lifecycle, now, program.segments.watched(lifecycle))
    return Reaction(situation.contact.id, tuple(effects), settled.situation.standing, review)


@dataclass(frozen=True, slots=True)
class _Settled:
    """The situation when no move and no exit follows any more, with the events and effects on the way there."""

    situation: Situation
    fresh: tuple[Event, ...]
    moves: tuple[MoveStage, ...] = ()
    endings: tuple[EndRun | WakeRun, ...] = ()


def _looked_at(situation: Situation, program: Program, now: datetime) -> Situation:
    """Return the situation with the standing and the segments that it has at `now`."""
    seen = restand(situation, program.lifecycle, now)
    return replace(seen, segments=program.segments.of(seen, program.lifecycle, now)) if program.segments else seen


def _crossings(before: Situation, after: Situation, program: Program) -> Iterator[EnterSegment | LeaveSegment]:
    """Yield the segments that the contact came into and left, by name; those the program no longer has are not left."""
    for name in sorted(after.segments - before.segments):
        yield EnterSegment(name)
    for name in sorted((before.segments & program.segments.by_name.keys()) - after.segments):
        yield LeaveSegment(name)


def _as_events(crossing: Sequence[EnterSegment | LeaveSegment], situation: Situation, now: datetime) -> Iterator[Event]:
    for number, made in enumerate(crossing):
        kind = "segment_entered" if isinstance(made, EnterSegment) else "segment_left"
        key, said = f"{kind}:now:{number}", {"segment": made.segment}
        yield Event(kind, now, "engine", key, situation.contact.id, data=said)


def _settle(
    situation: Situation, fresh: tuple[Event, ...], program: Program, versions: Versions, now: datetime
) -> _Settled:
    """Move and end runs until nothing follows: a run that ends may allow a move, and a move may end a run.

    No stage is entered twice on the way, so that rules which contradict each other do not go in circles.
    """
    lifecycle, settled = program.lifecycle, _Settled(situation, fresh)
    asked = asked_for(situation, fresh, lifecycle, now)
    if asked:
        settled = _moved(settled, asked, program, now)
    while True:
        been = {situation.contact.stage, *(made.to_stage for made in settled.moves)}
        if following := move(settled.situation, lifecycle, now, avoiding=been):
            settled = _moved(settled, following, program, now)
            continue
        ending = _endings(settled, lifecycle, versions, now)
        if not ending:
            return settled
        settled = _ended(settled, ending, program, now)


def _moved(settled: _Settled, made: MoveStage, program: Program, now: datetime) -> _Settled:
    """Return the situation after a move, scored again, with the two events that it is on the timeline."""
    after, happened = after_move(settled.situation, made, len(settled.moves), now)
    return replace(
        settled,
        situation=_looked_at(after, program, now),
        fresh=(*settled.fresh, *happened),
        moves=(*settled.moves, made),
    )


def _endings(
    settled: _Settled, lifecycle: Lifecycle, versions: Versions, now: datetime
) -> tuple[EndRun | WakeRun, ...]:
    """Return what ends or wakes a run and has not been said yet, one effect for each run."""
    if not settled.situation.enrollments:
        return ()
    said = {ending.enrollment_id for ending in settled.endings}
    found = (
        *exits(settled.situation, settled.fresh, versions, lifecycle, now),
        *_answered(settled.situation, settled.fresh),
        *accepted(settled.situation, settled.fresh, versions),
    )
    first = {ending.enrollment_id: ending for ending in reversed(found)}
    return tuple(ending for key, ending in sorted(first.items()) if key not in said)


def _answered(situation: Situation, fresh: Sequence[Event]) -> Iterator[EndRun]:
    """Yield the end of marketing runs whose mail was answered, whatever their `exit_when` says."""
    live = {run.id for run in situation.enrollments if run.state in LIVE_ENROLLMENTS}
    for event in fresh:
        mail = _answered_mail(event, situation)
        if mail and mail.voice is Voice.MARKETING and mail.enrollment_id in live and mail.enrollment_id is not None:
            yield EndRun(mail.enrollment_id, EnrollmentState.EXITED, "replied", "replied")


def _answered_mail(event: Event, situation: Situation) -> MessageBrief | None:
    if event.kind not in REPLIES or event.message_id is None:
        return None
    return next((mail for mail in situation.messages if mail.id == event.message_id), None)


def _ended(settled: _Settled, ending: tuple[EndRun | WakeRun, ...], program: Program, now: datetime) -> _Settled:
    over = {end.enrollment_id: end for end in ending if isinstance(end, EndRun)}
    runs = tuple(
        replace(run, state=over[run.id].state, reason=over[run.id].reason, ended_at=now) if run.id in over else run
        for run in settled.situation.enrollments
    )
    situation = _looked_at(replace(settled.situation, enrollments=runs), program, now)
    return replace(settled, situation=situation, endings=(*settled.endings, *ending))


def _suppressions(fresh: Sequence[Event]) -> Iterator[Suppress]:
    """Yield what the events forbid from now on, each scope and reason once."""
    wishes = (wish for event in fresh if (wish := _suppression(event)) is not None)
    return iter(dict.fromkeys(wishes))


def _suppression(event: Event) -> Suppress | None:
    if event.kind == "unsubscribed":
        scope = str(event.data.get("scope"))
        return Suppress(Scope(scope) if scope in set(Scope) else Scope.MARKETING, "unsubscribed")
    if event.kind == "complained":
        return Suppress(Scope.ALL, "complaint")
    if event.kind == "bounced" and event.data.get("permanent") is True:
        return Suppress(Scope.ALL, "hard_bounce")
    return None


def _suppressed(situation: Situation, suppressing: Sequence[Suppress], now: datetime) -> Situation:
    wishes = tuple(Suppressed(wish.scope, wish.reason, now) for wish in suppressing)
    return replace(situation, suppressions=(*situation.suppressions, *wishes)) if wishes else situation


def _cancellations(
    suppressing: Sequence[Suppress], before: Situation, after: Situation, lifecycle: Lifecycle
) -> Iterator[CancelMessages]:
    """Yield what may no longer go out: mail that was forbidden, and mail in a voice that the new stage has not."""
    for wish in suppressing:
        yield CancelMessages(None if wish.scope is Scope.ALL else Voice(wish.scope.value), wish.reason)
    old, new = lifecycle.stage(before.contact.stage), lifecycle.stage(after.contact.stage)
    if old.voice is not new.voice:
        yield CancelMessages(_OTHER_VOICE[new.voice], f"stage {new.name} has the {new.voice} voice")


def _voids(fresh: Sequence[Event]) -> Iterator[VoidApprovals]:
    reasons = (_VOIDING[event.kind] for event in fresh if event.kind in _VOIDING)
    return (VoidApprovals(reason) for reason in dict.fromkeys(reasons))


def _pauses(situation: Situation, fresh: Sequence[Event], versions: Versions, now: datetime) -> Iterator[PauseRun]:
    """Let live personal runs rest after the rep wrote by hand. A rest is only ever made longer."""
    wrote = max((min(event.at, now) for event in fresh if event.kind == "rep_wrote"), default=None)
    if wrote is None or (until := end_of(REST_AFTER_REP_WROTE, wrote, situation)) <= now:
        return
    for run in situation.enrollments:
        marketing = run.version_id in versions and versions[run.version_id].voice is Voice.MARKETING
        rests = run.state is EnrollmentState.PAUSED and (run.paused_until is None or run.paused_until >= until)
        if run.state in LIVE_ENROLLMENTS and not marketing and not rests:
            yield PauseRun(run.id, "rep wrote by hand", until)


def _tasks(situation: Situation, fresh: Sequence[Event], now: datetime) -> Iterator[OpenTaskFor]:
    """Yield a task for every reply: somebody waits for an answer."""
    who = " ".join(filter(None, (situation.contact.first_name, situation.contact.last_name))) or situation.contact.email
    for event in fresh:
        if event.kind in REPLIES:
            mail = _answered_mail(event, situation)
            yield OpenTaskFor(
                kind="reply",
                title=f"Answer {who or 'the contact'}",
                key=f"reply:{event.source}:{event.external_id}",
                due_at=end_of(ANSWER_WITHIN, now, situation),
                enrollment_id=mail.enrollment_id if mail else None,
                note=f"They replied to {mail.template}." if mail else None,
            )


def _handoff(before: Situation, settled: _Settled, lifecycle: Lifecycle, now: datetime) -> Iterator[Effect]:
    """Yield a handoff when the contact came from a stage of marketing into one of sales, its end when they left."""
    old, new = lifecycle.stage(before.contact.stage), lifecycle.stage(settled.situation.contact.stage)
    made = settled.moves[-1]
    if before.open_handoff:
        if new.owner is not Team.SALES:
            yield CloseHandoff(made.reason)
    elif crosses(old.name, new.name, lifecycle):
        seen = settled.situation
        given = grounds(seen, lifecycle, now)
        yield OpenHandoff(made.reason, packet(seen, made, given, lifecycle, now), old.name, new.name, given)
