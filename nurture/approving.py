"""What a rep sees and does: the drafts that wait, one beside its contact, and acting on exactly what was read.

The acts themselves are `drafts`; here they are bound to the content that was shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from nurture import drafts, live
from nurture.core import calendars
from nurture.core.calendars import resolve_zone
from nurture.core.model import ContactId, Rep
from nurture.core.spans import Span
from nurture.core.words import Voice
from nurture.db import listings
from nurture.errors import NotFound, Refused, StaleDraft, UsageError
from nurture.looking.contacts import Profile, profile, situation_of

SHORT = 12
"""Characters of a content hash that people read and type."""

TIMELINE = 12


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft beside whom it is for: `thread` is what was sent before it in its run, oldest first."""

    row: Row[Any]
    profile: Profile
    thread: Sequence[Row[Any]]

    @property
    def hash(self) -> str:
        """The short hash of the content as it was read."""
        return (self.row.content_hash or "")[:SHORT]


def waiting(connection: Connection, rep: Rep | None) -> Sequence[Row[Any]]:
    """Return the drafts that wait for a rep (None: for any), by due time."""
    return listings.drafts(connection, rep.id if rep else None)


def read(connection: Connection, message_id: int, now: datetime) -> Draft:
    """Return a draft with all that its rep should see; raise NotFound, Refused when it is no personal mail."""
    row = listings.message(connection, message_id)
    if row is None:
        raise NotFound(f"there is no message {message_id}: see `nurture approvals list`")
    if row.voice != Voice.PERSONAL:
        raise Refused(f"message {message_id} is marketing mail: look at it with `nurture messages show {message_id}`")
    who = profile(connection, live.current(connection), ContactId(row.contact_id), TIMELINE, now)
    thread = listings.thread(connection, row.enrollment_id) if row.enrollment_id is not None else ()
    return Draft(row, who, [sent for sent in thread if sent.id != row.id])


def seen(connection: Connection, ids: Iterable[int], said: str | None) -> dict[int, str]:
    """Return the content hashes of drafts as they are now; `said` is the short hash that the rep read.

    Raises NotFound, Refused when a draft is not written yet, StaleDraft when it is not the one that was read.
    """
    found = {}
    for key in ids:
        row = listings.message(connection, key)
        if row is None:
            raise NotFound(f"there is no message {key}: see `nurture approvals list`")
        if row.content_hash is None:
            raise Refused(f"message {key} has no draft that could be approved: it is {row.state.replace('_', ' ')}")
        if said and not row.content_hash.startswith(said):
            raise StaleDraft(f"the draft {key} changed since you read it: run `nurture approvals show {key}`")
        found[key] = row.content_hash
    return found


def in_bulk(connection: Connection, rep: Rep, template: str | None) -> list[int]:
    """Return the drafts that a rep may approve unread: unedited, with no void approval, of one version of a template.

    Raises Refused when there is no such draft, or they come from several templates.
    """
    fresh = [row for row in waiting(connection, rep) if not row.edited and row.void_reason is None]
    rows = [row for row in fresh if template in (None, row.template)]
    kinds = Counter((row.template, row.template_hash) for row in rows)
    if not rows:
        raise Refused("no draft can be approved in bulk: edited ones and those sent back are approved one by one")
    if len(kinds) > 1:
        named = ", ".join(f"{name} ({count})" for (name, _), count in sorted(kinds.items()))
        raise Refused(f"the drafts come from several templates, approve one at a time with --template: {named}")
    return [row.id for row in rows]


def edit(
    connection: Connection,
    message_id: int,
    rep: Rep,
    seen_hash: str | None,
    subject: str | None,
    text: str | None,
    now: datetime,
) -> str:
    """Change a draft that is still the one that was read; return its new content hash."""
    row = drafts.locked(connection, message_id)
    if row.content_hash != seen_hash:
        raise StaleDraft(f"the draft {message_id} changed while you were editing: read it again")
    return drafts.edit(connection, message_id, rep, subject=subject, text=text, now=now)


def snooze(connection: Connection, message_id: int, rep: Rep, until: datetime | Span, now: datetime) -> datetime:
    """Let a draft wait until a moment, or for a while by the contact's calendar; return until when."""
    if isinstance(until, Span):
        program = live.current(connection)
        row = drafts.locked(connection, message_id)
        contact = situation_of(connection, program, ContactId(row.contact_id), now).contact
        until = calendars.add(until, now, resolve_zone(contact, program.company)[0])
    drafts.snooze(connection, message_id, rep, until, now)
    return until


def parted(written: str) -> tuple[str, str]:
    """Return subject and text of what a rep wrote in an editor: `Subject: …`, an empty line, the text."""
    first, _, rest = written.replace("\r\n", "\n").partition("\n")
    if not first.lower().startswith("subject:"):
        raise UsageError("the first line must be `Subject: …`: nothing was changed")
    return first.partition(":")[2].strip(), rest.strip("\n") + "\n"
