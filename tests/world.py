"""A small world for tests of the shells: a program applied, people in it, a clock in the test's own hand."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from nurture import drafts, engine, handoff, intake, live, sending
from nurture.composing import Links
from nurture.core.model import ContactId, Event, Rep
from nurture.core.program import Program
from nurture.db import instance, people, tables, timers
from nurture.db.bulk import insert_rows, reserve_ids
from nurture.db.session import Database
from nurture.mail.address import normalize
from nurture.mail.keys import KeyRing
from nurture.mail.wire import Outgoing
from nurture.postroom import Postroom, Sent
from nurture.program.load import Loaded, build
from nurture.providers.base import Outcome, Provider, Receipt
from nurture.providers.outbox import Outbox
from tests.programs import small

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RING = KeyRing((("k1", bytes(range(32))),))
LINKS = Links("https://news.northwind.example", RING)


@dataclass
class Ledger:
    """A provider that writes down what it took. `script` says what becomes of the next mails, by address or in turn."""

    name: str = "outbox"
    batch: int = 500
    real: bool = False
    taken: list[Outgoing] = field(default_factory=list)
    answers: dict[str, Receipt] = field(default_factory=dict)
    raising: Exception | None = None

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Take every mail whose address has no other answer."""
        if self.raising is not None:
            raise self.raising
        return [self._one(mail) for mail in group]

    def close(self) -> None:
        """Nothing is open."""

    def _one(self, mail: Outgoing) -> Receipt:
        if (scripted := self.answers.get(mail.to_address)) is not None:
            return Receipt(mail.id, scripted.outcome, detail=scripted.detail, retry_after=scripted.retry_after)
        self.taken.append(mail)
        return Receipt(mail.id, Outcome.ACCEPTED, provider_id=f"p-{mail.id}")


@lru_cache(maxsize=64)
def _built(files: tuple[tuple[str, str], ...]) -> Loaded:
    """Check and compile a program once for all tests that use it."""
    return build(dict(files))


class World:
    """A database with an applied program, and the moment `now`, which only the test moves."""

    def __init__(self, database: Database, folder: Path, *, changes: Mapping[str, str] | None = None) -> None:
        """Apply the small program, with `changes` (path → text) made to its files."""
        self.database, self.folder, self.now = database, folder, MONDAY
        self.keys = count(1)
        with database.write() as connection:
            instance.create(connection, "test-instance", RING, self.now)
        self.apply(changes or {})
        self.outbox = Outbox(folder / "outbox", fsync=False)
        self.postroom = Postroom({"outbox": self.outbox}, LINKS, "tester")

    def apply(self, changes: Mapping[str, str]) -> Program:
        """Apply the small program with changed files (an empty text takes a file away)."""
        files = {path: text for path, text in {**small(), **changes}.items() if text}
        with self.database.write() as connection:
            live.apply(connection, _built(tuple(sorted(files.items()))), "test", self.now)
            self.program = live.current(connection)
        return self.program

    def use(self, provider: Provider, **rules: Any) -> None:
        """Send through another provider from now on."""
        self.postroom = Postroom({"outbox": provider}, LINKS, "tester", **rules)

    def rep(self, email_address: str = "rita@northwind.example", name: str = "Rita Roy") -> Rep:
        """Add a rep with their mailbox."""
        with self.database.write() as connection:
            values = {"email": email_address, "name": name, "title": "Account Executive", "signature": name}
            people.add_rep(connection, values, "outbox", self.now)
            return next(rep for rep in people.reps(connection) if rep.email == email_address)

    def contact(
        self, address: str, *, owner: Rep | None = None, account: Mapping[str, Any] | None = None, **columns: Any
    ) -> ContactId:
        """Add a contact in the first stage and record that they became known."""
        return self.contacts([address], owner=owner, account=account, **columns)[0]

    def contacts(
        self,
        addresses: Iterable[str],
        *,
        owner: Rep | None = None,
        account: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> list[ContactId]:
        """Add a page of contacts in the first stage."""
        addresses = list(addresses)
        moments = {"created_at": self.now, "updated_at": self.now}
        with self.database.write() as connection:
            account_id = None
            if account is not None:
                (account_id,) = reserve_ids(connection, tables.Account, 1)
                insert_rows(connection, tables.Account, [{"id": account_id, **moments, **account}])
            ids = [ContactId(key) for key in reserve_ids(connection, tables.Contact, len(addresses))]
            people_rows = [
                {
                    "id": key,
                    "stage": self.program.lifecycle.start,
                    "stage_since": self.now,
                    "first_name": "Ann",
                    "account_id": account_id,
                    "owner_id": owner.id if owner else None,
                    **moments,
                    **columns,
                }
                for key in ids
            ]
            insert_rows(connection, tables.Contact, people_rows)
            insert_rows(connection, tables.Address, [self._address(*pair) for pair in zip(ids, addresses, strict=True)])
            created = [Event("created", self.now, "test", f"created:{key}", key) for key in ids]
            intake.record(connection, self.program, created, self.now)
        return ids

    def _address(self, contact_id: ContactId, address: str) -> dict[str, Any]:
        key = normalize(address)
        return {
            "contact_id": contact_id,
            "email": address,
            "email_key": key,
            "address_hash": RING.address_hash(key),
            "is_primary": True,
            "created_at": self.now,
        }

    def record(self, contact_id: ContactId, kind: str, **data: Any) -> intake.Recorded:
        """Record that something happened to a contact now."""
        event = Event(kind, self.now, "test", f"{kind}:{next(self.keys)}", contact_id, data=data)
        with self.database.write() as connection:
            return intake.record(connection, self.program, [event], self.now)

    def work(self) -> Sent:
        """Do everything that is due now; return what became of the mail."""
        total: dict[str, int] = {}
        for _ in range(200):
            reviewed = engine.review(self.database, "tester", self.now)
            watched = handoff.watch(self.database, "tester", self.now)
            ticked = engine.tick(self.database, "tester", self.now)
            drafted = drafts.draft_due(self.database, LINKS, "tester", self.now)
            sent = sending.send_due(self.database, self.postroom, self.now)
            for name in Sent.__dataclass_fields__:
                total[name] = total.get(name, 0) + getattr(sent, name)
            if not reviewed and not watched and not ticked and not drafted and not sent.due:
                return Sent(**total)
        raise AssertionError("something is due for ever")

    def advance(self, **span: float) -> None:
        """Let time pass, from one due moment to the next, working at each."""
        until = self.now + timedelta(**span)
        while True:
            with self.database.read() as connection:
                due = timers.next_due(connection)
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.work()
        self.now = until
        self.work()

    def rows(self, model: type[tables.Base], **where: Any) -> list[Any]:
        """Return rows of a table, by key."""
        table = model.__table__
        query = select(table).order_by(*table.primary_key)
        for name, value in where.items():
            query = query.where(table.c[name] == value)
        with self.database.read() as connection:
            return list(connection.execute(query))

    def row(self, model: type[tables.Base], **where: Any) -> Any:
        """Return the one row that fits."""
        (found,) = self.rows(model, **where)
        return found

    def mails(self) -> list[EmailMessage]:
        """Return what lies in the outbox, by the time it was written, parsed."""
        files = sorted(self.outbox.directory.rglob("*.eml")) if self.outbox.directory.exists() else []
        parsed = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        return sorted(parsed, key=lambda mail: mail["Date"].datetime)  # type: ignore[union-attr,arg-type,return-value]
