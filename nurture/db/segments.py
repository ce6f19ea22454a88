"""Conditions as SQL: the contacts for whom a condition holds, in one statement, equal to asking each one in Python.

Logic is two-valued: where NULL could become a yes (below a `not`), every part says first that unknown means no. What
people do is asked of the events that situations remember; scores are read as they were stored. Business days are
counted in each contact's own zone: their cut-offs are computed in Python, zone by zone, and travel with the statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any as Anything
from typing import assert_never

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from nurture.core.calendars import is_zone
from nurture.core.comparing import Op, comparison
from nurture.core.conditions import (
    PROBABLY_HUMAN,
    All,
    Any,
    Compare,
    Condition,
    Did,
    Idle,
    InSegment,
    Not,
    leaves,
    mentions,
    signal_kinds,
)
from nurture.core.countries import zone_of
from nurture.core.lifecycle import Lifecycle
from nurture.core.lookback import Stretch, cut, stretches
from nurture.core.spans import Span
from nurture.db import tables
from nurture.db.asked import ACCOUNT, CONTACT, Terms, beside, by_stage, side
from nurture.db.sides import Answer, Side
from nurture.db.types import Moment

EVENT = tables.Event.__table__
MEMBER = tables.SegmentMember.__table__


def select(
    connection: Connection, condition: Condition, lifecycle: Lifecycle, now: datetime, *, few: bool = False
) -> sa.Select[Anything]:
    """Return the query for the keys of the contacts for whom the condition holds at `now`; add columns to taste.

    Contacts that were merged or erased are nobody. `lifecycle.memory` says how far back events are looked for. `few`
    says that the caller asks for a page only: SQLite, which cannot tell, then looks at each contact's own events.
    """
    spans = business_spans(condition)
    zones = _zones(connection) if spans else _Zones()
    asking = _Asking(Terms(lifecycle, now - lifecycle.memory, connection.dialect.name), now, zones, few)
    people = beside(mentions(condition), zones=bool(spans))
    here = (CONTACT.c.merged_into.is_(None), CONTACT.c.erased_at.is_(None))
    return sa.select(CONTACT.c.id).select_from(people).where(*here, asking.say(condition, strict=False))


def count(connection: Connection, condition: Condition, lifecycle: Lifecycle, now: datetime) -> int:
    """Return for how many contacts the condition holds."""
    found = select(connection, condition, lifecycle, now)
    return int(connection.scalar(found.with_only_columns(sa.func.count(), maintain_column_froms=True)) or 0)


def business_spans(condition: Condition) -> set[Span]:
    """Return the spans of business days that a condition counts."""
    spans = (_span(leaf) for leaf in leaves(condition))
    return {span for span in spans if span is not None and span.elapsed is None}


def _span(leaf: Condition) -> Span | None:
    match leaf:
        case Did(within=span):
            return span
        case Idle(length):
            return length
    return None


@dataclass(frozen=True, slots=True)
class _Zones:
    """Which zone counts for a contact, by what is written of them: the names and countries in use, and their zones."""

    names: tuple[str, ...] = ()
    countries: Mapping[str, str] = field(default_factory=dict)

    @property
    def used(self) -> set[str]:
        """Every zone that some contact may be in."""
        return {*self.names, *self.countries.values(), "UTC"}

    def term(self) -> sa.ColumnElement[str]:
        """Return the zone of a contact, found as `calendars.resolve_zone` finds it."""
        found = [
            each
            for table in (CONTACT, ACCOUNT)
            for each in (_named(table.c.time_zone, self.names), _mapped(table.c.country, self.countries))
            if each is not None
        ]
        return sa.func.coalesce(*found, "UTC", type_=sa.Text()) if found else sa.literal("UTC", sa.Text())


def _named(column: Anything, names: tuple[str, ...]) -> Anything:
    return sa.case((column.in_(names), column)) if names else None


def _mapped(column: Anything, zones: Mapping[str, str]) -> Anything:
    return sa.case(*((column == raw, zone) for raw, zone in zones.items())) if zones else None


def _zones(connection: Connection) -> _Zones:
    """Read which zones and countries there are."""
    names = _distinct(connection, "time_zone")
    countries = {raw: zone for raw in _distinct(connection, "country") if (zone := zone_of(raw)) and is_zone(zone)}
    return _Zones(tuple(name for name in names if is_zone(name)), countries)


def _distinct(connection: Connection, column: str) -> list[str]:
    both = sa.union(*(sa.select(table.c[column]).distinct() for table in (CONTACT, ACCOUNT)))
    return sorted(value for value in connection.scalars(both) if value)


@dataclass(frozen=True, slots=True)
class _Asking:
    """Turns a condition into SQL, under `terms` at `now`."""

    terms: Terms
    now: datetime
    zones: _Zones
    few: bool = False

    def say(self, condition: Condition, *, strict: bool) -> Answer:
        """Return the condition; `strict` where NULL must be false, because somebody negates the answer."""
        match condition:
            case Compare():
                return _strictly(self._compare(condition), strict)
            case All(of):
                return sa.and_(sa.true(), *(self.say(part, strict=strict) for part in of))
            case Any(of):
                return sa.or_(sa.false(), *(self.say(part, strict=strict) for part in of))
            case Not(of):
                return sa.not_(self.say(of, strict=True))
            case Did():
                return self._did(condition)
            case Idle(length):
                return self._idle(length)
            case InSegment(name):
                mine = MEMBER.c.contact_id == CONTACT.c.id
                return sa.select(MEMBER.c.segment).where(mine, MEMBER.c.segment == name).correlate(CONTACT).exists()
            case _:
                assert_never(condition)

    def _compare(self, compare: Compare) -> Answer:
        if compare.field in ("role", "voice"):
            holds = comparison(compare.op, compare.value)
            return by_stage(self.terms.lifecycle, lambda stage: holds(getattr(stage, compare.field).value))
        return _compared(side(compare.field, self.terms), compare)

    def _did(self, did: Did) -> Answer:
        if did.within is None:
            return self._happened(did, ())
        if did.within.elapsed is None:
            windows = self._windows(did.within)
            recent = (EVENT.c.at >= at for at in _earliest(windows))
            asked = (*recent, _inside(windows, EVENT.c.at, self.zones.term()))
            return self._happened(did, asked, correlated=True)
        begins = cut(did.within, self.now)
        return self._happened(did, (EVENT.c.at > begins,) if begins else ())

    def _happened(self, did: Did, asked: tuple[Answer, ...], *, correlated: bool = False) -> Answer:
        # The kind is written out, so that the index of what people do is seen to hold it.
        kind = sa.literal(did.event, sa.String, literal_execute=True)
        often_asked = did.event not in tables.UNASKED_KINDS
        one_by_one = correlated or self.few or not often_asked
        column = _Unindexed(EVENT.c.kind) if one_by_one else EVENT.c.kind
        rows: list[Anything] = [column == kind, *self._counting(), *asked]
        if often_asked:
            rows.append(sa.text(tables.asked(self.terms.dialect)))
        mine = EVENT.c.contact_id == CONTACT.c.id
        if did.at_least <= 0:
            return sa.true()
        sqlite = self.terms.dialect == "sqlite"
        if did.at_least == 1 and (one_by_one or not sqlite):
            return sa.select(EVENT.c.id).where(mine, *rows).correlate(CONTACT, ACCOUNT).exists()
        if correlated or (one_by_one and sqlite):
            counted = sa.select(sa.func.count()).select_from(EVENT).where(mine, *rows).correlate(CONTACT, ACCOUNT)
            return counted.scalar_subquery() >= did.at_least
        often = sa.select(EVENT.c.contact_id).where(EVENT.c.contact_id.is_not(None), *rows)
        often = often.group_by(EVENT.c.contact_id).having(sa.func.count() >= did.at_least)
        if sqlite:
            return CONTACT.c.id.in_(often)
        listed = often.subquery("often")  # NOT IN would not become a join
        return sa.select(listed.c.contact_id).where(listed.c.contact_id == CONTACT.c.id).correlate(CONTACT).exists()

    def _idle(self, length: Span) -> Answer:
        kinds = _Unindexed(EVENT.c.kind).in_(sorted(signal_kinds(self.terms.lifecycle)))
        signals: list[Answer] = [EVENT.c.contact_id == CONTACT.c.id, kinds]
        signals += self._counting()
        if length.elapsed is not None:
            begins = cut(length, self.now)
            if begins is None:
                return sa.false()
            spoke = sa.select(EVENT.c.id).where(*signals, EVENT.c.at > begins).correlate(CONTACT)
            return sa.and_(CONTACT.c.stage_since <= begins, sa.not_(spoke.exists()))
        windows = self._windows(length)
        signals += [EVENT.c.at >= at for at in _earliest(windows)]
        last = sa.select(sa.func.max(EVENT.c.at, type_=Moment)).where(*signals).correlate(CONTACT).scalar_subquery()
        since = CONTACT.c.stage_since
        latest = sa.func.max if self.terms.dialect == "sqlite" else sa.func.greatest
        later = latest(since, sa.func.coalesce(last, since), type_=Moment())
        return sa.not_(_inside(windows, later, self.zones.term()))

    def _counting(self) -> Iterator[Answer]:
        yield EVENT.c.trust >= PROBABLY_HUMAN
        yield EVENT.c.at >= self.terms.since

    def _windows(self, span: Span) -> _Windows:
        """Return when something must have happened for the span not to be over, and in which of the zones in use."""
        found: dict[tuple[Stretch, ...], list[str]] = {}
        for zone in self.zones.used:
            found.setdefault(stretches(span, zone, self.now), []).append(zone)
        return list(found.items())


_Windows = list[tuple[tuple[Stretch, ...], list[str]]]


def _earliest(windows: _Windows) -> tuple[datetime, ...]:
    """Return the first moment that lies in any of them, nothing where they have no beginning."""
    begins = [since for found, _ in windows for since, _ in found]
    return () if None in begins else (min(at for at in begins if at is not None),)


class _Unindexed(FunctionElement[str]):
    """A column whose index SQLite is not to take: it would read everybody's events for each contact."""

    name = "unindexed"
    type = sa.String()
    inherit_cache = True


@compiles(_Unindexed, "sqlite")
def _with_plus(element: _Unindexed, compiler: Anything, **options: Anything) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(_Unindexed, "postgresql")
def _as_it_is(element: _Unindexed, compiler: Anything, **options: Anything) -> str:
    return str(compiler.process(element.clauses, **options))


def _compared(left: Side, compare: Compare) -> Answer:
    op, value = compare.op, compare.value
    match op:
        case Op.EQ:
            return left.equals(value)
        case Op.NE:
            return sa.not_(_strictly(left.equals(value), True))
        case Op.IN:
            return left.among(value) if isinstance(value, tuple) else sa.false()
        case Op.NOT_IN:
            return sa.not_(_strictly(left.among(value), True)) if isinstance(value, tuple) else sa.true()
        case Op.CONTAINS:
            return left.contains(value) if isinstance(value, str) else sa.false()
        case Op.KNOWN:
            return left.known()
        case Op.UNKNOWN:
            return sa.not_(_strictly(left.known(), True))
        case Op.LT | Op.LE | Op.GT | Op.GE:
            return left.ordered(op, value)
        case _:
            assert_never(op)


def _strictly(answer: Answer, strict: bool) -> Answer:
    """Return an answer that is never NULL, if it must not be."""
    if not strict or isinstance(answer, sa.True_ | sa.False_ | sa.Exists):
        return answer
    return sa.func.coalesce(answer, sa.false(), type_=sa.Boolean())


def _inside(windows: _Windows, at: Anything, zone: sa.ColumnElement[str]) -> Answer:
    """Return that a moment lies in one of the stretches of its zone."""
    if len(windows) == 1:
        return sa.or_(*(_between(at, *each) for each in windows[0][0]))
    return sa.or_(
        *(
            sa.and_(zone.in_(sorted(names)), sa.or_(*(_between(at, *each) for each in found)))
            for found, names in windows
        )
    )


def _between(at: Anything, since: datetime | None, until: datetime | None) -> Answer:
    edges = [at >= since] if since is not None else []
    edges += [at < until] if until is not None else []
    return sa.and_(sa.true(), *edges)
