"""Playing the demo: the sample comes in as a CRM would export it, then everybody lives through some weeks.

The engine is the real one, in a rehearsal. This module only stands outside: it reads what was sent, lets people do
something about it through the one door, and lets reps come to work.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from nurture import intake, live, people, rehearsal
from nurture.core.model import ContactId, Event, MessageId, Rep
from nurture.core.words import Voice
from nurture.db import instance, tables
from nurture.db import people as known
from nurture.db.session import Database
from nurture.demo import office
from nurture.demo.people import Act, Mail, reactions, webinars
from nurture.importing.contacts import import_contacts, open_contacts
from nurture.importing.events import import_events
from nurture.importing.report import ImportReport
from nurture.mail.keys import KeyRing
from nurture.postroom import Postroom
from nurture.program.load import load
from nurture.program.mapping import load_mapping

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""When the sample comes in: a Monday."""

DATA = Path(__file__).parent / "data"
FILES = ("nurture.toml", "contacts.csv", "contacts.mapping.yaml", "events.csv", "reps.csv")

AWAY = timedelta(hours=64)
"""How long before the end the reps stop coming to work, so that drafts are left to approve."""

GRID = timedelta(minutes=30)
"""How often anybody looks: weeks pass in seconds, and mail lies so long at most."""

SOURCE = "demo"

_EVENT = tables.Event.__table__
_MESSAGE = tables.Message.__table__
_ADDRESS = tables.Address.__table__


@dataclass(frozen=True, slots=True)
class CameIn:
    """What was imported, file by file."""

    contacts: ImportReport
    events: ImportReport


def furnish(database: Database, ring: KeyRing, folder: Path, provider: str) -> CameIn:
    """Make an empty database a rehearsal, apply the folder's program, and import the sample that lies there."""
    with database.write() as connection:
        instance.make_rehearsal(connection, BEGIN)
        live.apply(connection, load(folder), SOURCE, BEGIN)
        program = live.current(connection)
        for rep in _reps(folder / "reps.csv"):
            people.add_rep(connection, provider=provider, now=BEGIN, **rep)
    mapping = load_mapping(folder / "contacts.mapping.yaml")
    table = open_contacts(folder / "contacts.csv", program, mapping)
    contacts = import_contacts(database, program, ring, table, BEGIN)
    events = import_events(database, program, folder / "events.csv", BEGIN, source="website")
    return CameIn(contacts, events)


def live_through(database: Database, postroom: Postroom, until: datetime, heard: Callable[[datetime], None]) -> None:
    """Let contacts and reps live until a moment; `heard` is told every moment on the way."""
    life = _Life(database, postroom.links.ring, until)

    def hook(now: datetime) -> datetime | None:
        heard(now)
        return life.go_on(now)

    rehearsal.advance(database, replace(postroom, patience=GRID), until, hook=hook, grid=GRID)


def _reps(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {name: value or None for name, value in row.items()}


class _Life:
    """Everybody outside the engine, with what they are about to do."""

    def __init__(self, database: Database, ring: KeyRing, until: datetime) -> None:
        self._database, self._until = database, until
        self._now = BEGIN
        self._ring = ring
        self._seen = 0
        with database.read() as connection:
            self._program = live.current(connection)
            self._reps = known.reps(connection)
            addresses = connection.execute(select(_ADDRESS.c.contact_id, _ADDRESS.c.email_key)).fetchall()
        self._mornings = {rep.email: office.next_morning(rep, BEGIN) for rep in self._reps}
        self._coming: list[tuple[datetime, str, Act]] = []
        for contact_id, email in addresses:
            self._expect(webinars(ContactId(contact_id), email))

    def go_on(self, now: datetime) -> datetime | None:
        """Let everybody do what they do by `now`; return when somebody does something next, as far as that is known."""
        self._now = now
        for mail in self._arrived():
            self._expect(reactions(mail))
        self._act(now)
        for rep in self._reps:
            self._work(rep, now)
        coming = [self._coming[0][0]] if self._coming else []
        return min([*coming, *self._mornings.values()], default=None)

    def _expect(self, acts: Sequence[Act]) -> None:
        for act in acts:
            heapq.heappush(self._coming, (act.at, act.key, act))

    def _arrived(self) -> list[Mail]:
        """Return the mail that was sent since the last time."""
        query = (
            select(_EVENT.c.id.label("event_id"), *_MESSAGE.c)
            .join(_MESSAGE, _MESSAGE.c.id == _EVENT.c.message_id)
            .where(_EVENT.c.id > self._seen, _EVENT.c.kind == "sent")
            .order_by(_EVENT.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).fetchall()
        self._seen = max((row.event_id for row in rows), default=self._seen)
        return [_mail(row) for row in rows]

    def _act(self, now: datetime) -> None:
        acts = []
        while self._coming and self._coming[0][0] <= now:
            acts.append(heapq.heappop(self._coming)[2])
        told = [_event(act) for act in acts if act.link is None]
        if told:
            with self._database.write() as connection:
                intake.record(connection, self._program, told, now)
        for act in acts:
            if act.link is not None:
                self._unsubscribe(act.link)

    def _unsubscribe(self, link: str) -> None:
        """Do what a mail program does: one POST to the address in the mail."""
        from nurture.web.site import Site  # the web's libraries take half a second, which no other command needs
        from nurture.web.unsubscribe import unsubscribe

        unsubscribe(Site(self._database, self._ring, lambda: self._now), link.rpartition("/")[2])

    def _work(self, rep: Rep, now: datetime) -> None:
        if rep.email not in self._mornings or self._mornings[rep.email] > now:
            return
        with self._database.write() as connection:
            office.morning(connection, self._program, rep, now)
        self._mornings[rep.email] = office.next_morning(rep, now)
        if self._mornings[rep.email] > self._until - AWAY:
            del self._mornings[rep.email]


def _mail(row: Row[Any]) -> Mail:
    return Mail(
        message_id=MessageId(row.id),
        contact_id=ContactId(row.contact_id),
        email=row.to_address.lower(),
        voice=Voice(row.voice),
        template=row.template,
        at=row.sent_at,
        unsubscribe=(row.variables or {}).get("unsubscribe_url"),
    )


def _event(act: Act) -> Event:
    return Event(act.kind, act.at, SOURCE, act.key, act.contact_id, data=act.data, message_id=act.message_id)
