"""How many people would get mail within a day if a program went live through a real provider: the question before it.

An upper bound, and said so: whoever is in a running sequence with mail due, and whoever is in a stage that a sequence
addresses, since the next import, form or move may enroll them. Personal mail counts once its rep has approved it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from nurture import live
from nurture.core.definition import Stage
from nurture.core.exits import has_left
from nurture.core.model import Contact, ContactId, Situation
from nurture.core.program import Program
from nurture.core.schedule import next_send
from nurture.core.sequence import Sequence
from nurture.core.words import LIVE_ENROLLMENTS, Voice
from nurture.db import enrollments, programs, reports, senders, situations

AHEAD = timedelta(days=1)
PAGE = 500


@dataclass(frozen=True, slots=True)
class Forecast:
    """What begins with an apply: `providers` that are real and carry mail for the first time (none: nothing to ask).

    `due` people have mail due within a day, `newcomers` may be written to once something enrolls them, `people` are
    both without counting anybody twice.
    """

    providers: tuple[str, ...]
    people: int = 0
    due: int = 0
    newcomers: int = 0


def forecast(connection: Connection, program: Program, real: Collection[str], now: datetime) -> Forecast:
    """Return what would begin if `program` were applied now; `real` are the providers from which mail leaves here."""
    begins = sorted((providers_of(connection, program) - _carrying(connection)) & set(real))
    if not begins:
        return Forecast(())
    until = now + AHEAD
    due = _mail_due(connection, program, real, until) | set(_runs_due(connection, program, real, until, now))
    coming = set(_newcomers(connection, program, real))
    return Forecast(tuple(begins), len(due | coming), len(due), len(coming - due))


def providers_of(connection: Connection, program: Program) -> set[str]:
    """Return the providers that carry mail once `program` is applied."""
    of_reps = {sender.provider for sender in senders.every(connection) if sender.rep_id is not None}
    return {sender.provider for sender in program.senders.values()} | of_reps


def _carrying(connection: Connection) -> set[str]:
    """Return the providers that carry mail already: those of all senders, once anything was applied."""
    if programs.live_hash(connection) is None:
        return set()
    return {sender.provider for sender in senders.every(connection) if sender.paused_reason != programs.GONE}


def _mail_due(connection: Connection, program: Program, real: Collection[str], until: datetime) -> set[int]:
    of_reps = any(s.provider in real for s in senders.every(connection) if s.rep_id is not None)
    of_marketing = any(sender.provider in real for sender in program.senders.values())
    voices = [voice for voice, leaves in ((Voice.MARKETING, of_marketing), (Voice.PERSONAL, of_reps)) if leaves]
    return reports.contacts_with_mail_due(connection, until, voices)


def _runs_due(
    connection: Connection, program: Program, real: Collection[str], until: datetime, now: datetime
) -> Iterator[ContactId]:
    """Yield the contacts whose runs come to a marketing mail by `until`."""
    after = 0
    while page := reports.runs_due(connection, until, after, PAGE):
        after = page[-1]
        runs = [r for r in enrollments.by_ids(connection, page).values() if r.state in LIVE_ENROLLMENTS]
        versions = live.versions(connection, {run.version_id for run in runs})
        people, memory = {run.contact_id for run in runs}, program.lifecycle.memory
        loaded = situations.load(connection, people, memory, now, segments=bool(program.segments))
        for run in runs:
            sequence = versions.get(run.version_id)
            if sequence is None or not _leaves(sequence, program, real):
                continue
            situation = loaded[run.contact_id]
            mail = next_send(sequence, run, situation, program.lifecycle, program.company, now)
            if mail is not None and mail.about <= until:
                yield run.contact_id


def _newcomers(connection: Connection, program: Program, real: Collection[str]) -> Iterator[int]:
    for sequence in program.sequences.values():
        enrolls = any(trigger.kind != "manual" for trigger in sequence.triggers)
        if sequence.live and enrolls and _leaves(sequence, program, real) and _soon(sequence):
            stages = [stage.name for stage in program.lifecycle.stages if _addresses(sequence, stage, program)]
            yield from reports.newcomers(connection, sequence.name, stages, sequence.voice)


def _leaves(sequence: Sequence, program: Program, real: Collection[str]) -> bool:
    sender = program.senders.get(sequence.sender)
    return sequence.voice is Voice.MARKETING and sender is not None and sender.provider in real


def _addresses(sequence: Sequence, stage: Stage, program: Program) -> bool:
    nobody = Situation(Contact(ContactId(0), stage.name, datetime.min.replace(tzinfo=UTC)))
    return not has_left(sequence, nobody, program.lifecycle)


def _soon(sequence: Sequence) -> bool:
    """Tell whether the first mail may go within a day of enrolling: waits before it are no longer than that."""
    waited, step = timedelta(), sequence.step(sequence.first)
    while step is not None:
        span = step.delay.span
        waited += (span.elapsed or timedelta(days=span.amount)) if span else timedelta()
        if step.kind in ("email", "branch") or waited > AHEAD:
            break
        step = sequence.step(step.next or "")
    return waited <= AHEAD
