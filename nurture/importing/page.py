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
from nurture.db.alike import Each, insert_alike
from nurture.db.bulk import insert_rows, reserve_ids, update_rows
from nurture.db.columns import insert_columns
from nurture.db.values import Same
from nurture.importing.companies import Companies
from nurture.importing.newcomers import Newcomers, Origin, Person, situations_of
from nurture.importing.report import Tally
from nurture.importing.rows import Row
from nurture.importing.table import RawRow
from nurture.mail.keys import KeyRing
from nurture.people import suppressed

_CONTACT = tables.Contact.__table__
_ADDRESS = tables.Address.__table__
_CHANGE = tables.StageChange.__table__
_ADDRESSED = ("contact_id", "email", "email_key", "address_hash", "is_primary")
_COLUMNS = ("first_name", "last_name", "title", "buying_role", "time_zone", "locale", "country", "source")
_KEPT = (*_COLUMNS, "owner_id", "account_id", "fields")
"""What of a contact in the database rows may change."""


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


def write_page(
    connection: Connection,
    page: Sequence[tuple[RawRow, Row]],
    setting: Setting,
    tally: Tally,
    newcomers: Newcomers | None = None,
) -> None:
    """Write the rows and what follows from them; count what became of each, and reject those that fit nobody.

    `newcomers` answers for all new contacts who are alike; without it the core is asked about every one of them.
    """
    new, old, wished = write_people(connection, page, setting, tally)
    welcomed, others = _welcome(connection, new, setting, newcomers) if newcomers else (intake.Recorded(), new)
    told = [event for person in (*others, *old) for event in _events(person, setting)]
    told += suppressed(connection, wished, setting.now)
    known = situations_of(connection, others, setting.program.lifecycle, setting.origin, setting.now)
    recorded = intake.record(connection, setting.program, told, setting.now, known=known)
    tally.counts["suppressed"] += len({wish.address for wish in wished})
    tally.counts["events"] += recorded.added + welcomed.added
    _count(tally, new, old)


def _welcome(
    connection: Connection, new: Sequence[Person], setting: Setting, newcomers: Newcomers
) -> tuple[intake.Recorded, Sequence[Person]]:
    """Record that new contacts are there; return how that went, and who is to be recorded one by one."""
    arrived, others = newcomers.sort(connection, new, lambda key: _known(key, setting))
    return intake.welcome(connection, setting.program, arrived, _known(None, setting), setting.now), others


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
    if setting.program.segments:  # their people may belong to others now
        intake.review_people_of(connection, cast.companies.changed, setting.now)
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
            key: Person(ContactId(key), old, known=known.get(key, ()))
            for key, old in people.contact_columns(connection, live, _KEPT).items()
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
        person.take(row)
        if row.owner is not None:
            person.owner = self._owners[row.owner]
        if row.account or row.account_fields:
            person.company = self.companies.of(row) or person.company
        if row.external_id is not None and by_id is None:
            person.external_ids = (*person.external_ids, row.external_id)
            self._by_id[row.external_id] = person
        if row.email_key is not None and row.email is not None and by_key is None:
            person.emails[row.email_key] = row.email
            self._by_key[row.email_key] = person
        return None

    def new(self) -> list[Person]:
        """Return the people that are not in the database yet."""
        return self._new

    def old(self) -> list[Person]:
        """Return the known people that rows were about."""
        return [person for person in self._people.values() if person.rows]


# --- rows -------------------------------------------------------------------------------------------------------------


def _insert(connection: Connection, new: Sequence[Person], setting: Setting) -> None:
    start, now, source = setting.program.lifecycle.start, setting.now, setting.source
    ids = reserve_ids(connection, _CONTACT, len(new))
    for person, key in zip(new, ids, strict=True):
        person.id = ContactId(key)
    said = [person.values for person in new]
    columns: dict[str, Sequence[Any] | Same] = {name: [each.get(name) for each in said] for name in _COLUMNS}
    columns |= {
        "id": ids,
        "source": [each.get("source") or source for each in said],
        "fields": [person.fields for person in new],
        "owner_id": [person.owner.id if person.owner else None for person in new],
        "account_id": [person.company.id if person.company else None for person in new],
        "stage": Same(start),
        "stage_since": Same(now),
        "created_at": Same(now),
        "updated_at": Same(now),
    }
    insert_columns(connection, _CONTACT, len(new), columns)
    origin, keys = setting.origin, reserve_ids(connection, _CHANGE, len(new))
    entered = {"to_stage": start, "at": now, "reason": origin.reason, "actor": origin.actor}
    insert_alike(connection, _CHANGE, {"id": Each(keys), "contact_id": Each(ids), **entered})


def _update(connection: Connection, old: Sequence[Person], setting: Setting) -> None:
    rows = []
    for person in old:
        after = _after(person)
        person.changed = [name for name in _KEPT if name in after and after[name] != person.old[name]]
        before, own = person.old["fields"], {**person.old["fields"], **person.fields}
        if own != before:
            person.changed = [*person.changed, *(f"fields.{name}" for name in own if own[name] != before.get(name))]
        if person.changed:
            rows.append({"id": person.id, **person.old, **after, "fields": own, "updated_at": setting.now})
    update_rows(connection, _CONTACT, "id", rows)


def _after(person: Person) -> dict[str, Any]:
    """Return the columns about which the rows say something."""
    after: dict[str, Any] = dict(person.values)
    # How a contact came is told once; who owns them and where they work may change.
    if person.old["source"]:
        after.pop("source", None)
    if person.owner:
        after["owner_id"] = person.owner.id
    if person.company:
        after["account_id"] = person.company.id
    return after


def _add_addresses(connection: Connection, cast: Sequence[Person], setting: Setting) -> None:
    suppressions.renew(connection, setting.ring, [key for person in cast for key in person.emails], setting.now)
    hash_ = setting.ring.address_hash
    rows = []
    for person in cast:
        for key, email in person.emails.items():
            hashed = hash_(key)
            rows.append((person.id, email, key, hashed, not person.known and not person.hashes))
            person.hashes = (*person.hashes, hashed)
    columns = dict(zip(_ADDRESSED, zip(*rows, strict=True), strict=True)) if rows else {}
    insert_columns(connection, _ADDRESS, len(rows), columns | {"created_at": Same(setting.now)})
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


def _known(key: ContactId | None, setting: Setting) -> tuple[Event, Event]:
    """Return the events by which a new contact becomes known; without a key, what those of all of them begin with."""
    created = {"source": setting.source, "stage": setting.program.lifecycle.start}
    return Event("created", setting.now, "people", f"created:{key or ''}", key, data=created), _imported(key, setting)


def _imported(key: ContactId | None, setting: Setting) -> Event:
    external_id = f"{setting.source}:imported:{key or ''}"
    return Event("imported", setting.now, "import", external_id, key, data={"source": setting.source})


def _events(person: Person, setting: Setting) -> Iterable[Event]:
    """Yield what the rows tell. Ids come from who and what, so that a second import finds every one of them there."""
    now, key = setting.now, person.id
    yield from _known(key, setting) if person.old is None else (_imported(key, setting),)
    if changed := [*person.changed, *_changed_account(person)]:
        change = digest(changed, person.values, person.fields, person.company and person.company.values)
        external_id = f"{setting.source}:updated:{key}:{setting.file[:16]}:{change}"
        data = {"source": setting.source, "changed": changed}
        yield Event("updated", now, "import", external_id, key, data=data)
    if "owner_id" in person.changed:
        external_id = f"{setting.source}:owner:{key}:{setting.file[:16]}:{person.owner and person.owner.id}"
        yield Event(
            "owner_changed", now, "import", external_id, key, data={"owner_id": person.owner and person.owner.id}
        )
    for told in person.told:
        external_id = f"{setting.source}:{told.kind}:{key}:{digest(told.at, told.data)}"
        yield Event(told.kind, told.at or now, "import", external_id, key, data=told.data)


def _changed_account(person: Person) -> tuple[str, ...]:
    return ("account",) if person.company and person.company.updated else ()


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
