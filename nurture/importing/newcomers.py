"""The people of a page, and what is known of new ones: their situations come from what was written, unread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Account, Contact, ContactId, Rep, Situation, StageChange, Suppressed, Value
from nurture.core.words import Scope
from nurture.db import suppressions
from nurture.importing.companies import Company
from nurture.importing.rows import Told


@dataclass(slots=True)
class Person:
    """One contact of the page, with everything that its rows say. `old` is its row in the database.

    `known` are the addresses that it had, `emails` the new ones (normalized → as written), `hashes` theirs.
    """

    id: ContactId | None = None
    old: Any = None
    values: dict[str, Value] = field(default_factory=dict)
    fields: dict[str, Value] = field(default_factory=dict)
    owner: Rep | None = None
    company: Company | None = None
    known: list[str] = field(default_factory=list)
    emails: dict[str, str] = field(default_factory=dict)
    hashes: list[str] = field(default_factory=list)
    external_ids: list[str] = field(default_factory=list)
    wishes: list[tuple[str | None, Scope, str]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    rows: int = 0
    changed: list[str] = field(default_factory=list)


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
    accounts: dict[int, Account] = {}
    entered = (StageChange(None, lifecycle.start, now, origin.reason, origin.actor),)
    return {
        person.id: Situation(
            _contact(person, lifecycle.start, origin.source, accounts, now),
            stage_changes=entered,
            suppressions=_forbidden(person, found),
        )
        for person in new
        if person.id is not None and len(person.hashes) <= 1
    }


def _contact(person: Person, stage: str, source: str, accounts: dict[int, Account], now: datetime) -> Contact:
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
        _account(person.company, accounts) if person.company else None,
        person.owner,
        person.fields,
        now,
        person.hashes[0] if person.hashes else None,
    )


def _account(company: Company, accounts: dict[int, Account]) -> Account:
    if company.id not in accounts:
        accounts[company.id] = company.account()
    return accounts[company.id]


def _forbidden(person: Person, found: Mapping[str, Sequence[Suppressed]]) -> tuple[Suppressed, ...]:
    return tuple(found.get(person.hashes[0], ())) if person.hashes else ()
