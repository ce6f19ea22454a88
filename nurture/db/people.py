"""Named queries for people: contacts, their addresses and external ids, accounts and reps. A page is one statement."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select, text

from nurture.core.model import ContactId, Rep, RepId
from nurture.core.words import Voice
from nurture.db import tables
from nurture.db.bulk import in_given, in_page, insert_new, insert_rows, reserve_ids
from nurture.db.session import Database

_CONTACT = tables.Contact.__table__
_ACCOUNT = tables.Account.__table__
_ADDRESS = tables.Address.__table__
_EXTERNAL = tables.ExternalId.__table__
_REP = tables.Rep.__table__
_SENDER = tables.Sender.__table__

_NEW_PEOPLE = 0x6E757274
"""The advisory lock under which new contacts and accounts are made."""


def lock_new(connection: Connection) -> None:
    """Wait until nobody else makes new contacts, until the transaction ends. (SQLite has one writer anyway.)

    Two pages that find the same address missing would otherwise both make a contact of it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NEW_PEOPLE})


# --- contacts ---------------------------------------------------------------------------------------------------------


def by_address(connection: Connection, email_keys: Collection[str]) -> dict[str, ContactId]:
    """Return the contacts of normalized addresses, as far as there are any."""
    given = {"ids": list(email_keys)}
    return {row.email_key: row.contact_id for row in connection.execute(_BY_ADDRESS, given)} if email_keys else {}


_BY_ADDRESS = select(_ADDRESS.c.email_key, _ADDRESS.c.contact_id).where(in_given(_ADDRESS.c.email_key))


def by_external_id(connection: Connection, system: str, ids: Collection[str]) -> dict[str, ContactId]:
    """Return the contacts that `system` knows by those ids, as far as there are any."""
    given = {"the_system": system, "ids": list(ids)}
    return {row.external_id: row.contact_id for row in connection.execute(_BY_EXTERNAL_ID, given)} if ids else {}


_BY_EXTERNAL_ID = select(_EXTERNAL.c.external_id, _EXTERNAL.c.contact_id).where(
    _EXTERNAL.c.system == bindparam("the_system"), in_given(_EXTERNAL.c.external_id)
)


def by_any_external_id(connection: Connection, ids: Collection[str]) -> dict[str, set[ContactId]]:
    """Return the contacts that any system knows by those ids; two systems may mean two people by one id."""
    query = select(_EXTERNAL.c.external_id, _EXTERNAL.c.contact_id).where(in_page(_EXTERNAL.c.external_id, ids))
    found: dict[str, set[ContactId]] = {}
    for row in connection.execute(query) if ids else ():
        found.setdefault(row.external_id, set()).add(row.contact_id)
    return found


def systems(connection: Connection) -> list[str]:
    """Return the systems whose ids contacts have, by name."""
    return list(connection.scalars(select(_EXTERNAL.c.system).distinct().order_by(_EXTERNAL.c.system)))


def external_ids(connection: Connection, ids: Collection[int], system: str) -> dict[int, list[str]]:
    """Return what `system` calls those contacts; whoever it does not know is left out."""
    query = select(_EXTERNAL.c.contact_id, _EXTERNAL.c.external_id).where(
        _EXTERNAL.c.system == system, in_page(_EXTERNAL.c.contact_id, ids)
    )
    found: dict[int, list[str]] = {}
    for row in connection.execute(query.order_by(_EXTERNAL.c.id)) if ids else ():
        found.setdefault(row.contact_id, []).append(row.external_id)
    return found


def living(database: Database, limit: int) -> Iterator[list[ContactId]]:
    """Yield the keys of all who are neither merged into others nor erased, in pages, each in a read of its own."""
    last = 0
    while True:
        with database.read() as connection:
            ids = _living_after(connection, last, limit)
        if not ids:
            return
        yield ids
        last = ids[-1]


def _living_after(connection: Connection, contact_id: int, limit: int) -> list[ContactId]:
    query = select(_CONTACT.c.id).where(
        _CONTACT.c.id > contact_id, _CONTACT.c.merged_into.is_(None), _CONTACT.c.erased_at.is_(None)
    )
    return [ContactId(key) for key in connection.scalars(query.order_by(_CONTACT.c.id).limit(limit))]


def count_living(connection: Connection) -> int:
    """Return how many contacts are neither merged into others nor erased."""
    living = (_CONTACT.c.merged_into.is_(None), _CONTACT.c.erased_at.is_(None))
    return connection.scalar(select(func.count()).select_from(_CONTACT).where(*living)) or 0


def contact_rows(connection: Connection, ids: Collection[int]) -> dict[int, Row[Any]]:
    """Return the rows of contacts by id."""
    if not ids:
        return {}
    return {row.id: row for row in connection.execute(select(_CONTACT).where(in_page(_CONTACT.c.id, ids)))}


def contact_columns(connection: Connection, ids: Collection[int], names: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Return some columns of contacts, by id: less than half the work of whole rows."""
    rows = connection.execute(_contact_columns(tuple(names)), {"ids": list(ids)}) if ids else ()
    return {key: dict(zip(names, row, strict=True)) for key, *row in rows}


@lru_cache(maxsize=8)
def _contact_columns(names: tuple[str, ...]) -> Select[Any]:
    return select(_CONTACT.c.id, *(_CONTACT.c[name] for name in names)).where(in_given(_CONTACT.c.id))


def address_keys(connection: Connection, ids: Collection[int]) -> dict[int, list[str]]:
    """Return the normalized addresses of contacts, the primary one first."""
    found: dict[int, list[str]] = {}
    for row in connection.execute(_ADDRESSES, {"ids": list(ids)}) if ids else ():
        found.setdefault(row.contact_id, []).append(row.email_key)
    return found


_ADDRESSES = (
    select(_ADDRESS.c.contact_id, _ADDRESS.c.email_key)
    .where(in_given(_ADDRESS.c.contact_id))
    .order_by(_ADDRESS.c.is_primary.desc(), _ADDRESS.c.id)
)


def lineage(connection: Connection, contact_id: int) -> list[int]:
    """Return a contact and whom they were merged into, one after the other."""
    found = [contact_id]
    while (row := contact_rows(connection, found[-1:]).get(found[-1])) and row.merged_into is not None:
        if row.merged_into in found:
            break
        found.append(row.merged_into)
    return found


# --- accounts ---------------------------------------------------------------------------------------------------------


def accounts(connection: Connection, domains: Collection[str], name_keys: Collection[str]) -> list[Row[Any]]:
    """Return the accounts of those domains or (case-folded) names, oldest first."""
    if not domains and not name_keys:
        return []
    given = {"domains": list(domains), "names": list(name_keys)}
    return list(connection.execute(_ACCOUNTS, given))


_NAMED = or_(in_given(_ACCOUNT.c.domain, "domains"), in_given(_ACCOUNT.c.name_key, "names"))
_ACCOUNTS = select(_ACCOUNT).where(_NAMED).order_by(_ACCOUNT.c.id)


# --- reps -------------------------------------------------------------------------------------------------------------


def reps(connection: Connection) -> list[Rep]:
    """Return every rep, by name."""
    return [rep_of(row) for row in connection.execute(select(_REP).order_by(_REP.c.name, _REP.c.id))]


def active_reps(connection: Connection, emails: Collection[str]) -> dict[str, Rep]:
    """Return active reps by their (normalized) addresses."""
    query = select(_REP).where(in_page(_REP.c.email, emails), _REP.c.active)
    return {row.email: rep_of(row) for row in connection.execute(query)} if emails else {}


def rep_row(connection: Connection, email: str) -> Row[Any] | None:
    """Return the row of the rep with that (normalized) address."""
    return connection.execute(select(_REP).where(_REP.c.email == email)).one_or_none()


def contacts_owned(connection: Connection) -> Mapping[int, int]:
    """Return how many contacts every rep owns."""
    query = (
        select(_CONTACT.c.owner_id, func.count().label("owned"))
        .where(_CONTACT.c.owner_id.is_not(None), _CONTACT.c.merged_into.is_(None))
        .group_by(_CONTACT.c.owner_id)
    )
    return {row.owner_id: row.owned for row in connection.execute(query)}


def add_rep(connection: Connection, values: Mapping[str, Any], provider: str, now: datetime) -> RepId:
    """Insert a rep, and the personal sender that mail in their name goes out from."""
    (rep_id,) = reserve_ids(connection, _REP, 1)
    insert_rows(connection, _REP, [{"id": rep_id, **values, "created_at": now}])
    give_mailbox(connection, RepId(rep_id), values["email"], values["name"], provider, now)
    return RepId(rep_id)


def give_mailbox(connection: Connection, rep_id: RepId, email: str, name: str, provider: str, now: datetime) -> None:
    """Make the personal sender of a rep, unless they have it."""
    sender = {
        "name": email,
        "voice": Voice.PERSONAL,
        "address": email,
        "display_name": name,
        "provider": provider,
        "rep_id": rep_id,
        "created_at": now,
    }
    insert_new(connection, _SENDER, [sender], ("name",))


def update_rep(connection: Connection, rep_id: RepId, values: Mapping[str, Any]) -> None:
    """Change a rep, and the name that their mail shows."""
    if not values:
        return
    connection.execute(_REP.update().where(_REP.c.id == rep_id).values(values))
    if "name" in values:
        connection.execute(_SENDER.update().where(_SENDER.c.rep_id == rep_id).values(display_name=values["name"]))


def rep_of(row: Row[Any]) -> Rep:
    """Return the rep of a row."""
    return Rep(
        id=RepId(row.id),
        name=row.name,
        email=row.email,
        title=row.title,
        signature=row.signature,
        time_zone=row.time_zone,
        calendar_link=row.calendar_link,
        daily_capacity=row.daily_capacity,
        active=row.active,
    )
