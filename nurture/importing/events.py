"""Events from elsewhere: one told on the command line, or a CSV of them. All go through the one door."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from nurture import intake
from nurture.core.events import KINDS
from nurture.core.mapping import Column, Expression
from nurture.core.model import AccountId, ContactId, Event
from nurture.core.program import Program
from nurture.db import people
from nurture.db.session import Database
from nurture.errors import ImportFailed, NotFound, UsageError
from nurture.importing import values
from nurture.importing.cells import Cells, Read
from nurture.importing.checks import meant
from nurture.importing.guess import key as header_key
from nurture.importing.page import digest
from nurture.importing.report import ImportReport, Tally
from nurture.importing.run import Job, Progress, carry_out
from nurture.importing.table import RawRow, Table, open_table
from nurture.mail.address import normalize
from nurture.people import find_contact

_HEADERS = {
    "email": ("email", "e mail", "email address", "address", "contact email"),
    "contact": ("contact id", "external id", "lead id", "prospect id", "contact"),
    "account": ("account domain", "company domain", "domain"),
    "kind": ("kind", "event", "event kind", "type", "event type"),
    "at": ("at", "time", "date", "timestamp", "when", "occurred at", "event time"),
    "id": ("id", "event id", "key"),
}


def record_event(
    connection: Connection,
    program: Program,
    who: str,
    kind: str,
    at: str | None,
    data: Mapping[str, str],
    external_id: str | None,
    now: datetime,
) -> tuple[Event, intake.Recorded]:
    """Record one event about the contact with that address, or about the account with that domain (without an @).

    `at` without an offset is in the company's zone.

    Raises:
        NotFound: nobody has that address, or no account that domain.
        UsageError: the kind, the moment or the address is not right.
    """
    _check_kind(kind, program)
    try:
        happened = values.moment(at, None, ZoneInfo(program.company.time_zone)) if at else now
        told: dict[str, object] = {name: values.plain(value) for name, value in data.items()}
    except ValueError as error:
        raise UsageError(str(error)) from None
    if happened > now:
        raise UsageError(f"{at} lies in the future: events are what has happened")
    contact_id, account_id = _subject(connection, who)
    name = external_id or f"{kind}:{_key(contact_id, account_id)}:{digest(happened, told)}"
    event = Event(kind, happened, "cli", name, contact_id, account_id, data=told)
    return event, intake.record(connection, program, [event], now)


def _subject(connection: Connection, who: str) -> tuple[ContactId | None, AccountId | None]:
    """Return the contact of an address, or the account of a domain."""
    if "@" in who:
        return find_contact(connection, who), None
    domain = who.strip().lower()
    account = next(iter(people.accounts(connection, [domain], [])), None)
    if account is None:
        raise NotFound(f"there is no account with the domain {domain}, and an address has an @")
    return None, AccountId(account.id)


def _key(contact_id: ContactId | None, account_id: AccountId | None) -> str:
    return str(contact_id) if contact_id is not None else f"account-{account_id}"


def import_events(
    database: Database,
    program: Program,
    path: Path,
    now: datetime,
    *,
    source: str | None = None,
    rejected: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import events from a CSV of: address or external id, kind, moment, id (optional), and columns of data.

    Raises ImportFailed when the file is no table or has no column for the person or the kind.
    """
    table = open_table(path)
    reader = _EventReader(table, program)
    source = source or path.stem

    def write(connection: Connection, page: Sequence[RawRow]) -> Tally:
        tally = Tally()
        events = _events(connection, reader, page, source, tally, now)
        recorded = intake.record(connection, program, events, now)
        tally.counts["events"] += recorded.added
        tally.counts["known"] += recorded.duplicates
        return tally

    return carry_out(
        database, Job(table, source, "events", ("events", "known", "rejected"), rejected), write, progress, now
    )


@dataclass(slots=True)
class _Heard:
    raw: RawRow
    email: str | None
    contact: str | None
    domain: str | None
    kind: str
    at: datetime | None
    id: str | None
    data: dict[str, object]


class _EventReader:
    """Reads rows of one table of events."""

    def __init__(self, table: Table, program: Program) -> None:
        names = {header_key(name): name for name in reversed(table.columns)}
        found = {field: next((names[h] for h in heads if h in names), None) for field, heads in _HEADERS.items()}
        if found["email"] is None and found["contact"] is None and found["account"] is None:
            what = "no column `email`, `contact_id` or `account_domain`"
            raise ImportFailed(f"{table.path} has {what}: whom are the events about?")
        if found["kind"] is None:
            raise ImportFailed(f"{table.path} has no column `kind`: which events are they?")
        cells = Cells(table.columns, frozenset())
        self._get: dict[str, Read | None] = {f: _read(cells, name) if name else None for f, name in found.items()}
        others = [name for name in table.columns if name not in found.values()]
        self._data = [(header_key(name).replace(" ", "_"), _read(cells, name)) for name in others]
        self._kinds = _kinds(program)
        self._or_domain = ", nor a company's domain" if found["account"] else ""
        self._zone: tzinfo = ZoneInfo(program.company.time_zone)

    def read(self, raw: RawRow, now: datetime) -> _Heard:
        """Return what the row says; raise ValueError with the reason that makes it unusable."""
        email, contact, kind = self._text(raw, "email"), self._text(raw, "contact"), self._text(raw, "kind")
        domain = self._text(raw, "account")
        if kind not in self._kinds:
            raise ValueError(f"there is no event kind {kind!r}" if kind else "has no kind")
        if email is None and contact is None and domain is None:
            raise ValueError("has neither an address nor a contact's id" + self._or_domain)
        written = self._text(raw, "at")
        at = values.moment(written, None, self._zone) if written else None
        if at is not None and at > now:
            raise ValueError(f"{written} lies in the future")
        data = {name: values.plain(str(value)) for name, get in self._data if (value := get(raw.cells)) is not None}
        return _Heard(
            raw,
            normalize(email) if email else None,
            contact,
            domain and domain.lower(),
            kind,
            at,
            self._text(raw, "id"),
            dict(data),
        )

    def _text(self, raw: RawRow, name: str) -> str | None:
        get = self._get[name]
        value = get(raw.cells) if get else None
        return None if value is None else str(value)


def _events(
    connection: Connection, reader: _EventReader, page: Sequence[RawRow], source: str, tally: Tally, now: datetime
) -> list[Event]:
    heard = []
    for raw in page:
        if raw.fault is not None:
            tally.reject(raw, raw.fault)
            continue
        try:
            heard.append(reader.read(raw, now))
        except ValueError as error:
            tally.reject(raw, str(error))
    by_key = people.by_address(connection, {row.email for row in heard if row.email})
    by_id = people.by_any_external_id(connection, {row.contact for row in heard if row.contact})
    alone = {row.domain for row in heard if row.domain and not row.email and not row.contact}
    by_domain = {row.domain: AccountId(row.id) for row in people.accounts(connection, alone, [])}
    events = []
    for row in heard:
        if row.domain in alone and not row.email and not row.contact:
            if row.domain in by_domain:
                events.append(_event(row, None, by_domain[row.domain], source, now))
            else:
                tally.reject(row.raw, f"there is no account with the domain {row.domain}: import contacts first")
            continue
        found = {by_key[row.email]} if row.email in by_key else by_id.get(row.contact or "", set())
        if len(found) == 1:
            events.append(_event(row, next(iter(found)), None, source, now))
        else:
            tally.reject(row.raw, _why(row, found))
    return events


def _event(
    row: _Heard, contact_id: ContactId | None, account_id: AccountId | None, source: str, now: datetime
) -> Event:
    name = row.id or f"{row.kind}:{_key(contact_id, account_id)}:{digest(row.at, row.data)}"
    return Event(row.kind, row.at or now, f"import:{source}", name, contact_id, account_id, data=row.data)


def _why(row: _Heard, found: Collection[ContactId]) -> str:
    if found:
        return f"{len(found)} contacts have the id {row.contact}: give the address"
    return f"there is no contact {row.email or row.contact}: import contacts first"


def _read(cells: Cells, name: str) -> Read:
    return cells.reader(Expression((Column(name),)))


def _kinds(program: Program) -> frozenset[str]:
    return frozenset(KINDS) | program.lifecycle.event_kinds


def _check_kind(kind: str, program: Program) -> None:
    known = sorted(_kinds(program))
    if kind not in known:
        hint = meant(kind, known) or f"the kinds are {', '.join(known)}"
        raise UsageError(f"there is no event kind {kind!r}, {hint}")
