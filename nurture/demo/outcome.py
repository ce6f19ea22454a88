"""What came of the demo: one line each for what went in, what the engine did and what came back, from the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select

from nurture.core.words import Voice
from nurture.db import listings, reports, tables
from nurture.demo.play import BEGIN, CameIn
from nurture.reports.summary import Summary, summary

_EVENT = tables.Event.__table__
_MESSAGE = tables.Message.__table__
_STANDING = tables.Standing.__table__

_AFTERWARDS = BEGIN + timedelta(seconds=1)
"""From here on, so that what the import itself told (who had unsubscribed before) is not counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was counted; `more` says what is in it."""

    what: str
    count: int
    more: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """People worth looking at: for whom a draft waits, and who went the whole way."""

    waiting: str | None
    whole_way: str | None


def lines(connection: Connection, came: CameIn, now: datetime) -> list[Line]:
    """Return what happened, in the order in which it did."""
    found = summary(connection, BEGIN, now)
    return [
        *_imported(came),
        _scored(connection),
        *_moved(connection, found),
        *_sent(connection, found),
        *_came_back(connection),
    ]


def examples(connection: Connection) -> Examples:
    """Return people whose story shows much."""
    drafts = listings.drafts(connection, None)
    return Examples(drafts[0].to_address if drafts else None, _whole_way(connection))


def _imported(came: CameIn) -> Iterator[Line]:
    counts = came.contacts.counts
    more = (
        f"in {counts['accounts']} accounts; {counts['suppressed']} not to be written to, "
        f"{counts['rejected']} rows rejected"
    )
    yield Line("contacts imported", counts["created"], more)
    yield Line("events imported", came.events.counts["events"], "what they did in the two months before")


def _scored(connection: Connection) -> Line:
    grades, levels = _counts(connection, _STANDING.c.grade), _counts(connection, _STANDING.c.level)
    reached = [f"{level} {number}" for level, number in levels.items() if level]
    more = f"fit {_listed(grades)}" + (f"; {', '.join(reached)}" if reached else "")
    return Line("scored", sum(grades.values()), more)


def _moved(connection: Connection, found: Summary) -> Iterator[Line]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in reports.moves(connection, BEGIN):
        reasons.setdefault((row.from_stage, row.to_stage), []).append(f"{row.reason} ({row.number})")
    order = {stage.name: place for place, stage in enumerate(found.stages)}
    for (before, after), number in sorted(found.moves.items(), key=lambda move: [order[name] for name in move[0]]):
        yield Line(f"moved from {before} to {after}", number, ", ".join(reasons[before, after]))


def _sent(connection: Connection, found: Summary) -> Iterator[Line]:
    marketing, personal = (found.sent.get(voice, 0) for voice in (Voice.MARKETING, Voice.PERSONAL))
    sent = _MESSAGE.c.voice == Voice.PERSONAL, _MESSAGE.c.sent_at.is_not(None)
    edited = connection.scalar(select(func.count()).where(*sent, _MESSAGE.c.edited))
    waiting = [f"{line.rep.partition('@')[0]} {line.waiting}" for line in found.drafts]
    yield Line("marketing mails sent", marketing, "from the newsletter's address, by themselves")
    yield Line("personal mails sent", personal, f"from the reps' own addresses, all approved, {edited} edited")
    yield Line("waiting for approval", sum(line.waiting for line in found.drafts), ", ".join(waiting))


def _came_back(connection: Connection) -> Iterator[Line]:
    heard = {row.kind: row for row in reports.events(connection, _HEARD, _AFTERWARDS)}
    for kind, (what, more) in _HEARD.items():
        number, people = (heard[kind].number, heard[kind].contacts) if kind in heard else (0, 0)
        by = f"by {people} people" if people != number else ""
        yield Line(what, number, "; ".join(filter(None, (by, more))))


_HEARD: Mapping[str, tuple[str, str]] = {
    "clicked": ("clicked", ""),
    "replied": ("answered", "what ran for them has stopped"),
    "auto_replied": ("answered by machine", "that stops nothing"),
    "meeting_booked": ("meetings booked", ""),
    "unsubscribed": ("unsubscribed", "by the link in their mail"),
    "bounced": ("bounced", "never written to again"),
}
"""What came back: by kind of event, how it is called here, and what follows from it."""


def _counts(connection: Connection, column: ColumnElement[Any]) -> dict[str, int]:
    query = select(column, func.count()).group_by(column).order_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())


def _whole_way(connection: Connection) -> str | None:
    """Return the address of somebody who answered their rep: if possible after newsletters, and before they bought."""
    mails = _MESSAGE.alias("mails")
    had_newsletters = exists().where(mails.c.contact_id == _MESSAGE.c.contact_id, mails.c.voice == Voice.MARKETING)
    bought = _EVENT.alias("bought")
    has_bought = exists().where(bought.c.contact_id == _MESSAGE.c.contact_id, bought.c.kind == "purchased")
    query = (
        select(_MESSAGE.c.to_address)
        .join(_EVENT, _EVENT.c.message_id == _MESSAGE.c.id)
        .where(_EVENT.c.kind == "replied", _MESSAGE.c.voice == Voice.PERSONAL)
        .order_by(had_newsletters.desc(), has_bought.desc(), _EVENT.c.id.desc())
        .limit(1)
    )
    return connection.scalar(query)
