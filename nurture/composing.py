"""What a mail says to one contact: the values that templates may name, rendering, the hash of what was said, the mail.

Used by drafts (personal mail), sending (marketing mail), preview and looking alike. Sends nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from nurture.core.model import Contact, ContactId, Sender, Situation, Value
from nurture.core.program import Program
from nurture.core.quick import quick_init
from nurture.core.telling import Teller, teller
from nurture.core.words import Scope, Voice
from nurture.mail.keys import KeyRing
from nurture.mail.thread import reply_subject, split_references
from nurture.mail.wire import Outgoing, tamed
from nurture.program.artifact import Artifact
from nurture.program.links import signer, unsubscribe_url
from nurture.program.render import render


@dataclass(frozen=True, slots=True)
class Links:
    """Where links in mail lead: the public URL of the unsubscribe pages, and the keys that sign their tokens."""

    public_url: str
    ring: KeyRing


@quick_init
@dataclass(frozen=True, slots=True)
class Composed:
    """A mail's content. `values` are what the template named, `unsubscribe` the one-click URL (marketing only).

    `tame` and `undotted` are what `wire.tamed` promises of text and HTML.
    """

    subject: str
    text: str
    html: str | None
    values: Mapping[str, Value]
    unsubscribe: str | None = None
    tame: bool = False
    undotted: bool = False


def compose(
    artifact: Artifact,
    voice: Voice,
    situation: Situation,
    program: Program,
    links: Links,
    *,
    first_of_run: bool = True,
    answering: str | None = None,
) -> Composed:
    """Render a template for a contact; raise TemplateError naming what is missing.

    `answering` is the subject of the mail that this one follows in its thread: it becomes the subject, with one "Re:".
    """
    return Writer(program, links).compose(artifact, voice, situation, first_of_run=first_of_run, answering=answering)


class Writer:
    """Composes one mail after the other: what is the same for all of them is looked up once."""

    def __init__(self, program: Program, links: Links) -> None:
        """Write what `program` says, with links that `links` signs."""
        self._program = program
        self._sign = signer(links.public_url, links.ring, Scope.MARKETING)
        self._tellers: dict[str, Teller] = {}

    def compose(
        self,
        artifact: Artifact,
        voice: Voice,
        situation: Situation,
        *,
        first_of_run: bool = True,
        answering: str | None = None,
    ) -> Composed:
        """Render a template for a contact; see the function `compose`."""
        contact, names = situation.contact, artifact.variables
        named = (self._tellers.get(artifact.hash) or self._teller(artifact))(contact)
        url = None
        if voice is Voice.MARKETING:
            url = self._sign(contact.id, contact.address_hash or "")
            if "unsubscribe_url" in names:
                named["unsubscribe_url"] = url
        if "first_of_run" in names:
            named["first_of_run"] = first_of_run
        rendered = render(artifact, named)
        subject = reply_subject(answering) if answering else rendered.subject
        return Composed(subject, rendered.text, rendered.html, named, url, rendered.tame, rendered.undotted)

    def _teller(self, artifact: Artifact) -> Teller:
        program = self._program
        tell = teller(artifact.variables, program.lifecycle, program.company, program.fields)
        self._tellers[artifact.hash] = tell
        return tell


def kept(row: Row[Any]) -> Composed:
    """Return the content of personal mail: it is stored with the message, as its rep approved it."""
    return Composed(row.subject, row.text_body, row.html_body, row.variables or {})


def again(row: Row[Any], artifact: Artifact, links: Links) -> Composed:
    """Render marketing mail a second time, from the values that its message kept."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in (row.variables or {}).items()}
    rendered = render(artifact, values)
    url = values.get("unsubscribe_url") or unsubscribe_url(
        links.public_url, links.ring, ContactId(row.contact_id), row.to_hash, Scope.MARKETING
    )
    return Composed(rendered.subject, rendered.text, rendered.html, values, str(url), rendered.tame, rendered.undotted)


def outgoing(
    row: Any, content: Composed, sender: Sender, contact: Contact, sequence: str | None, now: datetime
) -> Outgoing:
    """Return a message row (or what looks like one) with its content as the mail that a provider is given."""
    first, last = contact.first_name, contact.last_name
    key, references = row.id, row.thread_references
    mail = Outgoing(  # in their order: to name each takes as long as all the rest
        key,
        _VOICES[row.voice],
        sender.address,
        sender.display_name,
        row.to_address,
        f"{first} {last}" if first and last else first or last or "",
        content.subject,
        content.text,
        content.html,
        row.message_id_header,
        row.date_header or now,
        sender.reply_to,
        row.in_reply_to,
        split_references(references) if references else (),
        content.unsubscribe,
        _feedback_id(row.template, sequence, sender.name) if content.unsubscribe else None,
        {"message": str(key), "origin": row.origin_key},
    )
    return tamed(mail, undotted=content.undotted) if content.tame else mail


_VOICES = {voice.value: voice for voice in Voice}


def redirected(mail: Outgoing, to: str | None) -> Outgoing:
    """Return the mail for the one address to which everything goes on a staging system, if there is one."""
    if not to:
        return mail
    return replace(mail, to_address=to, to_name="", subject=f"[to {mail.to_address}] {mail.subject}")


@lru_cache(maxsize=1_024)
def _feedback_id(template: str, sequence: str | None, sender: str) -> str:
    """Return `template:sequence:nurture:sender`: what mailbox providers group complaint rates by."""
    return f"{template.replace('/', '-')}:{sequence or 'none'}:nurture:{sender}"


def content_hash(
    *, to_address: str, sender: str, subject: str, text: str, html: str | None, thread_head: str | None
) -> str:
    """Return the hash that an approval binds: all that the contact will read, whom it goes to and what it answers.

    Message-ID, Date, References and the boundary are the envelope, outside it.
    """
    content: list[object] = [to_address, sender, subject, text, html, [], thread_head]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
