"""The self-test of the unsubscribe pages: does the public URL lead to a server of this very database?

We ask `<public URL>/health/unsubscribe?nonce=…` as a mail program would, without following redirects; the answer is
signed over the nonce and the database's name, which only a server with our keys and our database can do.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from nurture.composing import Links
from nurture.db import instance
from nurture.db.session import Database
from nurture.errors import ProviderError
from nurture.mail.keys import KeyRing
from nurture.providers.base import Deadline
from nurture.providers.http import Http, NoAnswer, Response, Unreachable

PATH = "/health/unsubscribe"
EVERY = timedelta(hours=1)
"""How often the pages are asked while all is well."""

SECONDS = 20.0
MAX_NONCE = 100


def due(database: Database, links: Links, now: datetime) -> bool:
    """Tell whether it is time to ask: a public URL is set, and it has not answered within the last hour."""
    if not links.public_url:
        return False
    with database.read() as connection:
        home = instance.read(connection)
    if home.rehearsal:
        return False
    asked = home.unsubscribe_tested_at if home.unsubscribe_tested_url == links.public_url else None
    return asked is None or now - asked >= EVERY


def ask(database: Database, links: Links, nonce: str, now: datetime) -> str | None:
    """Ask the public URL and keep that it answered; return what is wrong with it, None when nothing is."""
    with database.read() as connection:
        name = instance.read(connection).instance_id
    problem = _problem(links, name, nonce)
    if problem is None:
        with database.write() as connection:
            instance.record_unsubscribe_test(connection, links.public_url, now)
    return problem


def answer(ring: KeyRing, instance_id: str, nonce: str) -> str:
    """Return the signature (hex) by which a server shows that it is the right one."""
    return ring.sign(_PURPOSE, _payload(instance_id, nonce)).hex()


_PURPOSE = "unsubscribe self-test"


def _payload(instance_id: str, nonce: str) -> bytes:
    return f"{instance_id}\n{nonce}".encode()


def _problem(links: Links, instance_id: str, nonce: str) -> str | None:
    try:
        http = Http(links.public_url, connections=1)
    except ProviderError as error:
        return str(error)
    try:
        response = http.get(f"{PATH}?nonce={nonce}", Deadline(SECONDS))
    except (Unreachable, NoAnswer) as error:
        return str(error)
    finally:
        http.close()
    if response.status != 200:
        return _refusal(links, response)
    if links.ring.verify(_PURPOSE, _payload(instance_id, nonce), _signature(response)):
        return None
    return f"{links.public_url}{PATH} is answered by something else than `nurture serve` of this database"


def _refusal(links: Links, response: Response) -> str:
    if 300 <= response.status < 400:
        return (
            f"{links.public_url}{PATH} redirects to {response.headers.get('location', 'nowhere')}: mail programs do "
            "not follow redirects when they unsubscribe; set public_url to the final address"
        )
    return f"{links.public_url}{PATH} answers with status {response.status}"


def _signature(response: Response) -> bytes:
    try:
        return bytes.fromhex(json.loads(response.body)["signature"])
    except (ValueError, KeyError, TypeError):
        return b""
