"""The provider's turn: mail whose intent is committed is handed over, and what became of it is committed.

No transaction spans the network. Whatever a provider raises or leaves out means that nobody knows. What it answered is
kept while the database cannot take it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from nurture import failpoints, keeping, metrics, settling
from nurture.core.model import Contact, ContactId
from nurture.db.passing import reason
from nurture.db.session import Database
from nurture.errors import DatabaseError, Fenced, ProviderError
from nurture.mail.wire import Outgoing, to_bytes
from nurture.postroom import Postroom
from nurture.providers.base import Deadline, Outcome, Provider, Receipt

SEND_SECONDS = 60.0
"""How long one call of a provider may take in all; well below the lease."""

TOO_LATE = "its process was stopped for so long that its lease was nearly over"


def carry(
    database: Database,
    postroom: Postroom,
    name: str,
    mails: Sequence[Outgoing],
    known: Mapping[ContactId, Contact],
    held: Deadline,
    now: datetime,
    *,
    again: Callable[[], Sequence[Outgoing]] | None = None,
    also: Callable[[Connection, Sequence[Receipt]], None] = lambda connection, receipts: None,
) -> Sequence[Receipt]:
    """Hand mail, whose intent is committed, to its provider when it is our turn, and commit what became of it.

    `known` are the contacts that it goes to. Once `held` is over, nothing is handed over. `again` says what may still
    go after a long wait for the turn (None: all). `also` is done before the rest is committed, in the same transaction.
    Both may be done twice (see `keeping`). `now` is when the mail entered `dispatching`.
    """
    failpoints.reach(failpoints.DISPATCHING)
    with postroom.turn as turn:
        receipts = _handed_over(database, postroom, name, mails, held, again if turn.stale else None)
    metrics.receipts(name, (receipt.outcome.value for receipt in receipts))
    failpoints.reach(failpoints.ANSWERED)

    def settle(connection: Connection) -> None:
        also(connection, receipts)
        attempt = settling.Attempt(postroom.owner, now)
        settling.receipts(connection, receipts, postroom.settle_after, now, attempt=attempt, known=known)

    keeping.write(database, settle, len(receipts), postroom.keeping, postroom.stopping)
    failpoints.reach(failpoints.SETTLED)
    return receipts


def what_is_kept(mail: Outgoing, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a mail with its message: its key, subject, variables and the hash of its octets."""
    return {
        "id": mail.id,
        "subject": mail.subject,
        "variables": variables,
        "wire_hash": hashlib.sha256(to_bytes(mail)).hexdigest(),
    }


def _handed_over(
    database: Database,
    postroom: Postroom,
    name: str,
    mails: Sequence[Outgoing],
    held: Deadline,
    again: Callable[[], Sequence[Outgoing]] | None,
) -> list[Receipt]:
    """Call the provider with what may still go, once the witness has seen it, and while nobody else may have it.

    Where one of them cannot be asked, nothing has left.
    """
    provider = postroom.providers[name]
    try:
        going = mails if again is None else again()
        if going and provider.real and postroom.witness is not None:
            with database.read() as connection:
                postroom.witness.see(connection)
    except (Fenced, DatabaseError, DBAPIError) as error:
        return [Receipt(mail.id, Outcome.NOT_SENT, detail=reason(error)) for mail in mails]
    if not held.left():
        return [Receipt(mail.id, Outcome.NOT_SENT, detail=TOO_LATE) for mail in going]
    if not going:
        return []
    with metrics.call(name):
        return _call(provider, going)


def _call(provider: Provider, mails: Sequence[Outgoing]) -> list[Receipt]:
    """Call the provider; whatever it raises means that nobody knows what was sent."""
    try:
        found = {receipt.id: receipt for receipt in provider.send(mails, seconds=SEND_SECONDS)}
    except ProviderError as error:
        return [Receipt(mail.id, Outcome.NOT_SENT, detail=str(error)) for mail in mails]
    except Exception as error:  # noqa: BLE001 - fifth of five: silence is ambiguous
        found = {}
        detail = f"{type(error).__name__}: {error}"
    else:
        detail = "the provider gave no receipt for it"
    return [found.get(mail.id) or Receipt(mail.id, Outcome.AMBIGUOUS, detail=detail) for mail in mails]
