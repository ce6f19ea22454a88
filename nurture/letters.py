"""Mail that enters `dispatching` as it is planned: decided for each cohort, written for each run, inserted in one go.

The second part of direct sending. Everything happens in the caller's transaction, over contacts that it has locked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from nurture import carrying, composing, engine, live, sending
from nurture.core.cohorts import Spoken
from nurture.core.decision import Check, Send
from nurture.core.effects import Plan
from nurture.core.model import Contact, Enrollment, Situation
from nurture.core.quick import altered, quick_init
from nurture.core.words import MessageState, TimerKind, Voice
from nurture.db import decisions, dispatching, instance, messages, quotas, tables, timers
from nurture.db.bulk import reserve_ids
from nurture.db.columns import Columns
from nurture.db.decisions import Decided
from nurture.db.values import Same
from nurture.engine import Page
from nurture.mail.thread import mint_message_id
from nurture.mail.wire import Outgoing
from nurture.postroom import Postroom
from nurture.program.artifact import Artifact
from nurture.speakers import Speaker


@quick_init
@dataclass(frozen=True, slots=True)
class Letter:
    """A message that goes: its mail, what is kept of it, whose it is, what the gates found, and who spoke for its run.

    All else is as in the speaker's row.
    """

    origin: str
    mail: Outgoing
    kept: Mapping[str, Any]
    contact: Contact
    run: Enrollment
    checks: tuple[Check, ...]
    speaker: Speaker

    @property
    def plan(self) -> Plan:
        """Return the plan of its run, which the speaker's is but for whose it is."""
        plan = self.speaker.plan
        return altered(plan, enrollment=altered(plan.enrollment, id=self.run.id, contact_id=self.run.contact_id))


def write(
    connection: Connection,
    page: Page,
    postroom: Postroom,
    speakers: Sequence[Speaker],
    room: int,
    now: datetime,
    *,
    budget: int | None = None,
) -> list[Letter]:
    """Decide for each cohort, and write at most `room` mails; nothing is inserted yet.

    What else there is to say of a message than that it may go, the plain way says. `budget` is how many messages may
    still go today (None: any number).
    """
    going = _new(connection, _decided(speakers, postroom, budget, now), room)
    keys = reserve_ids(connection, tables.Message, len(going))
    pen = _Pen(
        composing.Writer(page.program, postroom.links),
        live.artifacts(connection, {speaker.row["template_hash"] for speaker in speakers}),
        instance.read(connection).instance_id,
        postroom.redirect_all_to,
        now,
    )
    letters = []
    for place, (key, (origin, run, speaker, said)) in enumerate(zip(keys, going, strict=True)):
        left = None if budget is None else budget - place
        situation = page.loaded[run.contact_id]
        if (written := pen.written(key, origin, situation, speaker)) is not None:
            letters.append(Letter(origin, *written, situation.contact, run, said.checks(run, left), speaker))
    return letters


def dispatch(
    connection: Connection, letters: Sequence[Letter], postroom: Postroom, carrier: str, program: str, now: datetime
) -> Sequence[Letter]:
    """Insert letters as `dispatching`, with held timers and their decisions; return those that are to be sent.

    `program` is the hash of the program by which they were decided.
    """
    if not letters:
        return letters
    common = {
        "state": MessageState.DISPATCHING,
        "owner": postroom.owner,
        "attempts": 1,
        "dispatching_at": now,
        "date_header": now,
        "provider": carrier,
    }
    dispatching.begin(connection, len(letters), {**_shared(letters), **_as_same(common), **_own(letters)})
    held = [(each.mail.id, each.speaker.row["due_at"], each.speaker.row["sender_id"]) for each in letters]
    timers.hold(connection, held, postroom.owner, sending.LEASE_SECONDS)
    if connection.dialect.name == "postgresql":
        letters = allowed(connection, letters, postroom.owner, now)
    if postroom.providers[carrier].real:
        quotas.count(connection, now.date(), Counter(letter.speaker.row["sender_id"] for letter in letters))
    decisions.record(connection, [_kept(letter) for letter in letters], program, now, fresh=True)
    return letters


def allowed(connection: Connection, letters: Sequence[Letter], owner: str, now: datetime) -> list[Letter]:
    """Take those back that somebody has forbidden since they were decided; return the others.

    For letters that no provider was handed: the plain way decides again about what is taken back.
    """
    lost = dispatching.forbidden(connection, [letter.mail.id for letter in letters], owner, now)
    ours = dispatching.withdraw(connection, lost, owner, now)
    timers.set_timers(connection, [(TimerKind.MESSAGE, key, now + sending.LOST_GUARD_RETRY) for key in ours])
    return [letter for letter in letters if letter.mail.id not in lost]


Going = tuple[str, Enrollment, Speaker, Spoken]
"""The origin of a message that may go, its run, who spoke for that, and what was said."""


def _decided(speakers: Sequence[Speaker], postroom: Postroom, budget: int | None, now: datetime) -> Iterator[Going]:
    by_number = {speaker.pending.row.id: speaker for speaker in speakers}
    for pending, answer in sending.decide_page([speaker.pending for speaker in speakers], budget, postroom, now):
        if isinstance(answer, Send):
            speaker, said = by_number[pending.row.id], Spoken(answer)
            for run in speaker.cohort:
                yield engine.origin_key(run), run, speaker, said


def _new(connection: Connection, decided: Iterable[Going], room: int) -> list[Going]:
    """Return as many as there is room for, none of them a message that is there already."""
    asked = list(decided)
    there = messages.known(connection, [origin for origin, *_ in asked])
    return list(islice((each for each in asked if each[0] not in there), room))


@dataclass(frozen=True, slots=True)
class _Pen:
    """What all letters of a page are written with."""

    writer: composing.Writer
    artifacts: Mapping[str, Artifact]
    salt: str
    redirect_to: str | None
    now: datetime

    def written(
        self, key: int, origin: str, situation: Situation, speaker: Speaker
    ) -> tuple[Outgoing, Mapping[str, Any]] | None:
        """Write a mail; return it with what is kept of it, None where that fails."""
        row, due, contact = speaker.row, speaker.pending.due, situation.contact
        planned = SimpleNamespace(
            id=key,
            origin_key=origin,
            to_address=contact.email,
            message_id_header=mint_message_id(origin, due.sender.address, self.salt),
            date_header=self.now,
            voice=row["voice"],
            template=row["template"],
            in_reply_to=None,
            thread_references=None,
        )
        sequence = due.sequence.name if due.sequence else None
        try:
            content = self.writer.compose(self.artifacts[row["template_hash"]], Voice.MARKETING, situation)
            mail = composing.outgoing(planned, content, due.sender, contact, sequence, self.now)
            mail = composing.redirected(mail, self.redirect_to)
            return mail, carrying.what_is_kept(mail, content.values)
        except Exception:  # noqa: BLE001 - fourth of five: the plain way meets it again, and holds the message for it
            return None


def _shared(letters: Sequence[Letter]) -> Columns:
    """Return the columns of the speakers' rows: for most pages it is one speaker."""
    first = letters[0].speaker
    if all(letter.speaker is first for letter in letters):
        return _as_same(first.row)
    return {name: [letter.speaker.row[name] for letter in letters] for name in first.row}


def _as_same(values: Mapping[str, Any]) -> Columns:
    return {name: Same(value) for name, value in values.items()}


def _own(letters: Sequence[Letter]) -> Columns:
    """Return the columns in which every message has a value of its own."""
    kept = {name: [letter.kept[name] for letter in letters] for name in letters[0].kept}
    return kept | {
        "origin_key": [letter.origin for letter in letters],
        "contact_id": [letter.contact.id for letter in letters],
        "enrollment_id": [letter.run.id for letter in letters],
        "to_address": [letter.contact.email for letter in letters],
        "to_hash": [letter.contact.address_hash for letter in letters],
        "message_id_header": [letter.mail.message_id for letter in letters],
    }


def _kept(letter: Letter) -> Decided:
    step, rule = letter.speaker.row["step_id"], letter.speaker.pending.rule
    return Decided(letter.contact.id, letter.run.id, letter.mail.id, step, "send", "", letter.checks, None, rule)
