"""Named queries for suppressions. Nothing here weakens or removes one: rows are only ever added."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from nurture.core.model import ContactId, Suppressed
from nurture.core.words import Scope
from nurture.db import tables
from nurture.db.bulk import in_given, insert_new
from nurture.mail.keys import KeyRing

_SUPPRESSION = tables.Suppression.__table__
_ADDRESS = tables.Address.__table__


@dataclass(frozen=True, slots=True)
class Wish:
    """That an address (by its keyed hash) must not be written to. The plain address may be unknown."""

    address_hash: str
    scope: Scope
    reason: str
    address: str | None = None


def wishes(ring: KeyRing, email_key: str, scope: Scope, reason: str) -> Iterator[Wish]:
    """Yield the wish under every key of the ring: the address may be stored under an older one."""
    for hashed in ring.address_hashes(email_key):
        yield Wish(hashed, scope, reason, email_key)


def add(connection: Connection, page: Sequence[Wish], source: str, actor: str, now: datetime) -> list[Wish]:
    """Insert the wishes that are new and return them; a scope that is suppressed already keeps its first reason."""
    rows = [
        {
            "address_hash": wish.address_hash,
            "address": wish.address,
            "scope": wish.scope.value,
            "reason": wish.reason,
            "source": source,
            "actor": actor,
            "created_at": now,
        }
        for wish in page
    ]
    conflict = ("address_hash", "scope")
    added = set(insert_new(connection, _SUPPRESSION, rows, conflict, conflict))
    first = {(wish.address_hash, wish.scope.value): wish for wish in reversed(page)}
    return [wish for key, wish in reversed(first.items()) if key in added]


def renew(connection: Connection, ring: KeyRing, email_keys: Collection[str], now: datetime) -> None:
    """Repeat under the newest key what is suppressed under an older one, for addresses that are about to be stored."""
    if len(ring.ids) < 2:
        return
    newest = {old: ring.address_hash(key) for key in email_keys for old in ring.address_hashes(key)[1:]}
    found = [(newest[hashed], wish) for hashed, row in by_hashes(connection, newest).items() for wish in row]
    add(connection, [Wish(key, wish.scope, wish.reason) for key, wish in found], "key rotation", "engine", now)


def by_hashes(connection: Connection, hashes: Collection[str]) -> dict[str, list[Suppressed]]:
    """Return what is suppressed for each keyed hash, oldest first; hashes without any are absent."""
    found: dict[str, list[Suppressed]] = {}
    for row in connection.execute(_BY_HASHES, {"ids": list(hashes)}) if hashes else ():
        wish = Suppressed(Scope(row.scope), row.reason, row.created_at)
        found.setdefault(row.address_hash, []).append(wish)
    return found


def contacts_of(connection: Connection, page: Collection[Wish]) -> dict[str, ContactId]:
    """Return the contacts whose addresses have the hashes of those wishes, by hash.

    Where a wish does not tell the plain address, every address there is has to be looked at, once for all of them.
    """
    plain = {wish.address_hash: wish.address for wish in page if wish.address is not None}
    found = _holders(connection, _BY_ADDRESS, plain.values()) if plain else {}
    hashed = {wish.address_hash for wish in page} - plain.keys()
    found |= _holders(connection, _BY_HASH, hashed) if hashed else {}
    return {key: contact for key, contact in found.items() if key in plain or key in hashed}


def _holders(connection: Connection, query: Select[Any], known: Collection[str]) -> dict[str, ContactId]:
    return {row.address_hash: row.contact_id for row in connection.execute(query, {"ids": list(known)})}


_HOLDERS = select(_ADDRESS.c.address_hash, _ADDRESS.c.contact_id)
_BY_ADDRESS, _BY_HASH = (_HOLDERS.where(in_given(column)) for column in (_ADDRESS.c.email_key, _ADDRESS.c.address_hash))
_BY_HASHES = select(_SUPPRESSION).where(in_given(_SUPPRESSION.c.address_hash)).order_by(_SUPPRESSION.c.id)


def listing(connection: Connection, scope: Scope | None, limit: int | None) -> list[Row[Any]]:
    """Return suppressions, newest first."""
    query = select(_SUPPRESSION).order_by(_SUPPRESSION.c.id.desc()).limit(limit)
    return list(connection.execute(query if scope is None else query.where(_SUPPRESSION.c.scope == scope.value)))


def page_after(connection: Connection, last_id: int, limit: int) -> list[Row[Any]]:
    """Return the next `limit` suppressions above `last_id`, oldest first."""
    query = select(_SUPPRESSION).where(_SUPPRESSION.c.id > last_id).order_by(_SUPPRESSION.c.id).limit(limit)
    return list(connection.execute(query))


def counts(connection: Connection) -> dict[str, int]:
    """Return how many there are of every scope."""
    query = select(_SUPPRESSION.c.scope, func.count().label("number")).group_by(_SUPPRESSION.c.scope)
    return {row.scope: row.number for row in connection.execute(query)}
