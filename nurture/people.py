"""What is wished about people and who writes to them: suppressed addresses (felt by running sequences), and reps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import available_timezones

from sqlalchemy import Connection

from nurture import intake
from nurture.core.model import ContactId, Event, Rep, RepId
from nurture.core.program import Program
from nurture.core.words import Scope
from nurture.db import people, suppressions
from nurture.db.suppressions import Wish
from nurture.errors import NotFound, UsageError
from nurture.mail.address import clean_header, normalize
from nurture.mail.keys import KeyRing

_KINDS = {"hard_bounce": "bounced", "complained": "complained"}
"""Reasons that are events of their own; every other one is an `unsubscribed`."""


def suppress_address(
    connection: Connection,
    program: Program | None,
    ring: KeyRing,
    email: str,
    scope: Scope,
    reason: str,
    actor: str,
    now: datetime,
) -> bool:
    """Suppress one address, whoever has it; return whether that is new. Raises UsageError when it is no address."""
    page = list(suppressions.wishes(ring, _normalized(email), scope, reason))
    return bool(suppress(connection, program, page, "by hand", actor, now))


def suppress(
    connection: Connection, program: Program | None, page: Sequence[Wish], source: str, actor: str, now: datetime
) -> list[Wish]:
    """Suppress addresses, end runs and cancel what is not sent; return the wishes that were new.

    Before anything is applied nothing runs that could feel it, and nobody has to wait with a list of wishes.
    """
    added = suppressions.add(connection, page, source, actor, now)
    if program is not None:
        intake.record(connection, program, suppressed(connection, added, now), now)
    return added


def suppressed(connection: Connection, added: Sequence[Wish], now: datetime) -> list[Event]:
    """Return the events by which the contacts of newly suppressed addresses hear of it."""
    contacts = suppressions.contacts_of(connection, added)
    return [_event(wish, contacts[wish.address_hash], now) for wish in added if wish.address_hash in contacts]


def add_rep(
    connection: Connection,
    name: str,
    email: str,
    provider: str,
    now: datetime,
    *,
    title: str | None = None,
    signature: str | None = None,
    time_zone: str | None = None,
    calendar_link: str | None = None,
    daily_capacity: int | None = None,
) -> tuple[RepId, bool]:
    """Add a rep and their personal sender, or change what is given of one that is known; return the id and whether new.

    Raises UsageError when the address, the name or the zone is not right.
    """
    key = _normalized(email)
    if time_zone is not None and time_zone not in available_timezones():
        raise UsageError(f"there is no time zone {time_zone!r}; write it like Europe/Berlin")
    given = {
        "name": _cleaned(name),
        "title": title,
        "signature": signature,
        "time_zone": time_zone,
        "calendar_link": calendar_link,
        "daily_capacity": daily_capacity,
    }
    known = people.rep_row(connection, key)
    if known is None:
        return people.add_rep(connection, {**given, "email": key}, provider, now), True
    people.give_mailbox(connection, RepId(known.id), key, _cleaned(name), provider, now)
    people.update_rep(connection, known.id, {field: value for field, value in given.items() if value is not None})
    return RepId(known.id), False


def find_contact(connection: Connection, email: str) -> ContactId:
    """Return the contact who has that address; raise UsageError when it is none, NotFound when nobody has it."""
    key = _normalized(email)
    found = people.by_address(connection, [key]).get(key)
    if found is None:
        raise NotFound(f"there is no contact with the address {key}: import it with `nurture contacts import`")
    return found


def find_rep(connection: Connection, email: str | None) -> Rep:
    """Return the active rep with that address, or the only one there is.

    Raises UsageError when none is named and there are several, NotFound when there is no such rep.
    """
    reps = [rep for rep in people.reps(connection) if rep.active]
    if email is None and len(reps) == 1:
        return reps[0]
    known = ", ".join(rep.email for rep in reps)
    if not reps:
        raise NotFound("there are no reps: add one with `nurture reps add`")
    if email is None:
        raise UsageError(f"say as which rep with --rep or NURTURE_REP: {known}")
    key = _normalized(email)
    found = next((rep for rep in reps if rep.email == key), None)
    if found is None:
        raise NotFound(f"there is no rep {key}: there are {known}")
    return found


def _event(wish: Wish, contact_id: ContactId, now: datetime) -> Event:
    kind = _KINDS.get(wish.reason, "unsubscribed") if wish.scope is Scope.ALL else "unsubscribed"
    data: dict[str, object] = {"scope": wish.scope.value, "reason": wish.reason}
    if kind == "bounced":
        data["permanent"] = True
    key = f"{wish.scope.value}:{wish.address_hash}"
    return Event(kind, now, "suppression", key, contact_id, data=data)


def _normalized(email: str) -> str:
    try:
        return normalize(email)
    except ValueError as error:
        raise UsageError(f"{email!r} is no address: {error}") from None


def _cleaned(name: str) -> str:
    try:
        return clean_header(name)
    except ValueError as error:
        raise UsageError(f"the name {name!r} cannot stand in a mail: {error}") from None
