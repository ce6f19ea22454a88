"""Personal mail on its way to its rep and back: drafted, read, edited, approved, rejected, skipped, snoozed, expired.

An approval binds the content hash: what goes out is what the rep approved, to the byte. Journey 3, first half; sending
what was approved is `sending`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert

from nurture import composing, live, runs
from nurture.composing import Links
from nurture.core import calendars
from nurture.core.calendars import resolve_zone
from nurture.core.model import ContactId, Rep, Sender, Situation
from nurture.core.program import Program
from nurture.core.spans import Span, Unit
from nurture.core.words import MessageState, TimerKind, Voice
from nurture.db import decisions, messages, senders, situations, tables, timers
from nurture.db.decisions import Decided
from nurture.db.session import Database
from nurture.errors import NotFound, Refused, StaleDraft, TemplateError
from nurture.program.artifact import Artifact
from nurture.program.plain import html_of

PAGE = 250
LEASE_SECONDS = 60
RETRY = timedelta(hours=4)
"""How long a draft whose template lacks a value waits for it."""

LIFE = Span(5, Unit.BUSINESS_DAYS)
"""How long after its due time a draft waits for its rep."""

OPEN = (
    MessageState.AWAITING_APPROVAL,
    MessageState.APPROVED,
    MessageState.READY,
    MessageState.CLAIMED,
    MessageState.RETRY_WAIT,
)
"""States in which a rep can still change their mind. What is claimed has not left: the guard finds it gone."""


@dataclass(frozen=True, slots=True)
class _Page:
    program: Program
    loaded: Mapping[ContactId, Situation]
    artifacts: Mapping[str, Artifact]
    mailboxes: Mapping[Any, Sender]
    threads: Mapping[int, Sequence[Row[Any]]]
    links: Links
    now: datetime


def draft_due(database: Database, links: Links, owner: str, now: datetime, *, limit: int = PAGE) -> int:
    """Write a page of planned drafts, and expire those whose time has run out; return how many were due."""
    with database.write() as connection:
        claimed = timers.claim(connection, TimerKind.DRAFT, owner, now, limit, LEASE_SECONDS)
        if not claimed:
            return 0
        rows = messages.by_ids(connection, [timer.subject_id for timer in claimed])
        free = set(situations.lock(connection, {row.contact_id for row in rows}, wait=False))
        mine = [row for row in rows if row.contact_id in free]
        timers.set_timers(connection, [(TimerKind.DRAFT, row.id, now) for row in rows if row.contact_id not in free])
        _write_drafts(connection, [r for r in mine if r.state == MessageState.PLANNED], links, now)
        _expire(connection, [r for r in mine if r.state == MessageState.AWAITING_APPROVAL], now)
        gone = [row.id for row in mine if row.state not in (MessageState.PLANNED, MessageState.AWAITING_APPROVAL)]
        timers.clear(connection, TimerKind.DRAFT, gone)
    return len(claimed)


def _write_drafts(connection: Connection, rows: Sequence[Row[Any]], links: Links, now: datetime) -> None:
    if not rows:
        return
    page = _load(connection, rows, links, now)
    written, held = [], []
    for row in rows:
        try:
            written.append(_written(page, row))
        except TemplateError as error:
            held.append((row, str(error)))
    messages.save(connection, written, now)
    lives = {row.id: _expiry(page, row) for row in rows}
    timers.set_timers(connection, [(TimerKind.DRAFT, draft["id"], lives[draft["id"]]) for draft in written])
    _hold(connection, page, held)


def _load(connection: Connection, rows: Sequence[Row[Any]], links: Links, now: datetime) -> _Page:
    program = live.current(connection)
    return _Page(
        program,
        situations.load(connection, {row.contact_id for row in rows}, program.lifecycle.memory, now, kinds=()),
        live.artifacts(connection, {row.template_hash for row in rows}),
        senders.by_ids(connection, {row.sender_id for row in rows}),
        messages.thread_of(connection, {row.enrollment_id for row in rows if row.enrollment_id is not None}),
        links,
        now,
    )


def _written(page: _Page, row: Row[Any]) -> dict[str, Any]:
    thread = page.threads.get(row.enrollment_id, ())
    composed = composing.compose(
        page.artifacts[row.template_hash],
        Voice(row.voice),
        page.loaded[ContactId(row.contact_id)],
        page.program,
        page.links,
        first_of_run=not thread,
        answering=thread[0].subject if thread and row.in_reply_to else None,
    )
    content = {"subject": composed.subject, "text_body": composed.text, "html_body": composed.html}
    return {
        "id": row.id,
        "state": MessageState.AWAITING_APPROVAL,
        "reason": None,
        **content,
        "variables": dict(composed.values),
        "content_hash": _hash(row, page.mailboxes[row.sender_id], content),
    }


def _hash(row: Row[Any], sender: Sender, content: Mapping[str, Any]) -> str:
    return composing.content_hash(
        to_address=row.to_address,
        sender=sender.address,
        subject=content["subject"],
        text=content["text_body"],
        html=content["html_body"],
        thread_head=row.in_reply_to,
    )


def _expiry(page: _Page, row: Row[Any]) -> datetime:
    contact = page.loaded[ContactId(row.contact_id)].contact
    zone, _ = resolve_zone(contact, page.program.company)
    return calendars.add(LIFE, max(row.due_at, page.now), zone)


def _hold(connection: Connection, page: _Page, held: Sequence[tuple[Row[Any], str]]) -> None:
    """Keep drafts that cannot be written yet, each with its reason, and try again."""
    if not held:
        return
    until = page.now + RETRY
    messages.save(connection, [{"id": row.id, "reason": reason} for row, reason in held], page.now)
    timers.set_timers(connection, [(TimerKind.DRAFT, row.id, until) for row, _ in held])
    decided = [
        Decided(row.contact_id, row.enrollment_id, row.id, row.step_id, "hold", reason, (), until)
        for row, reason in held
    ]
    decisions.record(connection, decided, page.program.hash, page.now)


def _expire(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    for row in rows:
        end(connection, row, "expired", "nobody approved it in time", "engine", now)


# --- what a rep does ------------------------------------------------------------------------------------------------


def approve(
    connection: Connection, message_id: int, rep: Rep, content_hash: str, actor: str, now: datetime
) -> datetime:
    """Approve exactly the content with that hash; return when it is to go out.

    Raises NotFound, StaleDraft when the content is another by now, Refused when it is not this rep's or not a draft.
    """
    row = locked(connection, message_id)
    _mine(connection, row, rep)
    if row.state != MessageState.AWAITING_APPROVAL:
        raise Refused(f"message {message_id} is {row.state.replace('_', ' ')}: only a waiting draft can be approved")
    if row.content_hash != content_hash:
        raise StaleDraft(f"the draft {message_id} changed since you read it: run `nurture approvals show {message_id}`")
    approval = insert(tables.Approval).values(
        message_id=message_id,
        content_hash=content_hash,
        rep_id=rep.id,
        actor=actor,
        facts=row.variables or {},
        approved_at=now,
    )
    approval_id = connection.execute(approval.returning(tables.Approval.id)).scalar_one()
    change = {"id": message_id, "state": MessageState.APPROVED, "approval_id": approval_id, "void_reason": None}
    messages.save(connection, [change], now)
    timers.clear(connection, TimerKind.DRAFT, [message_id])
    due_at: datetime = max(row.due_at, now)
    timers.set_timers(connection, [(TimerKind.MESSAGE, message_id, due_at)])
    return due_at


def edit(
    connection: Connection, message_id: int, rep: Rep, *, subject: str | None, text: str | None, now: datetime
) -> str:
    """Change a draft's subject or text and return its new content hash. An approval that it had is void."""
    row = locked(connection, message_id)
    sender = _mine(connection, row, rep)
    if row.state not in OPEN or row.content_hash is None:
        raise Refused(f"message {message_id} is {row.state.replace('_', ' ')}: it can no longer be edited")
    body = row.text_body if text is None else text
    content = {
        "subject": row.subject if subject is None else subject.strip(),
        "text_body": body,
        "html_body": html_of(body),
    }
    if not content["subject"] or not content["text_body"].strip():
        raise Refused(f"the draft {message_id} would be empty: write a subject and a text, or skip it")
    new_hash = _hash(row, sender, content)
    change = {"id": message_id, **content, "content_hash": new_hash, "edited": True, "approval_id": None, "owner": None}
    messages.save(connection, [{**change, "state": MessageState.AWAITING_APPROVAL}], now)
    timers.clear(connection, TimerKind.MESSAGE, [message_id])
    timers.set_timers(connection, [(TimerKind.DRAFT, message_id, max(row.due_at, now) + timedelta(days=7))])
    return new_hash


def reject(connection: Connection, message_id: int, rep: Rep, reason: str, now: datetime) -> None:
    """Reject a draft for good: its run goes on or ends as the step's `on_rejected` says."""
    row = locked(connection, message_id)
    _mine(connection, row, rep)
    _still_open(row)
    end(connection, row, "rejected", f"rejected: {reason}", rep.email, now)


def skip(connection: Connection, message_id: int, rep: Rep, now: datetime) -> None:
    """Skip this step: the mail is not sent and the run goes on with the next one."""
    row = locked(connection, message_id)
    _mine(connection, row, rep)
    _still_open(row)
    end(connection, row, "skipped", "skipped by the rep", rep.email, now)


def snooze(connection: Connection, message_id: int, rep: Rep, until: datetime, now: datetime) -> None:
    """Move a waiting draft's due time; the run keeps waiting."""
    row = locked(connection, message_id)
    _mine(connection, row, rep)
    _still_open(row)
    if until <= now:
        raise Refused(f"{until:%Y-%m-%d %H:%M} has passed: snooze until a later time")
    later = row.not_after + max(until - row.due_at, timedelta(0)) if row.not_after else None
    messages.save(connection, [{"id": message_id, "due_at": until, "not_after": later}], now)
    if row.state == MessageState.AWAITING_APPROVAL:
        timers.set_timers(connection, [(TimerKind.DRAFT, message_id, until + timedelta(days=7))])
    else:
        _take_back(connection, row, now)
        timers.set_timers(connection, [(TimerKind.MESSAGE, message_id, until)])


def _take_back(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Take an approved draft from the process that claimed it: nothing has left, and its guard finds it gone."""
    if row.state == MessageState.CLAIMED:
        messages.save(connection, [{"id": row.id, "state": MessageState.APPROVED, "owner": None}], now)


def locked(connection: Connection, message_id: int) -> Row[Any]:
    """Return a message's row, locked with its contact: nobody dispatches it meanwhile. Raise NotFound."""
    if not (rows := messages.by_ids(connection, [message_id])):
        raise NotFound(f"there is no message {message_id}: see `nurture approvals list`")
    situations.lock(connection, [rows[0].contact_id])
    return messages.locked(connection, [message_id])[0]


def _mine(connection: Connection, row: Row[Any], rep: Rep) -> Sender:
    sender = senders.by_ids(connection, [row.sender_id])[row.sender_id]
    if row.voice != Voice.PERSONAL:
        raise Refused(f"message {row.id} is marketing mail: it needs no approval")
    if sender.rep_id != rep.id:
        raise Refused(f"the draft {row.id} goes out from {sender.address}: only its owner approves it, not {rep.email}")
    return sender


def _still_open(row: Row[Any]) -> None:
    if row.state not in OPEN:
        raise Refused(f"message {row.id} is {row.state.replace('_', ' ')}: it is too late for that")


def end(connection: Connection, row: Row[Any], result: str, reason: str, actor: str, now: datetime) -> None:
    """Cancel a draft and let its run advance or end, in the caller's transaction."""
    messages.save(connection, [{"id": row.id, "state": MessageState.CANCELLED, "reason": reason, "owner": None}], now)
    for kind in (TimerKind.MESSAGE, TimerKind.DRAFT):
        timers.clear(connection, kind, [row.id])
    if row.enrollment_id is None:
        return
    runs.after_messages(connection, live.current(connection), {row.enrollment_id: (result, now)}, now)
    decided = Decided(row.contact_id, row.enrollment_id, row.id, row.step_id, "cancel", f"{reason} ({actor})")
    decisions.record(connection, [decided], row.program_hash, now)
