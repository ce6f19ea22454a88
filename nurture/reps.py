"""When reps work and how much they take: hours, time off, holidays, territory, capacity. Clocks follow what changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from nurture.core.calendars import is_zone
from nurture.core.countries import code_of
from nurture.core.hours import parse_hours, say_hours
from nurture.core.model import Rep, RepId
from nurture.core.program import Program
from nurture.core.working import away_until, works_at
from nurture.db import handoffs, people
from nurture.db import reps as rows
from nurture.errors import NotFound, UsageError
from nurture.mail.address import normalize
from nurture.public_holidays import public_holidays

LONGEST_ABSENCE = timedelta(days=730)

USUAL = "usual"
"""What to say for the hours of the company instead of one's own."""

SETTINGS = (
    "title",
    "signature",
    "time_zone",
    "calendar_link",
    "daily_capacity",
    "hours",
    "country",
    "region",
    "territory",
    "most_open_handoffs",
    "handoffs_per_day",
    "active",
)
"""What can be said about a rep beside name and address."""


def find(connection: Connection, email: str) -> Rep:
    """Return the rep with that address, active or not; raise UsageError when it is none, NotFound."""
    try:
        key = normalize(email)
    except ValueError as error:
        raise UsageError(f"{email!r} is no address: {error}") from None
    found = next((rep for rep in people.reps(connection) if rep.email == key), None)
    if found is None:
        raise NotFound(f"there is no rep {key}: add one with `nurture reps add`, or see `nurture reps list`")
    return found


def change(connection: Connection, rep_id: RepId, given: Mapping[str, Any], now: datetime) -> None:
    """Change what is given of `SETTINGS` (and `name`); clocks of their handoffs are set again, the queue is tried.

    Raises UsageError with the first value that is not right; then nothing is changed.
    """
    values = {name: value for name, value in given.items() if name in (*SETTINGS, "name") and name != "hours"}
    if "hours" in given:
        values["calendar"] = _hours(given["hours"])
    if (zone := values.get("time_zone")) is not None and not is_zone(str(zone)):
        raise UsageError(f"there is no time zone {zone!r}; write it like Europe/Berlin")
    if "country" in values or "region" in values:
        values |= _place(connection, rep_id, values, now)
    for name in ("daily_capacity", "most_open_handoffs", "handoffs_per_day"):
        if (number := values.get(name)) is not None and number < 0:
            raise UsageError(f"{name.replace('_', ' ')} cannot be {number}")
    if not values:
        return
    people.update_rep(connection, rep_id, values)
    handoffs.wake_of(connection, rep_id, now)
    handoffs.wake_queue(connection, now)


def take_off(connection: Connection, rep: Rep, first: date, last: date, reason: str | None, now: datetime) -> int:
    """Add days off; return their number. Raises UsageError when they are in no order, too many, or known already."""
    if last < first:
        raise UsageError(f"the last day off ({last}) lies before the first ({first})")
    if last - first > LONGEST_ABSENCE:
        raise UsageError("nobody is off for more than two years: `nurture reps set --inactive`")
    key = rows.add_time_off(connection, rep.id, first, last, reason, now)
    if key is None:
        raise UsageError(f"{rep.name} has {first} to {last} off already")
    handoffs.wake_of(connection, rep.id, now)
    return key


def give_up_time_off(connection: Connection, key: int, now: datetime) -> None:
    """Remove days off by their number; raise NotFound."""
    rep_id = rows.remove_time_off(connection, key)
    if rep_id is None:
        raise NotFound(f"there is no time off {key}: nurture reps time-off list")
    handoffs.wake_of(connection, rep_id, now)
    handoffs.wake_queue(connection, now)


def time_off(connection: Connection, rep: Rep | None) -> list[dict[str, Any]]:
    """Return the days off of a rep (None: of all) as plain rows, the earliest first."""
    names = ("id", "email", "first_day", "last_day", "reason")
    return [
        {name.replace("email", "rep"): getattr(row, name) for name in names}
        for row in rows.time_off(connection, rep.id if rep else None)
    ]


def table(connection: Connection, program: Program | None, now: datetime) -> list[dict[str, Any]]:
    """Return every rep as a plain row: settings, whether they are there, how much they have."""
    owned, opened = people.contacts_owned(connection), rows.open_handoffs(connection)
    found = rows.rows(connection)
    at_work = _at_work(connection, program, [row.id for row in found], now)
    return [
        {
            "name": row.name,
            "email": row.email,
            "title": row.title,
            "time_zone": row.time_zone,
            "calendar_link": row.calendar_link,
            "daily_capacity": row.daily_capacity,
            "country": row.country,
            "region": row.region,
            "hours": say_hours(hours) if (hours := rows.hours_of(row)) else None,
            "territory": list(row.territory or ()),
            "most_open_handoffs": row.most_open_handoffs,
            "handoffs_per_day": row.handoffs_per_day,
            "active": row.active,
            "has_mailbox": row.has_mailbox,
            "now": at_work.get(row.id) if row.active else "not active",
            "open_handoffs": opened.get(row.id, 0),
            "contacts": owned.get(row.id, 0),
        }
        for row in found
    ]


def _at_work(connection: Connection, program: Program | None, ids: Sequence[int], now: datetime) -> dict[int, str]:
    """Say of each rep whether they work now, or until when they are away."""
    if program is None:
        return {}
    rules = program.lifecycle.handoff
    said = {}
    for key, calendar in rows.calendars(connection, ids, rules, program.company, now - timedelta(days=2), now).items():
        back = away_until(calendar, now)
        there = "works" if works_at(calendar, now) else "is free"
        said[key] = there if back is None else f"is away until {back}" if back < date.max else "never works"
    return said


def _hours(text: str) -> dict[str, Any] | None:
    if text.strip().lower() == USUAL:
        return None
    try:
        return rows.stored_hours(parse_hours(text))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _place(connection: Connection, rep_id: RepId, values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return country and region as they are stored, when their public holidays are known."""
    row = next(row for row in rows.rows(connection) if row.id == rep_id)
    country, region = values.get("country", row.country), values.get("region", row.region)
    if country is None:
        if region is not None:
            raise UsageError(f"say of which country {region!r} is a region: --country")
        return {}
    code = code_of(country) or country.strip().upper()
    if "country" in values and "region" not in values and code != row.country:
        region = None
    public_holidays(code, region, now.year, now.year)
    return {"country": code, "region": region}
