"""The whole on one page: who is where, who moved, what was written and what waits, who answered and who left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from nurture.core.words import MessageState
from nurture.db import reports

HEARD = ("replied", "unsubscribed", "bounced", "complained", "auto_replied", "meeting_booked")


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage, how many contacts are in it now, and how many came and went since `since`."""

    name: str
    label: str
    voice: str
    contacts: int
    moved_in: int
    moved_out: int


@dataclass(frozen=True, slots=True)
class DraftsLine:
    """How many drafts wait for a rep, and when the first of them is due."""

    rep: str
    waiting: int
    oldest_due: datetime


@dataclass(frozen=True, slots=True)
class TasksLine:
    """The open tasks of a rep (None: nobody's), and how many of them are overdue."""

    rep: str | None
    open: int
    overdue: int


@dataclass(frozen=True, slots=True)
class HeardLine:
    """How often something came back, and from how many contacts."""

    kind: str
    events: int
    contacts: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What happened since a moment, and how it stands now.

    `moves` maps (from, to) to a count, `messages` voice → state → count, `sent` voice → count since then, `runs`
    sequence → state → count, `suppressions` (scope, reason) to a count.
    """

    since: datetime
    contacts: int
    stages: tuple[StageLine, ...]
    moves: Mapping[tuple[str, str], int]
    sent: Mapping[str, int]
    messages: Mapping[str, Mapping[str, int]]
    ambiguous: int
    drafts: tuple[DraftsLine, ...]
    tasks: tuple[TasksLine, ...]
    heard: tuple[HeardLine, ...]
    runs: Mapping[str, Mapping[str, int]]
    suppressions: Mapping[tuple[str, str], int]


def summary(connection: Connection, since: datetime, now: datetime) -> Summary:
    """Return the summary. Moves, mail sent and what came back are counted since `since`, all else is as it is now."""
    moves: Counter[tuple[str, str]] = Counter()
    for row in reports.moves(connection, since):
        moves[row.from_stage, row.to_stage] += row.number
    messages = _nested(reports.messages(connection))
    stages = _stages(connection, moves)
    return Summary(
        since=since,
        contacts=sum(stage.contacts for stage in stages),
        stages=stages,
        moves=dict(moves),
        sent={row.voice: row.number for row in reports.sent(connection, since)},
        messages=messages,
        ambiguous=sum(states.get(MessageState.AMBIGUOUS, 0) for states in messages.values()),
        drafts=tuple(DraftsLine(row.rep, row.number, row.oldest) for row in reports.drafts(connection)),
        tasks=tuple(TasksLine(row.rep, row.number, row.overdue) for row in reports.tasks(connection, now)),
        heard=_heard(connection, since),
        runs=_nested(reports.runs(connection)),
        suppressions={(row.scope, row.reason): row.number for row in reports.suppressions(connection)},
    )


def _stages(connection: Connection, moves: Mapping[tuple[str, str], int]) -> tuple[StageLine, ...]:
    came: Counter[str] = Counter()
    went: Counter[str] = Counter()
    for (before, after), number in moves.items():
        went[before] += number
        came[after] += number
    return tuple(
        StageLine(row.name, row.label, row.voice, row.contacts, came[row.name], went[row.name])
        for row in reports.stages(connection)
    )


def _heard(connection: Connection, since: datetime) -> tuple[HeardLine, ...]:
    found = {row.kind: row for row in reports.events(connection, HEARD, since)}
    return tuple(
        HeardLine(kind, found[kind].number, found[kind].contacts) if kind in found else HeardLine(kind, 0, 0)
        for kind in HEARD
    )


def _nested(rows: Any) -> dict[str, dict[str, int]]:
    """Return rows of (outer, inner, number) as outer → inner → number."""
    found: dict[str, dict[str, int]] = {}
    for outer, inner, number in rows:
        found.setdefault(outer, {})[inner] = number
    return found
