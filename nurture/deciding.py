"""What the gates read about a page of due messages, loaded with a constant number of queries.

Used by sending and by `why`, so that both decide over the same inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, select

from nurture import live
from nurture.core.decision import Due
from nurture.core.events import INBOUND
from nurture.core.gates.approval import VOIDING
from nurture.core.model import Contact, ContactId, Enrollment, EnrollmentId, MessageBrief, Sender, Situation
from nurture.core.program import Program
from nurture.core.quick import quick_init
from nurture.core.sequence import Sequence as Sequenced
from nurture.core.words import MessageState, Voice
from nurture.db import contacts, enrollments, instance, quotas, senders, situations, tables
from nurture.db.bulk import in_page

TESTED_WITHIN = timedelta(days=7)
"""How long an answered self-test of the unsubscribe pages counts."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about sending: which providers are real, how many messages a day they may carry.

    `patience` is how rarely due work is looked at (a cron job: the time between its runs), so that lying that long is
    not taken for being left lying.
    """

    real_providers: frozenset[str] = frozenset()
    launch_cap: int | None = None
    public_url: str = ""
    patience: timedelta = timedelta()


@quick_init
@dataclass(frozen=True, slots=True)
class Pending:
    """One due message with all that its decision needs."""

    row: Row[Any]
    due: Due
    real: bool

    @property
    def rule(self) -> str | None:
        """Return `file:line` of the step that asks for the message."""
        sequence, step = self.due.sequence, self.due.step
        return f"{sequence.file}:{step.line}" if sequence and step else None


@dataclass(frozen=True, slots=True)
class _Page:
    program: Program
    policy: Policy
    loaded: Mapping[ContactId, Situation]
    senders: Mapping[Any, Sender]
    runs: Mapping[Any, Enrollment]
    versions: Mapping[Any, Sequenced]
    approvals: Mapping[int, Row[Any]]
    paused: Collection[str]
    killed: str | None
    unsubscribe: str | None
    slots: Mapping[int, datetime]


def load(
    connection: Connection,
    program: Program,
    rows: Sequence[Row[Any]],
    policy: Policy,
    slots: Mapping[int, datetime],
    now: datetime,
    *,
    people: Mapping[ContactId, Contact] | None = None,
    runs: Mapping[EnrollmentId, Enrollment] | None = None,
) -> list[Pending]:
    """Return the gates' inputs of message rows; `slots` are the moments to which their timers were set, by key.

    `people` and `runs` are the contacts and runs of the rows, if this transaction has read them.
    """
    if not rows:
        return []
    home = instance.read(connection)
    if runs is None:
        runs = enrollments.by_ids(connection, {row.enrollment_id for row in rows if row.enrollment_id is not None})
    if people is None:
        people = contacts.read(connection, {ContactId(row.contact_id) for row in rows})
    page = _Page(
        program,
        policy,
        _situations(connection, program, rows, people, runs, now),
        senders.by_ids(connection, {row.sender_id for row in rows}),
        runs,
        live.versions(connection, {run.version_id for run in runs.values()}),
        _approvals(connection, rows),
        set(connection.scalars(_PAUSED)),
        home.sending_paused,
        unsubscribe_problem(home, policy.public_url, now),
        slots,
    )
    return [_pending(page, row) for row in rows if row.contact_id in page.loaded]


def told_of(
    connection: Connection,
    program: Program,
    people: Collection[ContactId],
    runs: Collection[Enrollment],
    now: datetime,
) -> set[ContactId]:
    """Return those of people of whom gates read more than the contact: a wish, or what came in since a run began."""
    if not people:
        return set()
    wishes = situations.suppressions_of(connection, people)
    since = max(now - program.lifecycle.memory, min(run.entered_at for run in runs))
    events = situations.events_of(connection, people, since, INBOUND | VOIDING)
    return {key for key in people if wishes[key] or events[key]}


def budget(connection: Connection, policy: Policy, now: datetime) -> int | None:
    """Return how many messages real providers may still carry today (UTC), None without a cap.

    A cap that was set for this database (`nurture safety cap`) wins over that of the settings, from the next page on.
    """
    if policy.launch_cap is None:
        return None
    own = instance.read(connection).launch_cap
    return max(0, (policy.launch_cap if own is None else own) - quotas.used(connection, now.date()))


def reserve(connection: Connection, policy: Policy, now: datetime) -> int | None:
    """Return the budget of a page that is dispatched in this transaction.

    Where little is left, nobody else is told theirs until the transaction ends: together they must not be more.
    """
    left = budget(connection, policy, now)
    if left is None or left >= FEW:
        return left
    instance.lock(connection)
    return budget(connection, policy, now)


FEW = 25_000
"""How many messages, left for today, are few: more than all who send could have in their hands at once."""

_PAUSED = select(tables.PausedSequence.__table__.c.name)


def _situations(
    connection: Connection,
    program: Program,
    rows: Sequence[Row[Any]],
    people: Mapping[ContactId, Contact],
    runs: Mapping[EnrollmentId, Enrollment],
    now: datetime,
) -> dict[ContactId, Situation]:
    """Load what gates read, and no more: the contact, what forbids writing, the messages' own runs, what came in.

    What came in counts since the first of the page's runs and messages began, or since somebody was suppressed.
    """
    keys = people.keys()
    wishes = situations.suppressions_of(connection, keys)
    began = [*(run.entered_at for run in runs.values()), *(row.created_at for row in rows)]
    began += [wish.at for found in wishes.values() for wish in found]
    remembered = now - program.lifecycle.memory
    events = situations.events_of(connection, keys, max(remembered, min(began)), INBOUND | VOIDING)
    # Only personal mail to somebody who left marketing asks whether its run has begun.
    sent = situations.messages_of(connection, keys, remembered) if any(wishes.values()) else {}
    own: dict[ContactId, tuple[Enrollment, ...]] = {}
    for run in runs.values():
        own[run.contact_id] = (*own.get(run.contact_id, ()), run)
    return {
        key: Situation(
            contact,
            events=events[key],
            suppressions=wishes[key],
            enrollments=own.get(key, ()),
            messages=sent.get(key, ()),
        )
        for key, contact in people.items()
    }


def _approvals(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, Row[Any]]:
    keys = {row.approval_id for row in rows if row.approval_id is not None}
    table = tables.Approval.__table__
    found = connection.execute(select(table).where(in_page(table.c.id, keys))) if keys else ()
    return {row.id: row for row in found}


def unsubscribe_problem(home: Any, public_url: str, now: datetime) -> str | None:
    """Return what is missing before marketing mail may go through a real provider, None when nothing is."""
    url = urlsplit(public_url)
    loopback = url.hostname in ("localhost", "127.0.0.1", "::1")
    if url.scheme != "https" and not loopback:
        return "set public_url in [web] of nurture.toml to an https address"
    if home.unsubscribe_tested_url != public_url or home.unsubscribe_tested_at is None:
        return f"{public_url} has not answered its self-test; run `nurture serve`"
    if now - home.unsubscribe_tested_at > TESTED_WITHIN:
        return f"{public_url} last answered on {home.unsubscribe_tested_at:%Y-%m-%d}"
    return None


def _pending(page: _Page, row: Row[Any]) -> Pending:
    voice, enrollment_id, step_id = _VOICES[row.voice], row.enrollment_id, row.step_id
    sender = page.senders[row.sender_id]
    run = page.runs.get(enrollment_id)
    sequence = page.versions.get(run.version_id) if run else None
    approval = page.approvals.get(row.approval_id) if row.approval_id is not None else None
    real = sender.provider in page.policy.real_providers
    is_marketing = voice is _MARKETING
    due = Due(  # by place, in the order of its fields: that takes half as long as by name
        _brief(row, voice, enrollment_id, step_id),
        page.loaded[row.contact_id],
        page.program.lifecycle,
        page.program.company,
        sender,
        sequence,
        sequence.step(step_id) if sequence and step_id else None,
        row.not_after,
        None if is_marketing else bool(approval and approval.content_hash == row.content_hash),
        approval.approved_at if approval else None,
        not (run and run.sequence in page.paused),
        page.killed,
        page.unsubscribe if real and is_marketing else None,
        None,
        row.created_at,
        page.slots.get(row.id),
        page.policy.patience,
    )
    return Pending(row, due, real)


def _brief(row: Row[Any], voice: Voice, enrollment_id: EnrollmentId | None, step_id: str | None) -> MessageBrief:
    return MessageBrief(
        row.id,
        voice,
        _STATES[row.state],
        enrollment_id,
        step_id,
        row.template,
        row.due_at,
        row.sent_at,
        row.approval_id,
    )


# An enumeration finds its words in six times as long.
_MARKETING = Voice.MARKETING
_VOICES = {voice.value: voice for voice in Voice}
_STATES = {state.value: state for state in MessageState}
