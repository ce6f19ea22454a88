"""A mail as a value, and as the bytes that go over the wire. Nothing here sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nurture.core.words import Voice


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail to one person, ready to be written. `id` is ours (a message's key) and comes back in its receipt.

    `message_id`, `in_reply_to` and `references` are written with their angle brackets; `date` is aware and set once,
    at first dispatch. `unsubscribe_url` (https) and `feedback_id` are for the marketing voice only. `metadata` goes to
    providers that keep it, so that a message can be found there again; it is no part of the mail.
    """

    id: int
    voice: Voice
    from_address: str
    from_name: str
    to_address: str
    to_name: str
    subject: str
    text: str
    html: str | None
    message_id: str
    date: datetime
    reply_to: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    unsubscribe_url: str | None = None
    feedback_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
