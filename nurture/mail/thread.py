"""Threads: Message-IDs that can be made again, `Re:` once, and the References chain (RFC 5322, 3.6.4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

from nurture.mail.address import domain, wire_address

MAX_REFERENCES = 20
"""Longer chains keep their first id and the last ones, as mail programs do."""

_ID = re.compile(r"<[^<>\s]+>")
_REPLY = re.compile(r"\s*(?:re|aw|sv|vs|antw|odp|ref|rif|r)(?:\s*\[\d+\])?\s*[:：]", re.IGNORECASE)


def mint_message_id(origin_key: str, address: str, salt: str = "") -> str:
    """Return `<32 hex digits@sender's domain>`, the same for the same origin on every attempt.

    `salt` is the database's instance id: two databases that both count from 1 must not mint the same id, because
    mailboxes drop a second mail with a Message-ID that they have seen.

    A thousand that are minted one after the other begin alike, so that the database writes the index of Message-IDs in
    one place, and not in as many as there are mails: a sixth of all that SQLite wrote among twenty thousand.
    """
    digest = hashlib.sha256(f"{salt}\0{origin_key}".encode()).hexdigest()[:24]
    kind, _, rest = origin_key.partition(":")
    number = rest.partition(":")[0]
    return f"<{_beginning(salt, kind, number[:-3])}{digest}@{_domain(address)}>"


@lru_cache(maxsize=1_024)
def _beginning(salt: str, kind: str, thousands: str) -> str:
    return hashlib.sha256(f"{salt}\0{kind}:{thousands}".encode()).hexdigest()[:8]


@lru_cache(maxsize=1_024)
def _domain(address: str) -> str:
    return domain(wire_address(address)).lower()


def reply_subject(subject: str) -> str:
    """Return the subject of an answer: `Re: ` before it, unless it already begins with an answer's prefix."""
    if _REPLY.match(subject):
        return subject.strip()
    return f"Re: {subject.strip()}".strip()


def references(previous: Iterable[str], parent: str) -> tuple[str, ...]:
    """Return the References of an answer to `parent`, oldest first, no id twice; `previous` are those of the parent."""
    chain = (*dict.fromkeys(known for known in previous if known != parent), parent)
    if len(chain) <= MAX_REFERENCES:
        return chain
    return chain[:1] + chain[-(MAX_REFERENCES - 1) :]


def split_references(text: str | None) -> tuple[str, ...]:
    """Return the ids in a stored or received References (or In-Reply-To) value."""
    return tuple(_ID.findall(text or ""))
