"""The people of a page, and what is known of new ones: their situations come from what was written, unread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from nurture.core.arrivals import Arrival, Arrivals
from nurture.core.facts import reader
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import (
    Account,
    Contact,
    ContactId,
    Event,
    Rep,
    Situation,
    StageChange,
    Suppressed,
    Value,
)
from nurture.core.program import Program
from nurture.core.signals import account_kinds
from nurture.core.words import Scope
from nurture.db import suppressions
from nurture.importing.companies import Company
from nurture.importing.rows import Row, Told

_SAID = frozenset({"first_name", "last_name", "title", "buying_role", "time_zone", "locale", "country"})
"""Fields of a contact that are exactly what the rows say."""


@dataclass(slots=True)
class Person:
    """One contact of the page, with everything that its rows say. `old` is its row in the database.

    `known` are the addresses that it had, `emails` the new ones (normalized → as written), `hashes` theirs.
    """

    id: ContactId | None = None
    old: Any = None
    values: Mapping[str, Value] = field(default_factory=dict)
    fields: Mapping[str, Value] = field(default_factory=dict)
    owner: Rep | None = None
    company: Company | None = None
    known: Sequence[str] = ()
    emails: dict[str, str] = field(default_factory=dict)
    hashes: Sequence[str] = ()
    external_ids: Sequence[str] = ()
    wishes: Sequence[tuple[str | None, Scope, str]] = ()
    told: Sequence[Told] = ()
    rows: int = 0
    changed: Sequence[str] = ()

    def take(self, row: Row) -> None:
        """Take over what a row says; what it does not say stays."""
        first = not self.rows
        self.rows += 1
        self.values = row.contact if first else {**self.values, **row.contact}
        self.fields = row.fields if first else {**self.fields, **row.fields}
        if row.events:
            self.told = (*self.told, *row.events)
        if row.suppressions:
            self.wishes = (*self.wishes, *((row.email_key, scope, reason) for scope, reason in row.suppressions))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a new contact comes from, why it is in its first stage, and who put it there."""

    source: str
    reason: str
    actor: str


def situations_of(
    connection: Connection, new: Sequence[Person], lifecycle: Lifecycle, origin: Origin, now: datetime
) -> dict[ContactId, Situation]:
    """Return the situations, still without events, of contacts that this transaction has made at `now`.

    Those with several addresses are left out: they are few, and loading orders what forbids writing to them.
    """
    found = suppressions.by_hashes(connection, {hashed for person in new for hashed in person.hashes})
    return {
        person.id: _situation(person, lifecycle.start, origin, now, _forbidden(person, found))
        for person in new
        if person.id is not None and len(person.hashes) <= 1
    }


Telling = Callable[[ContactId], Sequence[Event]]
"""Returns the events by which a new contact becomes known."""


class Newcomers:
    """Finds out what follows for new contacts, asking once for all who are alike. One for a whole import."""

    def __init__(self, program: Program, origin: Origin, now: datetime) -> None:
        """Prepare to read what the program could ask about them."""
        self._program, self._origin, self._now = program, origin, now
        self._arrivals = Arrivals(program, now)
        asked = list(zip(self._arrivals.asked, self._arrivals.meanings, strict=True))
        self._said = [(name, meanings) for name, meanings in asked if name in _SAID]
        self._own = [(name.removeprefix("fields."), meanings) for name, meanings in asked if name.startswith("fields.")]
        self._further = [
            (reader(name), meanings)
            for name, meanings in asked
            if not name.startswith(("account.", "fields.")) and name not in _SAID
        ]
        self._shared = bool(account_kinds(program.lifecycle))
        self._of_account = [
            (name.removeprefix("account."), meanings) for name, meanings in asked if name.startswith("account.")
        ]

    def sort(
        self, connection: Connection, new: Sequence[Person], told: Telling
    ) -> tuple[list[tuple[ContactId, Arrival]], list[Person]]:
        """Return the arrivals of new contacts, and those about whom the core is to be asked one by one.

        These are the people whose rows tell more of them than that they are there, and whoever must not be written to.
        `told` returns the events by which a newcomer becomes known.
        """
        forbidden = suppressions.by_hashes(connection, [hashed for person in new for hashed in person.hashes])
        arrived, others = [], []
        for person in new:
            news = person.told or len(person.hashes) > 1 or (person.company and person.company.updated)
            shares = self._shared and person.company and person.company.old is not None
            alone = news or shares or (forbidden and _forbidden(person, forbidden))
            found = None if alone else self._arrival(person, told)
            if found is None or person.id is None:
                others.append(person)
            else:
                arrived.append((person.id, found))
        return arrived, others

    def _arrival(self, person: Person, told: Telling) -> Arrival | None:
        said, own = person.values.get, person.fields.get
        alike = (
            bool(person.emails),
            self._meaning(person.company),
            *[meanings[said(name)] for name, meanings in self._said],
            *[meanings[own(name)] for name, meanings in self._own],
            *self._read(person),
        )
        return self._arrivals.of(alike, lambda: self._tell(person, told))

    def _read(self, person: Person) -> list[int]:
        """Return what is read of the whole contact: an address's domain, who owns them."""
        if not self._further:
            return []
        lifecycle = self._program.lifecycle
        situation = _situation(person, lifecycle.start, self._origin, self._now, ())
        return [meanings[read(situation, lifecycle)] for read, meanings in self._further]

    def _meaning(self, company: Company | None) -> tuple[int, ...] | None:
        if company is None:
            return None
        if company.meaning is None:
            account = company.account()
            company.meaning = tuple([meanings[_of_account(account, name)] for name, meanings in self._of_account])
        return company.meaning

    def _tell(
        self, person: Person, told: Callable[[ContactId], Sequence[Event]]
    ) -> tuple[Situation, tuple[Event, ...]]:
        situation = _situation(person, self._program.lifecycle.start, self._origin, self._now, ())
        events = tuple(told(situation.contact.id))
        return Situation(situation.contact, events, stage_changes=situation.stage_changes), events


def _of_account(account: Account, name: str) -> Any:
    if name.startswith("fields."):
        return _hashable(account.fields.get(name.removeprefix("fields.")))
    return getattr(account, name, None)


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else None if isinstance(value, dict) else value


def _situation(
    person: Person, stage: str, origin: Origin, now: datetime, forbidden: tuple[Suppressed, ...]
) -> Situation:
    entered = (StageChange(None, stage, now, origin.reason, origin.actor),)
    return Situation(_contact(person, stage, origin.source, now), stage_changes=entered, suppressions=forbidden)


def _contact(person: Person, stage: str, source: str, now: datetime) -> Contact:
    said: Any = person.values.get
    return Contact(
        person.id or ContactId(0),
        stage,
        now,
        next(iter(person.emails.values()), None),
        said("first_name"),
        said("last_name"),
        said("title"),
        said("buying_role"),
        said("time_zone"),
        said("locale"),
        said("country"),
        said("source") or source,
        person.company.account() if person.company else None,
        person.owner,
        person.fields,
        now,
        person.hashes[0] if person.hashes else None,
    )


def _forbidden(person: Person, found: Mapping[str, Sequence[Suppressed]]) -> tuple[Suppressed, ...]:
    return tuple(found.get(person.hashes[0], ())) if person.hashes else ()
