"""Unsent drafts of contacts who have another owner now: they are written anew, from that rep's mailbox."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from nurture.core.words import MessageState, TimerKind, Voice
from nurture.db import tables, timers
from nurture.db.bulk import in_page, update_rows

_MESSAGE = tables.Message.__table__
_CONTACT = tables.Contact.__table__
_SENDER = tables.Sender.__table__

_EMPTY: dict[str, Any] = dict.fromkeys(
    ("subject", "text_body", "html_body", "variables", "content_hash", "approval_id", "owner", "reason")
)


def redraft(connection: Connection, contact_ids: Collection[int], now: datetime) -> int:
    """Give drafts that wait for another rep than the contact's owner to the owner; return how many.

    Approved ones must be void by then (`owner_changed` makes them so): what one rep approved another never sends.
    """
    if not contact_ids:
        return 0
    theirs = _SENDER.alias("theirs")
    mailbox = select(func.min(theirs.c.id)).where(theirs.c.rep_id == _CONTACT.c.owner_id).scalar_subquery()
    columns: list[Any] = [_MESSAGE.c.id, mailbox.label("mailbox")]
    query = (
        select(*columns)
        .join_from(_MESSAGE, _CONTACT, _CONTACT.c.id == _MESSAGE.c.contact_id)
        .join(_SENDER, _SENDER.c.id == _MESSAGE.c.sender_id)
        .where(in_page(_MESSAGE.c.contact_id, contact_ids), _MESSAGE.c.voice == Voice.PERSONAL)
        .where(_MESSAGE.c.state.in_((MessageState.PLANNED, MessageState.AWAITING_APPROVAL)))
        .where(_SENDER.c.rep_id != _CONTACT.c.owner_id)
        .order_by(_MESSAGE.c.id)
    )
    found = [row for row in connection.execute(query).all() if row.mailbox is not None]
    anew = {**_EMPTY, "state": MessageState.PLANNED, "void_reason": "owner changed", "edited": False, "updated_at": now}
    update_rows(connection, _MESSAGE, "id", [{"id": row.id, "sender_id": row.mailbox, **anew} for row in found])
    timers.set_timers(connection, [(TimerKind.DRAFT, row.id, now) for row in found])
    return len(found)
