"""A step's mail to one contact before anything is sent, and a marked test of it to somebody else.

A test goes through the sequence's provider and nowhere near the contact: it is no message, counts under no cap, and its
unsubscribe link is about the one who gets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from nurture import composing
from nurture.composing import Links
from nurture.core.model import Contact, ContactId, Sender, SenderId, Situation
from nurture.core.program import Program
from nurture.core.sequence import Sequence, Step
from nurture.core.words import LIVE_ENROLLMENTS, Voice
from nurture.db import instance, messages, senders, suppressions
from nurture.errors import NotFound, Refused, UsageError
from nurture.looking.contacts import situation_of
from nurture.mail.address import domain, normalize
from nurture.mail.keys import KeyRing
from nurture.mail.thread import mint_message_id, references
from nurture.mail.wire import Outgoing
from nurture.program.artifact import Artifact
from nurture.providers.base import Provider, Receipt

NOBODY = ContactId(0)
SEND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Preview:
    """The mail of a step to a contact; `rule` is where the step stands."""

    mail: Outgoing
    sequence: Sequence
    step: Step
    sender: Sender
    rule: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Which mail to look at: the step of a sequence of this program, for a contact, by the name `key`."""

    program: Program
    artifacts: Mapping[str, Artifact]
    sequence: str
    step: str
    contact_id: ContactId
    key: str


def preview(connection: Connection, asked: Asked, links: Links, now: datetime) -> Preview:
    """Return the mail that a step would send to a contact now.

    Raises NotFound (no such sequence or step), Refused (nobody to send it from), TemplateError.
    """
    return _written(connection, asked, situation_of(connection, asked.program, asked.contact_id, now), links, now)


def as_test(
    connection: Connection,
    asked: Asked,
    links: Links,
    to: str,
    allow_domains: frozenset[str],
    redirect_to: str | None,
    now: datetime,
) -> Preview:
    """Return the same mail as a marked test to somebody else, whom its unsubscribe link is about.

    Raises also UsageError when `to` is no address, Refused when nothing may be sent to it.
    """
    key = _checked(connection, to, links.ring, allow_domains, redirect_to)
    situation = situation_of(connection, asked.program, asked.contact_id, now)
    stand_in = replace(situation.contact, id=NOBODY, address_hash=links.ring.address_hash(key))
    found = _written(connection, asked, replace(situation, contact=stand_in), links, now)
    mail = replace(found.mail, to_address=to, to_name="", subject=f"[TEST] {found.mail.subject}", metadata={})
    return replace(found, mail=composing.redirected(mail, redirect_to))


def send_test(provider: Provider, mail: Outgoing) -> Receipt:
    """Hand one mail to a provider and return what it says."""
    (receipt,) = provider.send([mail], seconds=SEND_SECONDS)
    return receipt


def _written(connection: Connection, asked: Asked, situation: Situation, links: Links, now: datetime) -> Preview:
    sequence, step = _step(asked)
    program, contact = asked.program, situation.contact
    sender = _sender(connection, program, sequence, contact)
    thread = _thread(connection, sequence, situation)
    content = composing.compose(
        asked.artifacts[program.templates[step.template or ""]],
        sequence.voice,
        situation,
        program,
        links,
        first_of_run=not thread,
        answering=thread[0].subject if thread and step.thread else None,
    )
    row = _row(asked, step, sequence, contact, sender, thread if step.thread else [], now, _salt(connection))
    mail = composing.outgoing(row, content, sender, contact, sequence.name, now)
    return Preview(mail, sequence, step, sender, f"{sequence.file}:{step.line}")


def _step(asked: Asked) -> tuple[Sequence, Step]:
    sequence = asked.program.sequences.get(asked.sequence)
    if sequence is None:
        raise NotFound(f"there is no sequence {asked.sequence!r}{_meant(asked.sequence, asked.program.sequences)}")
    step = sequence.step(asked.step)
    mails = [each.id for each in sequence.steps if each.kind == "email"]
    if step is None or step.kind != "email":
        what = f"no step {asked.step!r} of" if step is None else f"{asked.step!r} is a {step.kind} step of"
        where = "sends a mail" if step is None else "that sends no mail"
        raise NotFound(f"{what} {sequence.name} {where}{_meant(asked.step, mails)}")
    return sequence, step


def _meant(word: str, known: Any) -> str:
    close = get_close_matches(word, list(known), 1)
    return f": did you mean {close[0]!r}?" if close else f": there are {', '.join(known) or 'none'}"


def _sender(connection: Connection, program: Program, sequence: Sequence, contact: Contact) -> Sender:
    if sequence.voice is Voice.MARKETING:
        spec = program.senders[sequence.sender]
        provider, reply_to = spec.provider, spec.reply_to
        return Sender(SenderId(0), spec.name, spec.voice, spec.address, spec.display_name, provider, reply_to)
    owner = contact.owner
    if owner is None:
        raise Refused("the contact has no owner, in whose name personal mail goes out: import one with the contact")
    mailbox = next((each for each in senders.every(connection) if each.rep_id == owner.id), None)
    if mailbox is None:
        raise Refused(f"{owner.email} has no mailbox to send from: run `nurture reps add` for them again")
    return mailbox


def _thread(connection: Connection, sequence: Sequence, situation: Situation) -> list[Any]:
    """Return what was sent in the contact's present run of the sequence, oldest first."""
    mine = [r for r in situation.enrollments if r.sequence == sequence.name and r.state in LIVE_ENROLLMENTS]
    return messages.thread_of(connection, [mine[-1].id]).get(mine[-1].id, []) if mine else []


def _salt(connection: Connection) -> str:
    return instance.read(connection).instance_id


def _row(
    asked: Asked,
    step: Step,
    sequence: Sequence,
    contact: Contact,
    sender: Sender,
    thread: list[Any],
    now: datetime,
    salt: str,
) -> SimpleNamespace:
    """Return what looks like the message row that the step would have."""
    if not contact.email:
        raise Refused("the contact has no e-mail address")
    origin, last = f"preview:{asked.key}", thread[-1] if thread else None
    chain = references((last.thread_references or "").split(), last.wire_id or last.message_id_header) if last else ()
    return SimpleNamespace(
        id=0,
        voice=sequence.voice,
        to_address=contact.email,
        message_id_header=mint_message_id(origin, sender.address, salt),
        date_header=now,
        in_reply_to=(last.wire_id or last.message_id_header) if last else None,
        thread_references=" ".join(chain) or None,
        template=step.template or "",
        origin_key=origin,
    )


def _checked(
    connection: Connection, to: str, ring: KeyRing, allow_domains: frozenset[str], redirect_to: str | None
) -> str:
    """Return the normalized address of a test, if anything may be sent to it at all."""
    try:
        key = normalize(to)
    except ValueError as error:
        raise UsageError(f"{to!r} is no address: {error}") from None
    if (paused := instance.read(connection).sending_paused) is not None:
        raise Refused(f"nothing is sent now: {paused}")
    if suppressions.by_hashes(connection, ring.address_hashes(key)):
        raise Refused(f"{key} is suppressed: send the test to another address")
    if allow_domains and not redirect_to and domain(key) not in allow_domains:
        raise Refused(f"{domain(key)} is not in allow_domains of nurture.toml: send the test to another address")
    return key
