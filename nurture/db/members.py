"""Who is in which segment: read for a page of contacts, written in bulk, and filled set-based when a segment is new."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from nurture.core.comparing import Op
from nurture.core.conditions import Any as AnyOf
from nurture.core.conditions import Compare, Condition, Did, Not
from nurture.core.lifecycle import Lifecycle
from nurture.core.segments import Segments
from nurture.core.words import TimerKind
from nurture.db import segments, tables
from nurture.db.bulk import in_page, insert_new, upsert

MEMBER = tables.SegmentMember.__table__
FILL = tables.SegmentFill.__table__
CONTACT = tables.Contact.__table__
TIMER = tables.Timer.__table__

GONE = ""
"""What a segment means that the live program no longer has: nobody is in it."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A segment that is not filled yet: up to which contact it is, and whether it is one at all any more."""

    segment: str
    filled_to: int
    gone: bool


def of(connection: Connection, contact_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """Return the segments of each contact that is in any."""
    found: dict[int, set[str]] = {}
    query = sa.select(MEMBER.c.contact_id, MEMBER.c.segment).where(in_page(MEMBER.c.contact_id, contact_ids))
    for contact_id, segment in connection.execute(query):
        found.setdefault(contact_id, set()).add(segment)
    return {contact_id: frozenset(names) for contact_id, names in found.items()}


def enter(connection: Connection, pairs: Iterable[tuple[int, str]], now: datetime) -> None:
    """Put contacts into segments; who is in already stays since when they were."""
    rows = [{"contact_id": contact_id, "segment": segment, "since": now} for contact_id, segment in pairs]
    insert_new(connection, MEMBER, rows, ["contact_id", "segment"])


def leave(connection: Connection, pairs: Iterable[tuple[int, str]]) -> None:
    """Take contacts out of segments: one statement for every segment that is left."""
    left: dict[str, list[int]] = {}
    for contact_id, segment in pairs:
        left.setdefault(segment, []).append(contact_id)
    for segment, contact_ids in left.items():
        mine = (MEMBER.c.segment == segment, in_page(MEMBER.c.contact_id, contact_ids))
        connection.execute(MEMBER.delete().where(*mine))


def counts(connection: Connection) -> dict[str, int]:
    """Return how many contacts are in each segment, as it is kept."""
    query = sa.select(MEMBER.c.segment, sa.func.count()).group_by(MEMBER.c.segment)
    return {row[0]: row[1] for row in connection.execute(query)}


def since(connection: Connection, segment: str, contact_ids: Collection[int]) -> dict[int, datetime]:
    """Return since when contacts are in a segment."""
    query = sa.select(MEMBER.c.contact_id, MEMBER.c.since)
    mine = (MEMBER.c.segment == segment, in_page(MEMBER.c.contact_id, contact_ids))
    return {row[0]: row[1] for row in connection.execute(query.where(*mine))}


# --- filling ----------------------------------------------------------------------------------------------------------


def sync(connection: Connection, meanings: Mapping[str, str]) -> None:
    """Let segments that are new, or mean something else, be filled, and those that are gone be emptied."""
    known = {row.segment: row.meaning for row in connection.execute(sa.select(FILL.c.segment, FILL.c.meaning))}
    wanted = {**dict.fromkeys(known, GONE), **meanings}
    again(connection, {name: meaning for name, meaning in wanted.items() if known.get(name) != meaning})


def again(connection: Connection, meanings: Mapping[str, str]) -> None:
    """Let segments be filled from the beginning."""
    rows = [
        {"segment": name, "meaning": meaning, "filled_to": 0, "filled_at": None} for name, meaning in meanings.items()
    ]
    upsert(connection, FILL, rows, ["segment"])


def behind(connection: Connection) -> list[Behind]:
    """Return the segments that are not filled, those first that have come least far."""
    query = sa.select(FILL).where(FILL.c.filled_at.is_(None)).order_by(FILL.c.filled_to, FILL.c.segment)
    return [Behind(row.segment, row.filled_to, row.meaning == GONE) for row in connection.execute(query)]


def filled_at(connection: Connection) -> dict[str, datetime | None]:
    """Return when each segment was filled, None for those that are being filled."""
    return {row.segment: row.filled_at for row in connection.execute(sa.select(FILL).where(FILL.c.meaning != GONE))}


def next_page(connection: Connection, after: int, limit: int) -> list[int]:
    """Return the next contacts by key, whoever they are."""
    query = sa.select(CONTACT.c.id).where(CONTACT.c.id > after).order_by(CONTACT.c.id).limit(limit)
    return list(connection.scalars(query))


def fill(
    connection: Connection,
    name: str,
    every: Segments,
    lifecycle: Lifecycle,
    page: tuple[int, int],
    now: datetime,
    review_by: datetime,
) -> None:
    """Let exactly those contacts of a page (after, up to) be in a segment who belong to it.

    Whoever time alone may move gets a review at `review_by`, if none was to come sooner.
    """
    after, last = page
    rule = every.rules[name]
    matching = segments.select(connection, rule, lifecycle, now, few=True).where(
        CONTACT.c.id > after, CONTACT.c.id <= last
    )
    here = (MEMBER.c.segment == name, MEMBER.c.contact_id > after, MEMBER.c.contact_id <= last)
    connection.execute(MEMBER.delete().where(*here, MEMBER.c.contact_id.not_in(matching)))
    rows = matching.add_columns(sa.literal(name, sa.String), sa.literal(now, MEMBER.c.since.type))
    connection.execute(_insert(connection, MEMBER, ("contact_id", "segment", "since"), rows).on_conflict_do_nothing())
    if (moving := moved_by_time(name, every, lifecycle)) is not None:
        moved = segments.select(connection, moving, lifecycle, now, few=True).where(
            CONTACT.c.id > after, CONTACT.c.id <= last
        )
        _review(connection, moved, review_by)


def empty(connection: Connection, name: str, page: tuple[int, int]) -> None:
    """Take the contacts of a page (after, up to) out of a segment that is gone."""
    after, last = page
    here = (MEMBER.c.segment == name, MEMBER.c.contact_id > after, MEMBER.c.contact_id <= last)
    connection.execute(MEMBER.delete().where(*here))


def filled(connection: Connection, names: Sequence[str], to: int) -> None:
    """Note how far segments have come."""
    connection.execute(FILL.update().where(FILL.c.segment.in_(names)).values(filled_to=to))


def complete(connection: Connection, every: Sequence[Behind], now: datetime) -> None:
    """Note that segments are filled; of those that are gone nothing is left."""
    names = [one.segment for one in every]
    connection.execute(FILL.delete().where(FILL.c.segment.in_(names), FILL.c.meaning == GONE))
    connection.execute(FILL.update().where(FILL.c.segment.in_(names)).values(filled_at=now))


def moved_by_time(name: str, every: Segments, lifecycle: Lifecycle) -> Condition | None:
    """Return a condition for everybody whom time alone may take into a segment or out of it, None if it moves nobody.

    It holds for more people than that: a review finds out when, and whether.
    """
    found: list[Condition] = []
    for rule, seen in every.watched(lifecycle):
        if rule == every.rules[name]:
            found += [Did(did.event, did.within) for did in seen.windows]
            found += [Not(idle) for idle in seen.silences]
            found += [Compare("engagement", Op.GT, 0)] if seen.thresholds else []
            found += [Compare("slots_filled", Op.GT, 0)] if seen.slots else []
    return AnyOf(tuple(found)) if found else None


def _review(connection: Connection, contacts: sa.Select[Any], at: datetime) -> None:
    columns = ("subject_id", "kind", "due_at", "attempts")
    rows = contacts.add_columns(
        sa.literal(TimerKind.REVIEW.value, sa.String), sa.literal(at, TIMER.c.due_at.type), sa.literal(0)
    )
    statement = _insert(connection, TIMER, columns, rows)
    sooner = sa.case((TIMER.c.due_at < statement.excluded.due_at, TIMER.c.due_at), else_=statement.excluded.due_at)
    connection.execute(statement.on_conflict_do_update(index_elements=["kind", "subject_id"], set_={"due_at": sooner}))


def _insert(connection: Connection, table: sa.Table, columns: Sequence[str], rows: sa.Select[Any]) -> Any:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).from_select(list(columns), rows, include_defaults=False)
