"""Unsubscribing by the link in a mail: GET shows a form and changes nothing, POST means it (RFC 8058).

No login, no cookie, no redirect, and no look at the body: whoever posts here can mean one thing only. A token that is
unknown looks like any other, so that nobody learns from a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import structlog
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from nurture import intake, live
from nurture.core.model import ContactId
from nurture.db import people as known
from nurture.db import suppressions
from nurture.db.suppressions import Wish
from nurture.errors import DatabaseError
from nurture.mail.keys import KeyRing
from nurture.people import suppressed
from nurture.program.links import UNSUBSCRIBE_PATH, UnsubscribeToken, read_unsubscribe
from nurture.web.site import Here, Site, page

router = APIRouter()

_PATH = UNSUBSCRIBE_PATH + "{token:path}"
_log = structlog.get_logger()


@router.api_route(_PATH, methods=["GET", "HEAD"])
def ask(site: Here, token: str) -> HTMLResponse:
    """Show the form. Mail scanners and previews fetch every link: nothing happens by it."""
    return page("unsubscribe.html", site)


@router.post(_PATH)
def unsubscribe(site: Here, token: str) -> HTMLResponse:
    """Suppress the address of the token within its scope; it is committed before this is answered."""
    found = read_unsubscribe(token, site.ring)
    try:
        if found is not None:
            _suppress(site, found)
    except (DatabaseError, SQLAlchemyError) as error:
        _log.error("an unsubscribe could not be saved", reason=type(error).__name__)
        return page("unavailable.html", site, 503, {"Retry-After": "60"})
    return page("unsubscribed.html", site)


def _suppress(site: Site, token: UnsubscribeToken) -> None:
    now = site.clock()
    with site.database.write() as connection:
        wishes = list(_wishes(connection, site.ring, token))
        added = suppressions.add(connection, wishes, "unsubscribe link", "contact", now)
        _feel(connection, [wish for wish in wishes if wish.address is not None] or added, now)


def _wishes(connection: Connection, ring: KeyRing, token: UnsubscribeToken) -> Iterator[Wish]:
    """Yield the wish under every key, with its plain address, when that is still known; else under the token's hash."""
    wish = Wish(token.address_hash, token.scope, "unsubscribed")
    email_key = _address(connection, ring, token.contact_id, wish)
    if email_key is not None:
        yield from suppressions.wishes(ring, email_key, token.scope, "unsubscribed")
    yield wish


def _address(connection: Connection, ring: KeyRing, contact_id: ContactId, wish: Wish) -> str | None:
    """Return the plain address, when somebody still has it: the contact, who they were merged into, or anybody else.

    Others are looked for once, which takes long; a wish that is repeated is written under every key by then.
    """
    key_id = wish.address_hash.partition(":")[0]
    if key_id not in ring.ids:
        return None
    family = known.lineage(connection, contact_id)
    found = _like(known.address_keys(connection, family).values(), ring, key_id, wish.address_hash)
    repeated = suppressions.by_hashes(connection, [wish.address_hash]).get(wish.address_hash, ())
    if found is not None or wish.scope in {each.scope for each in repeated}:
        return found
    others = suppressions.contacts_of(connection, [wish]).values()
    return _like(known.address_keys(connection, others).values(), ring, key_id, wish.address_hash)


def _like(held: Iterable[Iterable[str]], ring: KeyRing, key_id: str, address_hash: str) -> str | None:
    each = (email_key for email_keys in held for email_key in email_keys)
    return next((email_key for email_key in each if ring.address_hash(email_key, key_id) == address_hash), None)


def _feel(connection: Connection, wishes: list[Wish], now: datetime) -> None:
    """Let running sequences feel it. Whatever goes wrong here, the wish itself stays: nothing is sent against it."""
    try:
        with connection.begin_nested():
            program = live.current_if_any(connection)
            if program is not None:
                intake.record(connection, program, suppressed(connection, wishes, now), now)
    except Exception:  # noqa: BLE001 - inbound: a wish is kept, whoever's program cannot follow it
        _log.exception("an unsubscribe was saved, but nothing followed from it")
