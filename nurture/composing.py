"""What a mail says to one contact: the values that templates may name, rendering, and the hash of what was said.

Used by drafts (personal mail), sending (marketing mail) and preview alike. Sends nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from nurture.core.facts import template_values
from nurture.core.model import Situation, Value
from nurture.core.program import Program
from nurture.core.words import Scope, Voice
from nurture.mail.keys import KeyRing
from nurture.mail.thread import reply_subject
from nurture.program.artifact import Artifact
from nurture.program.links import unsubscribe_url
from nurture.program.render import render


@dataclass(frozen=True, slots=True)
class Links:
    """Where links in mail lead: the public URL of the unsubscribe pages, and the keys that sign their tokens."""

    public_url: str
    ring: KeyRing


@dataclass(frozen=True, slots=True)
class Composed:
    """A mail's content. `values` are what the template named, `unsubscribe` the one-click URL (marketing only)."""

    subject: str
    text: str
    html: str | None
    values: Mapping[str, Value]
    unsubscribe: str | None = None


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
    values = values_for(voice, situation, program, links) | {"first_of_run": first_of_run}
    named = {name: value for name, value in values.items() if name in artifact.variables}
    rendered = render(artifact, named)
    subject = reply_subject(answering) if answering else rendered.subject
    url = str(values["unsubscribe_url"]) if voice is Voice.MARKETING else None
    return Composed(subject, rendered.text, rendered.html, named, url)


def values_for(voice: Voice, situation: Situation, program: Program, links: Links) -> dict[str, Value]:
    """Return every value that a template may name for this contact."""
    values = template_values(situation, program.lifecycle, program.company, program.fields)
    contact = situation.contact
    if voice is Voice.MARKETING and contact.address_hash:
        values["unsubscribe_url"] = unsubscribe_url(
            links.public_url, links.ring, contact.id, contact.address_hash, Scope.MARKETING
        )
    return values


def content_hash(
    *, to_address: str, sender: str, subject: str, text: str, html: str | None, thread_head: str | None
) -> str:
    """Return the hash that an approval binds: all that the contact will read, whom it goes to and what it answers.

    Message-ID, Date, References and the boundary are the envelope, outside it.
    """
    content: list[object] = [to_address, sender, subject, text, html, [], thread_head]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
