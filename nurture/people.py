"""What is wished about people, carried through the one door: a suppressed address is felt by running sequences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from nurture import intake
from nurture.core.model import ContactId, Event
from nurture.core.program import Program
from nurture.core.words import Scope
from nurture.db import suppressions
from nurture.db.suppressions import Wish

_KINDS = {"hard_bounce": "bounced", "complained": "complained"}
"""Reasons that are events of their own; every other one is an `unsubscribed`."""


def suppress(
    connection: Connection, program: Program, page: Sequence[Wish], source: str, actor: str, now: datetime
) -> list[Wish]:
    """Suppress addresses, end runs and cancel what is not sent; return the wishes that were new."""
    added = suppressions.add(connection, page, source, actor, now)
    intake.record(connection, program, suppressed(connection, added, now), now)
    return added


def suppressed(connection: Connection, added: Sequence[Wish], now: datetime) -> list[Event]:
    """Return the events by which the contacts of newly suppressed addresses hear of it."""
    contacts = suppressions.contacts_of(connection, [wish.address_hash for wish in added])
    return [_event(wish, contacts[wish.address_hash], now) for wish in added if wish.address_hash in contacts]


def _event(wish: Wish, contact_id: ContactId, now: datetime) -> Event:
    kind = _KINDS.get(wish.reason, "unsubscribed") if wish.scope is Scope.ALL else "unsubscribed"
    data: dict[str, object] = {"scope": wish.scope.value, "reason": wish.reason}
    if kind == "bounced":
        data["permanent"] = True
    key = f"{wish.scope.value}:{wish.address_hash}"
    return Event(kind, now, "suppression", key, contact_id, data=data)
