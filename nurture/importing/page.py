"""Writing a page of rows: who they are, what is new about them, and what they tell. A constant number of statements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from nurture import intake
from nurture.core.model import ContactId, Event
from nurture.core.program import Program
from nurture.db import people, situations, suppressions, tables
from nurture.db.bulk import insert_rows, reserve_ids, update_rows
from nurture.importing.companies import Companies
from nurture.importing.newcomers import Origin, Person, situations_of
from nurture.importing.report import Tally
from nurture.importing.rows import Row
from nurture.importing.table import RawRow
from nurture.mail.keys import KeyRing
from nurture.people import suppressed

_COLUMNS = ("first_name", "last_name", "title", "buying_role", "time_zone", "locale", "country", "source")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a page needs to know beside its rows. `system` names whose ids the rows carry, `file` is the file's hash."""

    program: Program
    ring: KeyRing
    source: str
    system: str
    file: str
    now: datetime

    @property
    def origin(self) -> Origin:
        """Where new contacts come from, as their history tells it."""
        return Origin(self.source, "imported", f"import: {self.source}")


def write_page(connection: Connection, page: Sequence[tuple[RawRow, Row]], setting: Setting, tally: Tally) -> None:
    """Write the rows and what follows from them; count what became of each, and reject those that fit nobody."""
    new, old, wished = write_people(connection, page, setting, tally)
    told = [event for person in (*new, *old) for event in _events(person, setting)]
    told += suppressed(connection, wished, setting.now)
    known = situations_of(connection, new, setting.program.lifecycle, setting.origin, setting.now)
    recorded = intake.record(connection, setting.program, told, setting.now, known=known)
    tally.counts["suppressed"] += len({wish.address for wish in wished})
    tally.counts["events"] += recorded.added
    _count(tally, new, old)


def write_people(
    connection: Connection, page: Sequence[tuple[RawRow, Row]], setting: Setting, tally: Tally
) -> tuple[list[Person], list[Person], list[suppressions.Wish]]:
    """Write the people of a page, their accounts and addresses; return the new ones, the old ones, and new wishes."""
    people.lock_new(connection)
    cast = _Cast(connection, [row for _, row in page], setting)
    for raw, row in page:
        if (obstacle := cast.add(row)) is not None:
            tally.reject(raw, obstacle)
    tally.counts["accounts"] += cast.companies.write(setting.now)
    new, old = cast.new(), cast.old()
    _insert(connection, new, setting)
    _update(connection, old, setting)
    _add_addresses(connection, [*new, *old], setting)
    return new, old, _suppress(connection, [*new, *old], setting)


class _Cast:
    """The people of a page, found by external id, else by address."""

    def __init__(self, connection: Connection, rows: Sequence[Row], setting: Setting) -> None:
        ids = {row.external_id for row in rows if row.external_id is not None}
        keys = {row.email_key for row in rows if row.email_key is not None}
        by_id = people.by_external_id(connection, setting.system, ids)
        by_key = people.by_address(connection, keys)
        # Locked in id order before they are read, so that what is merged into them is what they hold now.
        live = situations.lock(connection, {*by_id.values(), *by_key.values()})
        known = people.address_keys(connection, live)
        self._people = {
            key: Person(ContactId(key), old, known=known.get(key, []))
            for key, old in people.contact_rows(connection, live).items()
        }
        self._gone = Person()
        self._by_id = {name: self._people.get(key, self._gone) for name, key in by_id.items()}
        self._by_key = {name: self._people.get(key, self._gone) for name, key in by_key.items()}
        self._owners = people.active_reps(connection, {row.owner for row in rows if row.owner is not None})
        self._new: list[Person] = []
        self.companies = Companies(connection, rows)

    def add(self, row: Row) -> str | None:
        """Take a row over; return the reason why that cannot be."""
        by_id = self._by_id.get(row.external_id) if row.external_id is not None else None
        by_key = self._by_key.get(row.email_key) if row.email_key is not None else None
        if by_id is self._gone or by_key is self._gone:
            return "belongs to a contact that was merged or erased"
        if by_id is not None and by_key is not None and by_id is not by_key:
            return "its id and its address belong to two different contacts: merge them first"
        if row.owner is not None and row.owner not in self._owners:
            return f"owner: there is no active rep {row.owner}; add them with `nurture reps add`"
        person = by_id or by_key
        if person is None:
            person = Person()
            self._new.append(person)
        self._take(person, row, by_id is None, by_key is None)
        return None

    def new(self) -> list[Person]:
        """Return the people that are not in the database yet."""
        return self._new

    def old(self) -> list[Person]:
        """Return the known people that rows were about."""
        return [person for person in self._people.values() if person.rows]

    def _take(self, person: Person, row: Row, new_id: bool, new_key: bool) -> None:
        person.rows += 1
        person.values |= row.contact
        person.fields |= row.fields
        person.owner = self._owners[row.owner] if row.owner is not None else person.owner
        person.company = self.companies.of(row) or person.company
        person.told += row.events
        person.wishes += [(row.email_key, scope, reason) for scope, reason in row.suppressions]
        if row.external_id is not None and new_id:
            person.external_ids.append(row.external_id)
            self._by_id[row.external_id] = person
        if row.email_key is not None and row.email is not None and new_key:
            person.emails[row.email_key] = row.email
            self._by_key[row.email_key] = person


# --- rows -------------------------------------------------------------------------------------------------------------


def _insert(connection: Connection, new: Sequence[Person], setting: Setting) -> None:
    start, now = setting.program.lifecycle.start, setting.now
    for person, key in zip(new, reserve_ids(connection, tables.Contact, len(new)), strict=True):
        person.id = ContactId(key)
    fixed = {"stage": start, "stage_since": now, "created_at": now, "updated_at": now}
    rows = [{"id": person.id, **_first(person, setting.source), **fixed} for person in new]
    insert_rows(connection, tables.Contact, rows)
    origin = setting.origin
    entered = {"to_stage": start, "at": now, "reason": origin.reason, "actor": origin.actor}
    insert_rows(connection, tables.StageChange, [{"contact_id": person.id, **entered} for person in new])


def _first(person: Person, source: str) -> dict[str, Any]:
    said = person.values.get
    return {
        **{name: said(name) for name in _COLUMNS},
        "source": said("source") or source,
        "fields": person.fields,
        "owner_id": person.owner.id if person.owner else None,
        "account_id": person.company.id if person.company else None,
    }


def _update(connection: Connection, old: Sequence[Person], setting: Setting) -> None:
    rows = []
    for person in old:
        before = {name: getattr(person.old, name) for name in (*_COLUMNS, "owner_id", "account_id")}
        after = before | person.values
        # How a contact came is told once; who owns them and where they work may change.
        after["source"] = before["source"] or after["source"]
        after["owner_id"] = person.owner.id if person.owner else before["owner_id"]
        after["account_id"] = person.company.id if person.company else before["account_id"]
        own = person.old.fields | person.fields
        person.changed = [name for name in after if after[name] != before[name]]
        person.changed += [f"fields.{name}" for name in own if own[name] != person.old.fields.get(name)]
        if person.changed:
            rows.append({"id": person.id, **after, "fields": own, "updated_at": setting.now})
    update_rows(connection, tables.Contact, "id", rows)


def _add_addresses(connection: Connection, cast: Sequence[Person], setting: Setting) -> None:
    suppressions.renew(connection, setting.ring, [key for person in cast for key in person.emails], setting.now)
    rows = []
    for person in cast:
        for key, email in person.emails.items():
            hashed = setting.ring.address_hash(key)
            primary = not person.known and not person.hashes
            person.hashes.append(hashed)
            rows.append(
                {
                    "contact_id": person.id,
                    "email": email,
                    "email_key": key,
                    "address_hash": hashed,
                    "is_primary": primary,
                    "created_at": setting.now,
                }
            )
    insert_rows(connection, tables.Address, rows)
    ids = [
        {"contact_id": person.id, "system": setting.system, "external_id": external_id}
        for person in cast
        for external_id in person.external_ids
    ]
    insert_rows(connection, tables.ExternalId, ids)


def _suppress(connection: Connection, cast: Iterable[Person], setting: Setting) -> list[suppressions.Wish]:
    page: list[suppressions.Wish] = []
    for person in cast:
        for key, scope, reason in person.wishes:
            # A row without an address speaks of every address that the contact has.
            for email_key in [key] if key is not None else [*person.known, *person.emails]:
                page += suppressions.wishes(setting.ring, email_key, scope, reason)
    return suppressions.add(connection, page, f"import: {setting.source}", "import", setting.now)


# --- events -----------------------------------------------------------------------------------------------------------


def _events(person: Person, setting: Setting) -> Iterable[Event]:
    """Yield what the rows tell. Ids come from who and what, so that a second import finds every one of them there."""
    now, key = setting.now, person.id
    origin: dict[str, object] = {"source": setting.source}
    if person.old is None:
        stage: dict[str, object] = {"stage": setting.program.lifecycle.start}
        yield Event("created", now, "people", f"created:{key}", key, data=origin | stage)
    yield Event("imported", now, "import", f"{setting.source}:imported:{key}", key, data=origin)
    if changed := [*person.changed, *_changed_account(person)]:
        change = digest(changed, person.values, person.fields, person.company and person.company.values)
        external_id = f"{setting.source}:updated:{key}:{setting.file[:16]}:{change}"
        yield Event("updated", now, "import", external_id, key, data=origin | {"changed": changed})
    if "owner_id" in person.changed:
        external_id = f"{setting.source}:owner:{key}:{setting.file[:16]}:{person.owner and person.owner.id}"
        yield Event(
            "owner_changed", now, "import", external_id, key, data={"owner_id": person.owner and person.owner.id}
        )
    for told in person.told:
        external_id = f"{setting.source}:{told.kind}:{key}:{digest(told.at, told.data)}"
        yield Event(told.kind, told.at or now, "import", external_id, key, data=told.data)


def _changed_account(person: Person) -> tuple[str, ...]:
    company = person.company
    return ("account",) if company and company.old is not None and company.changed() else ()


def digest(*values: object) -> str:
    """Return a short hash of plain values."""
    return hashlib.blake2b(orjson.dumps(values, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def _count(tally: Tally, new: Sequence[Person], old: Sequence[Person]) -> None:
    tally.counts["created"] += len(new)
    for person in (*new, *old):
        tally.counts["repeated"] += person.rows - 1
    for person in old:
        touched = person.changed or person.emails or person.external_ids
        tally.counts["updated" if touched else "unchanged"] += 1
