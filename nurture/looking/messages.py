"""Messages as people look at them: one with its decisions, and its mail written once more and compared with what left.

Personal mail is stored whole. Marketing mail is rendered again from its template and the values that it kept; the hash
of what was sent says whether that is the same mail to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row

from nurture import composing, live
from nurture.composing import Composed, Links
from nurture.core.model import ContactId, Sender, SenderId, Situation
from nurture.core.words import MessageState, Voice
from nurture.db import decisions, listings, messages, senders
from nurture.db.decisions import Given
from nurture.errors import NotFound, Refused
from nurture.looking.contacts import situation_of
from nurture.mail.wire import Outgoing, to_bytes

DECISIONS = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A message row with the answers that were given about it, newest first."""

    row: Row[Any]
    decisions: Sequence[Given]


@dataclass(frozen=True, slots=True)
class Written:
    """A mail written again. `same` says whether it is what was sent (None: nothing was sent yet), `note` says more."""

    mail: Outgoing
    raw: bytes
    same: bool | None
    note: str


def listing(
    connection: Connection, *, state: MessageState | None, contact_id: ContactId | None, limit: int
) -> Sequence[Row[Any]]:
    """Return messages, the last due first."""
    return listings.messages(connection, state=state, contact_id=contact_id, limit=limit)


def show(connection: Connection, message_id: int) -> Shown:
    """Return a message with its decisions; raise NotFound."""
    row = _row(connection, message_id)
    answers = decisions.of_contact(connection, row.contact_id, DECISIONS)
    return Shown(row, [answer for answer in answers if answer.message_id == message_id])


def require_ambiguous(connection: Connection, message_id: int) -> None:
    """Raise NotFound or Refused unless this is a message that can be settled."""
    row = _row(connection, message_id)
    if row.state != MessageState.AMBIGUOUS:
        raise Refused(f"message {message_id} is {row.state.replace('_', ' ')}: only an ambiguous one is settled")


def ambiguous(connection: Connection, sender: str | None) -> list[int]:
    """Return the ambiguous messages, of one sender or (None) of all; raise NotFound when there is no such sender."""
    if sender is None:
        return messages.ambiguous(connection, None)
    known = {each.name: each.id for each in senders.every(connection)}
    if sender not in known:
        raise NotFound(f"there is no sender {sender!r}; there are: {', '.join(sorted(known)) or 'none'}")
    return messages.ambiguous(connection, known[sender])


def write_again(
    connection: Connection, message_id: int, links: Links, redirect_to: str | None, now: datetime
) -> Written:
    """Return a message's mail. One that was not sent yet is written as it would be sent now.

    Raises NotFound, Refused when a draft is not written yet, TemplateError when a value is missing.
    """
    row = _row(connection, message_id)
    program = live.current(connection)
    situation = situation_of(connection, program, ContactId(row.contact_id), now)
    sender = senders.by_ids(connection, [row.sender_id])[SenderId(row.sender_id)]
    content = _content(connection, row, situation, links)
    mail = composing.outgoing(row, content, sender, situation.contact, row.sequence, now)
    return _compared(row, mail, sender, redirect_to)


def _row(connection: Connection, message_id: int) -> Row[Any]:
    if (row := listings.message(connection, message_id)) is None:
        raise NotFound(f"there is no message {message_id}: see `nurture messages list`")
    return row


def _content(connection: Connection, row: Row[Any], situation: Situation, links: Links) -> Composed:
    if row.voice == Voice.PERSONAL:
        if row.text_body is None:
            raise Refused(f"the draft {row.id} is not written yet" + (f": {row.reason}" if row.reason else ""))
        return composing.kept(row)
    artifact = live.artifacts(connection, [row.template_hash])[row.template_hash]
    if row.wire_hash is not None:
        return composing.again(row, artifact, links)
    return composing.compose(artifact, Voice.MARKETING, situation, live.current(connection), links)


def _compared(row: Row[Any], mail: Outgoing, sender: Sender, redirect_to: str | None) -> Written:
    """Compare with the hash of what was sent, as it was addressed or as it was redirected."""
    raw = to_bytes(mail)
    if row.wire_hash is None:
        return Written(mail, raw, None, "not sent yet: this is how it would go out now")
    if _hash(raw) == row.wire_hash:
        return Written(mail, raw, True, "the same as what was sent, to the byte")
    staged = composing.redirected(mail, redirect_to)
    if _hash(to_bytes(staged)) == row.wire_hash:
        return Written(staged, to_bytes(staged), True, f"the same as what was sent, redirected to {redirect_to}")
    changed = f"the name of the contact, the sender {sender.name}, the public URL or this version of nurture"
    return Written(mail, raw, False, f"not the same as what was sent: since then something changed, {changed}")


def _hash(raw: bytes) -> str:
    return sha256(raw).hexdigest()
