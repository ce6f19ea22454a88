"""Unsubscribing by the link in a mail: GET shows a form and changes nothing, POST means it (RFC 8058).

No login, no cookie, no redirect, and no look at the body: whoever posts here can mean one thing only. A token that is
unknown looks like any other, so that nobody learns from a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import structlog
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from nurture import intake, live
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
        suppressions.add(connection, wishes, "unsubscribe link", "contact", now)
        _feel(connection, wishes, now)


def _wishes(connection: Connection, ring: KeyRing, token: UnsubscribeToken) -> Iterator[Wish]:
    """Yield the wish under every key, with its plain address, when that is still known; else under the token's hash."""
    key_id = token.address_hash.partition(":")[0]
    contacts = {*known.lineage(connection, token.contact_id)} if key_id in ring.ids else set()
    contacts.update(suppressions.contacts_of(connection, [token.address_hash]).values() if contacts else ())
    for email_keys in known.address_keys(connection, contacts).values():
        for email_key in email_keys:
            if ring.address_hash(email_key, key_id) == token.address_hash:
                yield from suppressions.wishes(ring, email_key, token.scope, "unsubscribed")
    yield Wish(token.address_hash, token.scope, "unsubscribed")


def _feel(connection: Connection, wishes: list[Wish], now: datetime) -> None:
    """Let running sequences feel it. Whatever goes wrong here, the wish itself stays: nothing is sent against it."""
    try:
        with connection.begin_nested():
            program = live.current_if_any(connection)
            if program is not None:
                intake.record(connection, program, suppressed(connection, wishes, now), now)
    except Exception:  # noqa: BLE001 - inbound: a wish is kept, whoever's program cannot follow it
        _log.exception("an unsubscribe was saved, but nothing followed from it")
