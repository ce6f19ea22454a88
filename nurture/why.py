"""Why a contact was or was not written to: what was decided last and by which rule, and what comes next and when.

Asks the functions that the engine and sending ask, over the same inputs. Whoever nobody writes to gets a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from nurture import deciding, live
from nurture.core.decide import decide
from nurture.core.decision import Cancel, Hold, Send, Skip
from nurture.core.definition import Stage
from nurture.core.effects import Enroll
from nurture.core.exits import has_left
from nurture.core.gates import rate
from nurture.core.model import ContactId, Enrollment, MessageId, Situation, Suppressed, VersionId
from nurture.core.program import Program
from nurture.core.schedule import next_send
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.triggers import may_enroll, say_trigger
from nurture.core.words import FINAL_MESSAGES, LIVE_ENROLLMENTS, MessageState, TimerKind, Voice
from nurture.db import decisions, instance, listings, timers
from nurture.db.decisions import Given
from nurture.deciding import Policy
from nurture.looking.contacts import name_of, situation_of

LATEST = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Something that was decided. `rule` is `file:line` of the applied version, `times` how often it was said again.

    `checks` are what the gates read, each with its name, whether it let the message pass, and why not.
    """

    at: datetime
    what: str
    reason: str
    rule: str | None
    until: datetime | None = None
    times: int = 1
    checks: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Next:
    """A mail that is to go out, about when; `waits` says what keeps it (None: only its time)."""

    sequence: str | None
    step_id: str | None
    template: str
    voice: Voice
    about: datetime
    rule: str | None
    waits: str | None
    message_id: MessageId | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """A sequence in which the contact is not, and why; `rule` is where it begins to say who enters."""

    sequence: str
    reason: str
    rule: str


@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer. `next` is soonest first; without any, `reasons` say why nobody writes to the contact."""

    name: str
    email: str | None
    stage: Stage
    next: tuple[Next, ...]
    reasons: tuple[str, ...]
    decided: tuple[Answer, ...]
    suppressions: tuple[Suppressed, ...]
    others: tuple[Other, ...]
    review_at: datetime | None
    program_hash: str


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is known of the contact, on the way to an answer."""

    connection: Connection
    program: Program
    situation: Situation
    versions: Mapping[VersionId, Sequenced]
    policy: Policy
    answers: Sequence[Given]
    now: datetime

    @property
    def stage(self) -> Stage:
        return self.program.lifecycle.stage(self.situation.contact.stage)

    @property
    def live_runs(self) -> list[Enrollment]:
        return [run for run in self.situation.enrollments if run.state in LIVE_ENROLLMENTS]

    def rule(self, run: Enrollment, step_id: str | None) -> str | None:
        sequence = self.versions.get(run.version_id)
        step = sequence.step(step_id or "") if sequence else None
        return f"{sequence.file}:{step.line}" if sequence and step else None


def explain(connection: Connection, contact_id: ContactId, policy: Policy, now: datetime) -> Why:
    """Say of a contact what was decided, what comes next, and why nothing does; raise NotFound."""
    program = live.current(connection)
    situation = situation_of(connection, program, contact_id, now)
    versions = live.versions(connection, {run.version_id for run in situation.enrollments})
    answers = decisions.of_contact(connection, contact_id, LATEST)
    case = _Case(connection, program, situation, versions, policy, answers, now)
    coming = tuple(sorted((*_messages(case), *_runs(case)), key=lambda mail: mail.about))
    return Why(
        name=name_of(situation),
        email=situation.contact.email,
        stage=case.stage,
        next=coming,
        reasons=() if coming else tuple(dict.fromkeys(_reasons(case))),
        decided=_decided(case),
        suppressions=situation.suppressions,
        others=tuple(_others(case)),
        review_at=timers.due_times(connection, TimerKind.REVIEW, [contact_id]).get(contact_id),
        program_hash=program.hash,
    )


# --- what comes next --------------------------------------------------------------------------------------------------


def _messages(case: _Case) -> Iterator[Next]:
    """Yield the messages that are on their way."""
    unfinished = [m.id for m in case.situation.messages if m.state not in FINAL_MESSAGES]
    rows = [row for key in unfinished if (row := listings.message(case.connection, key)) is not None]
    slots = timers.due_times(case.connection, TimerKind.MESSAGE, unfinished)
    budget = deciding.budget(case.connection, case.policy, case.now)
    for pending in deciding.load(case.connection, case.program, rows, case.policy, slots, case.now):
        row, due = pending.row, pending.due
        about = max(slots.get(row.id, row.due_at), case.now)
        waits = _unready(row)
        if waits is None:
            answer = decide(replace(due, budget=budget if pending.real else None), about)
            waits = _held(case, row.id) if isinstance(answer, Send) else _said(answer)
            about = getattr(answer, "until", about)
        voice = Voice(row.voice)
        yield Next(row.sequence, row.step_id, row.template, voice, about, pending.rule, waits, MessageId(row.id))


def _said(answer: Hold | Skip | Cancel) -> str:
    return f"{answer.reason} ({type(answer).__name__.lower()})"


def _held(case: _Case, message: int) -> str | None:
    """Return why a message that every gate let pass was held: its rate, its template, its provider, its domain."""
    last = next((answer for answer in case.answers if answer.message_id == message), None)
    if last is None or last.outcome != "hold":
        return None
    passed = all(check["passed"] or check["gate"] == rate.NAME for check in last.checks)
    return f"{last.reason} (hold)" if passed else None


def _unready(row: Row[Any]) -> str | None:
    """Return why a message is not even asked about yet."""
    because = f": {row.reason}" if row.reason else ""
    match MessageState(row.state):
        case MessageState.PLANNED:
            return f"the draft is not written yet{because}"
        case MessageState.AWAITING_APPROVAL:
            voided = f"; the approval before it is void: {row.void_reason}" if row.void_reason else ""
            return f"waits for the approval of {row.rep}{voided}"
        case MessageState.DISPATCHING:
            return "is being sent"
        case MessageState.AMBIGUOUS:
            return f"nobody knows whether it went out{because}"
        case MessageState.RETRY_WAIT:
            return f"is tried again{because}"
    return None


def _runs(case: _Case) -> Iterator[Next]:
    """Yield the next mail of every run that has none on its way."""
    busy = {m.enrollment_id for m in case.situation.messages if m.state not in FINAL_MESSAGES}
    paused, home = listings.paused_sequences(case.connection), instance.read(case.connection)
    for run in case.live_runs:
        sequence = case.versions.get(run.version_id)
        if run.id in busy or sequence is None:
            continue
        lifecycle, company = case.program.lifecycle, case.program.company
        mail = next_send(sequence, run, case.situation, lifecycle, company, case.now)
        if mail is None:
            continue
        waits = home.sending_paused or paused.get(run.sequence) or _stuck(case, run, sequence)
        rule = case.rule(run, mail.step_id)
        yield Next(run.sequence, mail.step_id, mail.template, sequence.voice, mail.about, rule, waits)


def _stuck(case: _Case, run: Enrollment, sequence: Sequenced) -> str | None:
    """Return why the message of a run could not be planned, or why the run rests."""
    if run.paused_until is not None:
        return f"paused until {run.paused_until:%Y-%m-%d}: {run.reason}"
    if sequence.voice is Voice.PERSONAL and case.situation.contact.owner is None:
        return "the contact has no owner, in whose name it would go out"
    last = next((answer for answer in case.answers if answer.enrollment_id == run.id), None)
    if last is not None and last.message_id is None and last.step_id == run.step_id and last.outcome == "hold":
        return str(last.reason)
    return None


# --- why nothing does -------------------------------------------------------------------------------------------------


def _reasons(case: _Case) -> Iterator[str]:
    """Yield why nobody writes to the contact, what settles it first."""
    contact, stage, rules = case.situation.contact, case.stage, case.program.lifecycle
    if stage.voice is Voice.SILENT:
        yield f"stage {stage.name} is silent: nobody writes to whoever is in it ({rules.file}:{stage.line})"
    if not contact.email:
        yield "the contact has no e-mail address"
    for wish in case.situation.suppressions:
        yield f"suppressed for {wish.scope} since {wish.at:%Y-%m-%d}: {wish.reason}"
    waking = timers.due_times(case.connection, TimerKind.ENROLLMENT, [run.id for run in case.live_runs])
    for run in case.live_runs:
        where = case.rule(run, run.step_id) or run.sequence
        yield f"run {run.run} of {run.sequence} {_standstill(run, waking.get(run.id))} ({where})"
    if stage.voice is Voice.SILENT:
        return
    if stage.voice is Voice.PERSONAL and contact.owner is None:
        yield "the contact has no owner, in whose name personal mail would go out"
    yield from _last_run(case)
    addressing = [each for each in case.program.sequences.values() if not _left(each, case)]
    if not addressing:
        yield f"no sequence addresses stage {stage.name}"
    running = {run.sequence for run in case.live_runs}
    for sequence in addressing:
        if sequence.name not in running:
            yield f"{sequence.name}: {_bar(sequence, case)} ({_entry(sequence)})"


def _standstill(run: Enrollment, wakes_at: datetime | None) -> str:
    if run.paused_until is not None:
        return f"is paused until {run.paused_until:%Y-%m-%d}: {run.reason}"
    if run.waiting_for == "task":
        return f"waits at step {run.step_id} until a task is done"
    until = f" until {wakes_at:%Y-%m-%d %H:%M} UTC" if wakes_at else ""
    return f"waits at step {run.step_id}{until}, and no mail follows in it"


def _last_run(case: _Case) -> Iterator[str]:
    over = [run for run in case.situation.enrollments if run.state not in LIVE_ENROLLMENTS]
    if over and not case.live_runs:
        last = max(over, key=lambda run: (run.ended_at or run.entered_at, run.id))
        ended = last.ended_at or last.entered_at
        yield f"run {last.run} of {last.sequence} {last.state} on {ended:%Y-%m-%d}: {last.reason or last.state}"


def _left(sequence: Sequenced, case: _Case) -> bool:
    return has_left(sequence, case.situation, case.program.lifecycle)


def _others(case: _Case) -> Iterator[Other]:
    running = {run.sequence for run in case.live_runs}
    for name, sequence in sorted(case.program.sequences.items()):
        if name not in running:
            yield Other(name, _bar(sequence, case), _entry(sequence))


def _bar(sequence: Sequenced, case: _Case) -> str:
    """Return why the contact is not in a sequence: what bars them, or what it waits for."""
    answer = may_enroll(sequence, case.situation, case.program.lifecycle, case.now)
    if not isinstance(answer, Enroll):
        return answer.reason
    waits_for = " or ".join(say_trigger(trigger) for trigger in sequence.triggers) or "somebody enrolls the contact"
    return f"may enter, once this happens: {waits_for}"


def _entry(sequence: Sequenced) -> str:
    line = min((trigger.line for trigger in sequence.triggers if trigger.line), default=1)
    return f"{sequence.file}:{line}"


# --- what was decided -------------------------------------------------------------------------------------------------


def _decided(case: _Case) -> tuple[Answer, ...]:
    """Return what was decided last: about messages, about runs that ended, and moves; newest first."""
    every = (*_about_messages(case), *_endings(case), *_moves(case))
    return tuple(sorted(every, key=lambda answer: answer.at, reverse=True)[:LATEST])


def _about_messages(case: _Case) -> Iterator[Answer]:
    runs = {run.id: run for run in case.situation.enrollments}
    for row in case.answers:
        run = runs.get(row.enrollment_id) if row.enrollment_id is not None else None
        where = f"{run.sequence if run else 'a message'}, step {row.step_id}"
        rule = row.rule or (case.rule(run, row.step_id) if run else None)
        yield Answer(row.last_at, f"{row.outcome}: {where}", row.reason, rule, row.until, row.times, row.checks)


def _endings(case: _Case) -> Iterator[Answer]:
    for run in case.situation.enrollments:
        if run.ended_at is not None:
            what = f"{run.state}: run {run.run} of {run.sequence}"
            yield Answer(run.ended_at, what, run.reason or "", case.rule(run, run.step_id))


def _moves(case: _Case) -> Iterator[Answer]:
    for row in listings.stage_changes(case.connection, case.situation.contact.id, LATEST):
        what = f"moved: {row.from_stage} → {row.to_stage}" if row.from_stage else f"entered: {row.to_stage}"
        yield Answer(row.at, what, row.reason, row.rule)
