"""Named queries for when reps work and how much they have: calendars, time off, handoffs open and got today."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from nurture.core.calendars import is_zone
from nurture.core.countries import zone_of
from nurture.core.handoff import Handoff
from nurture.core.model import Company
from nurture.core.routing import Candidate
from nurture.core.windows import Window
from nurture.core.words import HandoffState
from nurture.core.working import WorkingCalendar, midnight
from nurture.db import tables
from nurture.db.bulk import in_page, insert_new, page_columns, page_parameters
from nurture.db.people import rep_of
from nurture.public_holidays import known_or_none

_REP = tables.Rep.__table__
_OFF = tables.TimeOff.__table__
_HANDOFF = tables.Handoff.__table__
_SENDER = tables.Sender.__table__

_AHEAD = 2
"""Years for which public holidays are asked: as far as a working calendar looks."""


def candidates(connection: Connection, rules: Handoff, company: Company, now: datetime) -> tuple[Candidate, ...]:
    """Return the active reps with their calendars and what they have, by key: four queries."""
    rows = connection.execute(_reps().where(_REP.c.active).order_by(_REP.c.id)).fetchall()
    calendars = _calendars(connection, rows, rules, company, now - timedelta(days=2), now)
    opened = _counted(connection, [row.id for row in rows])
    today = _today(connection, {key: midnight(calendar, now) for key, calendar in calendars.items()})
    return tuple(
        Candidate(
            rep=rep_of(row),
            calendar=calendars[row.id],
            open=opened.get(row.id, 0),
            today=today.get(row.id, 0),
            most_open=row.most_open_handoffs if row.most_open_handoffs is not None else rules.most_open,
            per_day=row.handoffs_per_day if row.handoffs_per_day is not None else rules.per_day,
            territory=tuple(row.territory or ()),
            has_mailbox=row.has_mailbox,
        )
        for row in rows
    )


def calendars(
    connection: Connection, ids: Collection[int], rules: Handoff, company: Company, since: datetime, now: datetime
) -> dict[int, WorkingCalendar]:
    """Return when those reps work and worked, with their days off from `since` on."""
    rows = connection.execute(select(_REP).where(in_page(_REP.c.id, ids))).fetchall() if ids else []
    return _calendars(connection, rows, rules, company, since, now)


def office(rules: Handoff, company: Company) -> WorkingCalendar:
    """Return the hours of the company, for what no rep has."""
    return WorkingCalendar(company.time_zone if is_zone(company.time_zone) else "UTC", rules.hours)


def time_off(connection: Connection, rep_id: int | None = None) -> Sequence[Row[Any]]:
    """Return the time off of a rep (None: of all), the earliest first, each with the rep's address."""
    columns: list[Any] = [*_OFF.c, _REP.c.email, _REP.c.name]
    query = select(*columns).join(_REP, _REP.c.id == _OFF.c.rep_id)
    if rep_id is not None:
        query = query.where(_OFF.c.rep_id == rep_id)
    return connection.execute(query.order_by(_OFF.c.first_day, _OFF.c.id)).fetchall()


def add_time_off(
    connection: Connection, rep_id: int, first: date, last: date, reason: str | None, now: datetime
) -> int | None:
    """Add days off; return their key, None when they are known already."""
    row = {"rep_id": rep_id, "first_day": first, "last_day": last, "reason": reason, "created_at": now}
    added = insert_new(connection, _OFF, [row], ("rep_id", "first_day", "last_day"), ("id",))
    return added[0][0] if added else None


def remove_time_off(connection: Connection, key: int) -> int | None:
    """Remove days off; return whose they were."""
    removing = _OFF.delete().where(_OFF.c.id == key).returning(_OFF.c.rep_id)
    found: int | None = connection.scalar(removing)
    return found


def set_values(connection: Connection, rep_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of a rep."""
    if values:
        connection.execute(_REP.update().where(_REP.c.id == rep_id).values(values))


def rows(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows of all reps, by name, each with whether they have a mailbox to write from."""
    return connection.execute(_reps().order_by(_REP.c.name, _REP.c.id)).fetchall()


def has_mailbox(connection: Connection, rep_id: int) -> bool:
    """Tell whether a rep has a sender that personal mail can go out from."""
    return connection.scalar(select(_SENDER.c.id).where(_SENDER.c.rep_id == rep_id).limit(1)) is not None


def open_handoffs(connection: Connection) -> dict[int, int]:
    """Return how many handoffs are open with each rep."""
    query = select(_HANDOFF.c.rep_id, func.count().label("number")).where(_HANDOFF.c.state == HandoffState.OPEN)
    return {row.rep_id: row.number for row in connection.execute(query.group_by(_HANDOFF.c.rep_id))}


def stored_hours(hours: Iterable[Window]) -> dict[str, Any]:
    """Return working hours as the column `calendar` holds them."""
    return {"hours": [[sorted(each.days), f"{each.opens:%H:%M}", f"{each.closes:%H:%M}"] for each in hours]}


def hours_of(row: Row[Any]) -> tuple[Window, ...] | None:
    """Return a rep's own working hours, None when they have none."""
    if not row.calendar:
        return None
    return tuple(
        Window(frozenset(days), time.fromisoformat(opens), time.fromisoformat(closes), 0)
        for days, opens, closes in row.calendar["hours"]
    )


def _reps() -> Select[Any]:
    mailbox = select(_SENDER.c.id).where(_SENDER.c.rep_id == _REP.c.id).exists()
    columns: list[Any] = [*_REP.c, mailbox.label("has_mailbox")]
    return select(*columns)


def _calendars(
    connection: Connection, reps: Sequence[Row[Any]], rules: Handoff, company: Company, since: datetime, now: datetime
) -> dict[int, WorkingCalendar]:
    off: dict[int, set[date]] = {}
    query = select(_OFF).where(in_page(_OFF.c.rep_id, [row.id for row in reps]), _OFF.c.last_day >= since.date())
    for row in connection.execute(query) if reps else ():
        days = range((row.last_day - row.first_day).days + 1)
        off.setdefault(row.rep_id, set()).update(row.first_day + timedelta(days=day) for day in days)
    years = since.year, now.year + _AHEAD
    return {
        row.id: WorkingCalendar(
            zone=_zone(row, company),
            hours=hours_of(row) or rules.hours,
            time_off=frozenset(off.get(row.id, ())),
            holidays=known_or_none(row.country, row.region, *years),
        )
        for row in reps
    }


def _zone(row: Row[Any], company: Company) -> str:
    names = (row.time_zone, zone_of(row.country), company.time_zone)
    return next((name for name in names if name and is_zone(name)), "UTC")


def _counted(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    query = select(_HANDOFF.c.rep_id, func.count().label("number")).where(
        _HANDOFF.c.state == HandoffState.OPEN, in_page(_HANDOFF.c.rep_id, ids)
    )
    return {row.rep_id: row.number for row in connection.execute(query.group_by(_HANDOFF.c.rep_id))}


def _today(connection: Connection, since: Mapping[int, datetime]) -> dict[int, int]:
    """Return how many handoffs each rep was given since a moment of their own, whoever has them now."""
    if not since:
        return {}
    assignment = tables.Assignment.__table__
    page = page_columns(assignment, ("rep_id", "at"), connection.dialect.name)
    given = (assignment.c.rep_id == page["rep_id"]) & (assignment.c.at >= page["at"])
    query = select(assignment.c.rep_id, func.count().label("number")).where(given).group_by(assignment.c.rep_id)
    rows_ = [{"rep_id": key, "at": at} for key, at in since.items()]
    found = connection.execute(query, page_parameters(connection, assignment, rows_))
    return {row.rep_id: row.number for row in found}
