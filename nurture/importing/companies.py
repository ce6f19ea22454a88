"""The accounts of a page: found by domain, else by name, made or filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from nurture.core.model import Account, AccountId, Value
from nurture.db import people, tables
from nurture.db.bulk import reserve_ids, update_rows
from nurture.db.columns import insert_columns
from nurture.db.values import Same
from nurture.importing.rows import Row

_COLUMNS = ("name", "name_key", "domain", "industry", "employees", "revenue", "country", "time_zone", "technologies")


@dataclass(slots=True)
class Company:
    """One account of the page. `old` is its row in the database, None for a new one.

    `meaning` is what it means to the program's conditions, once somebody has found out; `updated` whether writing it
    changed one that was there.
    """

    id: int = 0
    old: Mapping[str, Any] | None = None
    values: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Value] = field(default_factory=dict)
    meaning: tuple[int, ...] | None = None
    updated: bool = False
    _told: Mapping[str, Value] | None = None

    @property
    def domain(self) -> str | None:
        """The domain that it has, or is about to get."""
        return self.values.get("domain") or (self.old["domain"] if self.old else None)

    def take(self, row: Row) -> None:
        """Take over what a row says. A name that is known stays: rows write one company's name in many ways."""
        if row.account_fields:
            self.fields |= row.account_fields
        if row.account == self._told:  # as the row before said: people of one company often stand together
            return
        self._told = row.account
        given = {key: list(value) if isinstance(value, tuple) else value for key, value in row.account.items()}
        given.pop("name", None)
        name = row.account.get("name")
        self.values |= given
        if name is not None and "name" not in self.values and not (self.old and self.old["name"]):
            self.values |= {"name": name, "name_key": name_key(name)}

    def account(self) -> Account:
        """Return the account as it is once it is written."""
        said: Any = {**(self.old or {}), **self.values}.get
        return Account(
            AccountId(self.id),
            said("name"),
            said("domain"),
            said("industry"),
            said("employees"),
            said("revenue"),
            said("country"),
            said("time_zone"),
            tuple(said("technologies") or ()),
            said("owner_id"),
            (self.old["fields"] or {}) | self.fields if self.old else self.fields,
        )

    def changed(self) -> dict[str, Any] | None:
        """Return the row to write, None when there is nothing new."""
        before = {name: self.old[name] if self.old else None for name in _COLUMNS}
        after = before | self.values
        own_before = dict(self.old["fields"]) if self.old else {}
        own = own_before | self.fields
        return None if self.old and (after, own) == (before, own_before) else {"id": self.id, **after, "fields": own}


class Companies:
    """Finds the accounts of rows, and writes those that are new or changed."""

    def __init__(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Load the accounts that the rows may mean, in one query."""
        self._connection = connection
        self._by_domain: dict[str, Company] = {}
        self._by_name: dict[str, Company] = {}
        self._touched: dict[tuple[Value, Value], Company] = {}
        self.changed: list[int] = []
        given = {(row.account.get("domain"), row.account.get("name")) for row in rows if row.account}
        domains = {str(domain) for domain, _ in given if domain is not None}
        names = {name_key(name) for _, name in given if name is not None}
        for found in people.accounts(connection, domains, names):
            company = Company(found.id, dict(found._mapping))  # noqa: SLF001 - the name is SQLAlchemy's
            if found.domain:
                self._by_domain[found.domain] = company
            if found.name_key:
                self._by_name.setdefault(found.name_key, company)

    def of(self, row: Row) -> Company | None:
        """Return the account that the row names (a new one if need be), with what the row says of it taken over."""
        if not row.account:
            return None
        domain, name = named = row.account.get("domain"), row.account.get("name")
        company = self._touched.get(named)
        if company is None:
            if domain is None and name is None:
                return None
            company = self._touched[named] = self._find(domain, name) or Company()
            if name is not None:
                self._by_name.setdefault(name_key(name), company)
            if domain is not None:
                self._by_domain[str(domain)] = company
        company.take(row)
        return company

    def write(self, now: datetime) -> int:
        """Insert and update; return how many are new. New ones have their ids afterwards."""
        touched = list({id(company): company for company in self._touched.values()}.values())
        new = [company for company in touched if company.old is None]
        for company, key in zip(new, reserve_ids(self._connection, tables.Account, len(new)), strict=True):
            company.id = key
        columns: dict[str, Sequence[Any] | Same] = {
            name: [company.values.get(name) for company in new] for name in _COLUMNS
        }
        columns |= {"id": [company.id for company in new], "fields": [company.fields for company in new]}
        insert_columns(
            self._connection,
            tables.Account.__table__,
            len(new),
            columns | {"created_at": Same(now), "updated_at": Same(now)},
        )
        self._update([company for company in touched if company.old is not None], now)
        return len(new)

    def _update(self, old: Sequence[Company], now: datetime) -> None:
        rows = []
        for company in old:
            if (row := company.changed()) is not None:
                company.updated = True
                rows.append({**row, "updated_at": now})
        update_rows(self._connection, tables.Account, "id", rows)
        self.changed = [row["id"] for row in rows]

    def _find(self, domain: Value, name: Value) -> Company | None:
        named = self._by_name.get(name_key(name)) if name is not None else None
        if domain is None:
            return named
        # A company known by name only is taken to be the one whose domain we now hear.
        return self._by_domain.get(str(domain)) or (named if named and named.domain is None else None)


def name_key(name: Value) -> str:
    """Return a company's name in the form in which names are compared."""
    return " ".join(str(name).casefold().split())
