"""What became of a message: receipts, silence and people's verdicts turned into final states, runs and events.

A late receipt is still the truth: it settles a message that had been given up as ambiguous meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import Connection, Row

from nurture import accepting, intake, live, runs
from nurture.core.model import Contact, ContactId, EnrollmentId, Event, MessageId, Sender, SenderId
from nurture.core.words import MessageState, TimerKind, Voice
from nurture.db import instance, messages, senders, situations, tasks, timers
from nurture.db.session import Database, hurry
from nurture.errors import NotFound, Refused
from nurture.mail.thread import mint_message_id
from nurture.providers.base import Outcome, Provider, Receipt

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=6)
LONGEST_WISH = timedelta(hours=24)
"""The longest wait that a provider's Retry-After is believed."""

SENDER_RETRY = timedelta(minutes=30)

IN_FLIGHT = (MessageState.DISPATCHING, MessageState.AMBIGUOUS)
_TRIED_AGAIN = (MessageState.SETTLED_NOT_SENT, MessageState.RETRY_WAIT, MessageState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send a group: by whom, and when its messages entered `dispatching`."""

    owner: str
    dispatched_at: datetime


@runtime_checkable
class Witness(Protocol):
    """A provider that can say afterwards whether it took a mail."""

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say of each Message-ID, as far as it is certain, whether it was sent."""
        ...


class Verdict(StrEnum):
    """What a person says about an ambiguous message."""

    SENT = "sent"
    NOT_SENT = "not_sent"


_ASKED = "ambiguous:"
"""How the origin of a task begins by which a rep is asked whether a message went out."""


def receipts(
    connection: Connection,
    found: Sequence[Receipt],
    settle_after: timedelta,
    now: datetime,
    *,
    attempt: Attempt | None = None,
    known: Mapping[ContactId, Contact] = runs.NOBODY,
) -> None:
    """Write what a provider said about a group, and let the runs go on, in one transaction of the caller's.

    To write it twice changes nothing, whatever happened in between: it is about one `attempt` (None: the last), and of
    what was said of an earlier one it only counts that the mail was taken. The runs of `known` contacts sleep through
    their next delay at once. A power cut may undo that all of a group was accepted: it is ambiguous then, as if no
    answer had come, and nothing of it is sent again.
    """
    left = accepting.accept(connection, found, now, known=known)
    if left:
        _receipts(connection, left, settle_after, now, attempt=attempt, known=known)
    else:
        hurry(connection)


def _receipts(
    connection: Connection,
    found: Sequence[Receipt],
    settle_after: timedelta,
    now: datetime,
    *,
    attempt: Attempt | None,
    known: Mapping[ContactId, Contact],
) -> None:
    """Write whatever a provider may say about a group."""
    by_id = {receipt.id: receipt for receipt in found}
    people, rows = _locked(connection, by_id)
    rows = [row for row in rows if _is_news(row, by_id[row.id].outcome, attempt)]
    changes = [_change(row, by_id[row.id], now) for row in rows]
    messages.save(connection, changes, now)
    _wait_or_end(connection, rows, by_id, settle_after, now)
    _answered(connection, [row for row in rows if row.state == MessageState.AMBIGUOUS], "the provider answered", now)
    _ask(connection, [row for row in rows if by_id[row.id].outcome is Outcome.AMBIGUOUS], settle_after, now)
    for row in rows:
        if by_id[row.id].outcome is Outcome.SENDER_REFUSED:
            senders.pause(connection, SenderId(row.sender_id), by_id[row.id].detail or "the provider refused us", now)
    ended = {
        row.id: "sent" if by_id[row.id].outcome is Outcome.ACCEPTED else "refused"
        for row in rows
        if by_id[row.id].outcome in (Outcome.ACCEPTED, Outcome.REFUSED)
    }
    details = {key: receipt.detail for key, receipt in by_id.items()}
    _go_on(connection, rows, ended, details, now, locked=people, known=known)


def silent(connection: Connection, rows: Sequence[Row[Any]], settle_after: timedelta, now: datetime) -> None:
    """Mark messages whose sending never answered as ambiguous: visible, and settled later."""
    reason = "the process stopped while it was sending: nobody knows whether it went out"
    changes = [{"id": row.id, "state": MessageState.AMBIGUOUS, "reason": reason, "owner": None} for row in rows]
    messages.save(connection, changes, now)
    timers.set_timers(connection, [(TimerKind.MESSAGE, row.id, now + settle_after) for row in rows])
    _ask(connection, rows, settle_after, now)


def overdue(connection: Connection, ids: Collection[int], now: datetime) -> None:
    """Count ambiguous messages as sent once their time to be settled is over, so that no contact hangs for ever."""
    settle(connection, ids, Verdict.SENT, "time: nobody settled it before", now)


def by_evidence(database: Database, providers: Mapping[str, Provider], ids: Collection[int], now: datetime) -> int:
    """Ask the providers that can tell whether ambiguous messages went out, and settle those; return how many."""
    with database.read() as connection:
        rows = [row for row in messages.by_ids(connection, ids) if row.state == MessageState.AMBIGUOUS]
    settled = 0
    for name in sorted({row.provider for row in rows if row.provider}):
        provider = providers.get(name)
        if not isinstance(provider, Witness):
            continue
        asked = {row.message_id_header: row.id for row in rows if row.provider == name}
        known = provider.evidence(list(asked))
        with database.write() as connection:
            for verdict in Verdict:
                found = [asked[key] for key, was_sent in known.items() if was_sent is (verdict is Verdict.SENT)]
                settled += len(settle(connection, found, verdict, f"the evidence of {name}", now))
    return settled


def settle(connection: Connection, ids: Collection[int], verdict: Verdict, by: str, now: datetime) -> list[int]:
    """Settle ambiguous messages as sent or not sent; return which. Their runs go on, or they are sent again."""
    people, found = _locked(connection, ids)
    rows = [row for row in found if row.state == MessageState.AMBIGUOUS]
    sent = verdict is Verdict.SENT
    changes = [
        {
            "id": row.id,
            "state": MessageState.SETTLED_SENT if sent else MessageState.SETTLED_NOT_SENT,
            "reason": f"settled as {verdict.replace('_', ' ')} by {by}",
            "sent_at": (row.dispatching_at or now) if sent else None,
            "owner": None,
        }
        for row in rows
    ]
    messages.save(connection, changes, now)
    _answered(connection, rows, f"settled as {verdict.replace('_', ' ')} by {by}", now)
    if sent:
        timers.clear(connection, TimerKind.MESSAGE, [row.id for row in rows])
        _go_on(connection, rows, dict.fromkeys((row.id for row in rows), "sent"), {}, now, locked=people)
    else:
        timers.set_timers(connection, [(TimerKind.MESSAGE, row.id, now) for row in rows])
    return [row.id for row in rows]


def settle_one(connection: Connection, message_id: int, verdict: Verdict, by: str, now: datetime) -> None:
    """Settle one message; raise NotFound or Refused when there is nothing to settle."""
    _require_ambiguous(connection, message_id)
    settle(connection, [message_id], verdict, by, now)


def resend(connection: Connection, message_id: int, by: str, now: datetime) -> int:
    """Count an ambiguous message as sent, and send its mail once more as a message of its own; return that one's key.

    The run goes on by the first one. The second (origin `resend:<message>:1`) belongs to no run and goes at once; what
    forbids writing to the contact holds for it, and a personal one keeps the approval of its content. Raises NotFound,
    and Refused when there is nothing to settle.
    """
    row = _require_ambiguous(connection, message_id)
    settle(connection, [message_id], Verdict.SENT, f"{by}, who sends it anew", now)
    origin = f"resend:{message_id}:1"  # settled as it is by now, it cannot be sent anew a second time
    sender, salt = senders.by_ids(connection, [row.sender_id])[row.sender_id], instance.read(connection).instance_id
    again = {name: getattr(row, name) for name in _SENT_ANEW}
    moments = {"due_at": now, "created_at": now, "updated_at": now}
    state = MessageState.APPROVED if row.approval_id else MessageState.READY
    header = mint_message_id(origin, sender.address, salt)
    again |= {"origin_key": origin, "message_id_header": header, "state": state, **moments}
    (key,) = messages.plan(connection, [again]).values()
    timers.set_timers(connection, [(TimerKind.MESSAGE, key, now)])
    return key


_SENT_ANEW = (
    "contact_id", "step_id", "voice", "sender_id", "template", "template_hash", "program_hash", "to_address", "to_hash",
    "in_reply_to", "thread_references", "subject", "text_body", "html_body", "content_hash", "approval_id",
)  # fmt: skip


def _require_ambiguous(connection: Connection, message_id: int) -> Row[Any]:
    situations.lock(connection, messages.contacts_of(connection, [message_id]))
    rows = messages.locked(connection, [message_id])
    if not rows:
        raise NotFound(f"there is no message {message_id}: see `nurture messages list --state ambiguous`")
    if rows[0].state != MessageState.AMBIGUOUS:
        raise Refused(f"message {message_id} is {rows[0].state.replace('_', ' ')}: only an ambiguous one is settled")
    return rows[0]


def _ask(connection: Connection, rows: Sequence[Row[Any]], settle_after: timedelta, now: datetime) -> None:
    """Ask reps whether personal mail went out. Of marketing mail `nurture doctor` and /health tell the operator."""
    personal = [row for row in rows if row.voice == Voice.PERSONAL]
    if not personal:
        return
    mailboxes = senders.by_ids(connection, {row.sender_id for row in personal})
    tasks.open_new(connection, [_question(row, mailboxes[row.sender_id], now + settle_after, now) for row in personal])


def _question(row: Row[Any], mailbox: Sender, until: datetime, now: datetime) -> dict[str, Any]:
    how = f"`nurture messages settle {row.id}` with --sent, --not-sent (it is sent again) or --resend"
    return {
        "origin_key": f"{_ASKED}{row.id}",
        "contact_id": row.contact_id,
        "rep_id": mailbox.rep_id,
        "enrollment_id": row.enrollment_id,
        "kind": "settle",
        "title": f"Find out whether your mail {row.subject!r} went out",
        "note": f"Nobody knows: look into your Sent folder, then {how}. After {until:%Y-%m-%d} it counts as sent.",
        "due_at": until,
        "created_at": now,
    }


def _answered(connection: Connection, rows: Sequence[Row[Any]], outcome: str, now: datetime) -> None:
    asked = [f"{_ASKED}{row.id}" for row in rows if row.voice == Voice.PERSONAL]
    tasks.close(connection, asked, outcome, now)


def _locked(connection: Connection, ids: Collection[int]) -> tuple[set[int], list[Row[Any]]]:
    """Return messages and their contacts, locked before the messages are read."""
    people = set(situations.lock(connection, messages.contacts_of(connection, ids)))
    return people, messages.briefly(connection, ids)


_STATES = {
    Outcome.ACCEPTED: MessageState.ACCEPTED,
    Outcome.NOT_SENT: MessageState.RETRY_WAIT,
    Outcome.REFUSED: MessageState.REFUSED,
    Outcome.AMBIGUOUS: MessageState.AMBIGUOUS,
    Outcome.SENDER_REFUSED: MessageState.RETRY_WAIT,
}


def _is_news(row: Row[Any], outcome: Outcome, attempt: Attempt | None) -> bool:
    """Say whether what was answered to an attempt tells anything new of its message.

    That a mail was taken does, also where others have begun to try again. Anything else is about an attempt which they
    may have given up, and must not end theirs.
    """
    if outcome is Outcome.ACCEPTED:
        return row.state in IN_FLIGHT or row.state in _TRIED_AGAIN
    if row.state not in IN_FLIGHT or (outcome is Outcome.AMBIGUOUS and row.state == MessageState.AMBIGUOUS):
        return False
    return attempt is None or (row.owner in (None, attempt.owner) and row.dispatching_at == attempt.dispatched_at)


def _change(row: Row[Any], receipt: Receipt, now: datetime) -> dict[str, Any]:
    accepted = receipt.outcome is Outcome.ACCEPTED
    free = receipt.outcome is Outcome.SENDER_REFUSED or receipt.retry_after is not None  # burns no attempt
    return {
        "id": row.id,
        "state": _STATES[receipt.outcome],
        "reason": None if accepted else receipt.detail or receipt.outcome.value,
        "owner": None,
        "attempts": max(0, row.attempts - 1) if free else row.attempts,
        "provider_id": receipt.provider_id,
        "wire_id": receipt.wire_id,
        "sent_at": now if accepted else None,
    }


def _wait_or_end(
    connection: Connection,
    rows: Sequence[Row[Any]],
    by_id: Mapping[int, Receipt],
    settle_after: timedelta,
    now: datetime,
) -> None:
    waits, over = [], []
    for row in rows:
        receipt = by_id[row.id]
        match receipt.outcome:
            case Outcome.NOT_SENT:
                waits.append((TimerKind.MESSAGE, row.id, now + _pause(row, receipt)))
            case Outcome.SENDER_REFUSED:
                waits.append((TimerKind.MESSAGE, row.id, now + SENDER_RETRY))
            case Outcome.AMBIGUOUS:
                waits.append((TimerKind.MESSAGE, row.id, now + settle_after))
            case Outcome.ACCEPTED | Outcome.REFUSED:
                over.append(row.id)
    timers.set_timers(connection, waits)
    timers.clear(connection, TimerKind.MESSAGE, over)


def _pause(row: Row[Any], receipt: Receipt) -> timedelta:
    if receipt.retry_after is not None:
        return max(timedelta(seconds=1), min(timedelta(seconds=receipt.retry_after), LONGEST_WISH))
    doublings = min(int(row.attempts), 16)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


def _go_on(
    connection: Connection,
    rows: Sequence[Row[Any]],
    ended: Mapping[int, str],
    details: Mapping[int, str],
    now: datetime,
    *,
    locked: Collection[int],
    known: Mapping[ContactId, Contact] = runs.NOBODY,
) -> None:
    """Tell the one door what was sent or refused, and let the runs that waited go on."""
    over = [row for row in rows if row.id in ended]
    if not over:
        return
    program = live.current(connection)
    results = {EnrollmentId(row.enrollment_id): (ended[row.id], now) for row in over if row.enrollment_id is not None}
    wrote = {EnrollmentId(row.enrollment_id): SenderId(row.sender_id) for row in over if row.enrollment_id is not None}
    runs.after_messages(connection, program, results, now, known=known, senders=wrote)
    events = [_event(row, ended[row.id], details.get(row.id, ""), now) for row in over]
    intake.record(connection, program, events, now, locked=locked)


def _event(row: Row[Any], kind: str, detail: str, now: datetime) -> Event:
    data = {"template": row.template, "voice": row.voice, "step": row.step_id, "subject": row.subject}
    if detail and kind == "refused":
        data["detail"] = detail
    return Event(
        kind, now, "engine", f"{kind}:{row.id}", ContactId(row.contact_id), data=data, message_id=MessageId(row.id)
    )
