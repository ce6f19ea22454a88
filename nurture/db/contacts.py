"""Contacts as the core knows them, with their account and their owner, for a page: three queries.

They are made of the columns of each query, which are in the order of the dataclass.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from nurture.core.model import Account, Contact, ContactId, Rep
from nurture.db import tables
from nurture.db.bulk import in_given
from nurture.db.fetching import by_columns

C = tables.Contact.__table__.c
A = tables.Account.__table__.c
R = tables.Rep.__table__.c
ADDRESS = tables.Address.__table__.c


def read(connection: Connection, ids: Collection[int]) -> dict[ContactId, Contact]:
    """Return contacts by key, in the order of their keys."""
    account_ids, owner_ids, keys, *about, fields, created, hashes = by_columns(
        connection, _CONTACTS, {"ids": list(ids)}
    )
    accounts = map(_accounts(connection, set(account_ids) - _NOBODY).get, account_ids)
    owners = map(_reps(connection, set(owner_ids) - _NOBODY).get, owner_ids)
    found = map(Contact, keys, *about, accounts, owners, map(_or_empty, fields), created, hashes)
    return dict(zip(map(ContactId, keys), found, strict=True))


_NOBODY = {None}


def _or_empty(fields: Any) -> Any:
    return fields or {}


def _contacts() -> Select[Any]:
    joined = tables.Contact.__table__.outerjoin(
        tables.Address.__table__, and_(ADDRESS.contact_id == C.id, ADDRESS.is_primary)
    )
    about = (C.stage, C.stage_since, ADDRESS.email, C.first_name, C.last_name, C.title, C.buying_role)
    place = (C.time_zone, C.locale, C.country, C.source)
    columns = (C.account_id, C.owner_id, C.id, *about, *place, C.fields, C.created_at, ADDRESS.address_hash)
    return select(*columns).select_from(joined).where(in_given(C.id)).order_by(C.id)


_CONTACTS = _contacts()
_OF_ACCOUNT = (A.id, A.name, A.domain, A.industry, A.employees, A.revenue, A.country, A.time_zone)
_ACCOUNTS = select(*_OF_ACCOUNT, A.technologies, A.owner_id, A.fields).where(in_given(A.id))
_OF_REP = (R.id, R.name, R.email, R.title, R.signature, R.time_zone, R.calendar_link, R.daily_capacity, R.active)
_REPS = select(*_OF_REP).where(in_given(R.id))


def _accounts(connection: Connection, ids: Collection[int]) -> dict[int, Account]:
    if not ids:
        return {}
    keys, *about, technologies, owners, fields = by_columns(connection, _ACCOUNTS, {"ids": list(ids)})
    used = (tuple(names or ()) for names in technologies)
    return dict(zip(keys, map(Account, keys, *about, used, owners, map(_or_empty, fields)), strict=True))


def _reps(connection: Connection, ids: Collection[int]) -> dict[int, Rep]:
    if not ids:
        return {}
    keys, *about = by_columns(connection, _REPS, {"ids": list(ids)})
    return dict(zip(keys, map(Rep, keys, *about), strict=True))
