"""What is not sent: holds, skips and cancels of a page, carried out and kept with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from nurture import runs
from nurture.core.decision import Cancel, Check, Decision, Hold, Send, Skip
from nurture.core.effects import EndRun, Reaction
from nurture.core.model import ContactId, EnrollmentId
from nurture.core.program import Program
from nurture.core.words import EnrollmentState, MessageState, TimerKind
from nurture.db import decisions, dispatching, effects, messages, situations, timers
from nurture.db.decisions import Decided
from nurture.deciding import Pending


def carry_out(
    connection: Connection,
    owner: str,
    program: Program,
    answers: Sequence[tuple[Pending, Hold | Skip | Cancel]],
    now: datetime,
) -> int:
    """Carry out holds, skips and cancels of messages that are still `owner`'s; return how many ended."""
    ending = [(p, a) for p, a in answers if not isinstance(a, Hold)]
    loaded = {p.due.situation.contact.id: p.due.situation for p, _ in ending}
    situations.lock(connection, loaded.keys())
    ours = set(dispatching.give_back(connection, [p.row.id for p, _ in ending], owner, now))
    ending = [(p, a) for p, a in ending if p.row.id in ours]
    waits = {p.row.id: a.until for p, a in answers if isinstance(a, Hold)}
    given_back = dispatching.give_back(connection, list(waits), owner, now)
    timers.set_timers(connection, [(TimerKind.MESSAGE, key, waits[key]) for key in given_back])
    _end(connection, program, ending, now)
    cancels = [
        Reaction(ContactId(p.row.contact_id), (_end_run(p, a.reason),), None, None)
        for p, a in ending
        if isinstance(a, Cancel) and p.row.enrollment_id is not None
    ]
    effects.write(connection, cancels, loaded, program, now)
    decisions.record(connection, [decided(p, a) for p, a in answers], program.hash, now)
    return len(ending)


def _end(
    connection: Connection, program: Program, ending: Sequence[tuple[Pending, Skip | Cancel]], now: datetime
) -> None:
    changes = [
        {
            "id": pending.row.id,
            "state": MessageState.CANCELLED,
            "reason": f"skip: {answer.reason}" if isinstance(answer, Skip) else answer.reason,
            "owner": None,
        }
        for pending, answer in ending
    ]
    messages.save(connection, changes, now)
    timers.clear(connection, TimerKind.MESSAGE, [pending.row.id for pending, _ in ending])
    skipped = {
        EnrollmentId(p.row.enrollment_id): ("skipped", now)
        for p, a in ending
        if isinstance(a, Skip) and p.row.enrollment_id is not None
    }
    runs.after_messages(connection, program, skipped, now)


def _end_run(pending: Pending, reason: str) -> EndRun:
    return EndRun(EnrollmentId(pending.row.enrollment_id), EnrollmentState.EXITED, reason)


def decided(pending: Pending, answer: Decision) -> Decided:
    """Return an answer as it is kept."""
    row = pending.row
    return Decided(
        row.contact_id,
        row.enrollment_id,
        row.id,
        row.step_id,
        *_outcome(answer),
        pending.rule,
    )


def _outcome(answer: Decision) -> tuple[str, str, tuple[Check, ...], datetime | None]:
    match answer:
        case Send():
            return "send", "", answer.checks, None
        case Hold():
            return "hold", answer.reason, answer.checks, answer.until
        case Skip():
            return "skip", answer.reason, answer.checks, None
        case Cancel():
            return "cancel", answer.reason, answer.checks, None
