"""Sending: claim what is due, decide each, dispatch in groups, settle each receipt. Journey 3, second half.

The intent is committed before the first byte leaves and the truth after the answer came; no transaction spans the
network. What was `dispatching` when its lease ran out *may* have been sent: it becomes `ambiguous` and is never sent
again by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from nurture import answering, carrying, composing, deciding, failpoints, live, quarantine, rationing, settling
from nurture.core.decide import decide
from nurture.core.decision import Cancel, Decision, Due, Hold, Send, Skip
from nurture.core.program import Program
from nurture.core.quick import quick_init
from nurture.core.words import MessageState, TimerKind, Voice
from nurture.db import decisions, dispatching, instance, quotas, timers
from nurture.db.session import Database
from nurture.deciding import Pending
from nurture.errors import Fenced, TemplateError
from nurture.mail.address import domain
from nurture.mail.wire import Outgoing
from nurture.postroom import Postroom, Sent, never
from nurture.program.artifact import Artifact
from nurture.providers.base import Deadline, Outcome, Receipt

PAGE = 500
LEASE_SECONDS = 300
FRESH_SECONDS = 150.0
"""How long after its claim a page is dispatched without a new lease: what is left is longer than any call takes."""

HELD_SECONDS = LEASE_SECONDS - carrying.SEND_SECONDS
"""How long after its lease began mail may be handed over, so that the call ends before the lease does.

A process that was stopped for longer may find that others have settled its mail, and sent it.
"""

TEMPLATE_RETRY = timedelta(hours=4)
DOMAIN_RETRY = timedelta(days=1)
LOST_GUARD_RETRY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A page after claiming: decided, and with the templates that its mail needs.

    `silent` are messages of which nobody heard, `overdue` those that count as sent by now.
    """

    program: Program
    answers: Sequence[tuple[Pending, Decision]]
    artifacts: Mapping[str, Artifact]
    silent: Sequence[int]
    overdue: Sequence[int]


@quick_init
@dataclass(frozen=True, slots=True)
class Ready:
    """A message that may go: what was decided, the mail, and what is kept of it."""

    pending: Pending
    answer: Send
    mail: Outgoing
    variables: Mapping[str, Any]


def send_due(
    database: Database,
    postroom: Postroom,
    now: datetime,
    *,
    limit: int = PAGE,
    stopping: Callable[[], bool] = never,
    lane: int | None = None,
    held_seconds: float = HELD_SECONDS,
) -> Sent:
    """Send a page of due messages; return what became of them. Call again until `due` is 0.

    Once `stopping` says so, the group in flight is finished and the rest of the page is given back. With a `lane` (on
    PostgreSQL), only one sender's mail is looked at.
    """
    fresh, held = Deadline(FRESH_SECONDS), Deadline(held_seconds)
    due, claimed = _claim(database, postroom, now, limit, lane)
    if claimed is None:
        return Sent(due=due)
    failpoints.reach(failpoints.CLAIMED)
    if claimed.overdue:
        database.unit(lambda connection: settling.overdue(connection, claimed.overdue, now))
    settled = settling.by_evidence(database, postroom.providers, claimed.silent, now)
    ready, answers = compose(postroom, claimed.program, claimed.answers, claimed.artifacts, now)
    ended = _carry_out(database, postroom, claimed.program, answers, now) if answers else 0
    counts: Counter[str] = Counter()
    for group in _groups(ready, postroom):
        if stopping():
            _give_back(database, postroom, group, now)
            continue
        extend = not fresh.left()
        held = Deadline(held_seconds) if extend else held
        receipts = _send(database, postroom, claimed.program, group, now, held, extend=extend)
        counts.update(receipt.outcome.value for receipt in receipts)
    return Sent(
        due=due,
        accepted=counts[Outcome.ACCEPTED],
        held=len(answers) - ended,
        cancelled=ended,
        refused=counts[Outcome.REFUSED],
        retrying=counts[Outcome.NOT_SENT] + counts[Outcome.SENDER_REFUSED],
        ambiguous=counts[Outcome.AMBIGUOUS] + len(claimed.silent) - settled,
    )


def _carry_out(
    database: Database,
    postroom: Postroom,
    program: Program,
    answers: Sequence[tuple[Pending, Hold | Skip | Cancel]],
    now: datetime,
) -> int:
    return database.unit(lambda connection: answering.carry_out(connection, postroom.owner, program, answers, now))


# --- claim and decide -------------------------------------------------------------------------------------------------


def _claim(
    database: Database, postroom: Postroom, now: datetime, limit: int, lane: int | None = None
) -> tuple[int, _Claimed | None]:
    with database.write() as connection:
        check_fence(connection, postroom)
        due = timers.claim(connection, TimerKind.MESSAGE, postroom.owner, now, limit, LEASE_SECONDS, lane=lane)
        if not due:
            return 0, None
        program = live.current(connection)
        claimed = quarantine.apart(connection, due, postroom.owner)
        rows = _take(connection, postroom, [timer.subject_id for timer in claimed], now)
        rows = quarantine.hold(connection, claimed, rows, postroom.owner, program.hash, now)
        slots = {timer.subject_id: timer.due_at for timer in claimed}
        mine = [row for row in rows if row.state in (*dispatching.CLAIMABLE, MessageState.CLAIMED)]
        page = deciding.load(connection, program, mine, postroom.policy, slots, now)
        decided = list(decide_page(page, deciding.budget(connection, postroom.policy, now), postroom, now))
        answers = rationing.ration(connection, postroom.rates, decided, now)
        hashes = {pending.row.template_hash for pending, answer in answers if isinstance(answer, Send)}
        silent = [row.id for row in rows if row.state == MessageState.DISPATCHING]
        overdue = [row.id for row in rows if row.state == MessageState.AMBIGUOUS]
        return len(due), _Claimed(program, answers, live.artifacts(connection, hashes), silent, overdue)


def check_fence(connection: Connection, postroom: Postroom) -> None:
    """Refuse to send with the wrong key, and anything real from a rehearsal, a restored database or a copy."""
    instance.verify_keys(connection, postroom.links.ring)
    if not postroom.policy.real_providers:
        return
    if instance.read(connection).rehearsal:
        raise Fenced("this database is a rehearsal: it only ever writes to the outbox")
    if postroom.witness is not None:
        postroom.witness.check(connection)


def _take(connection: Connection, postroom: Postroom, ids: Sequence[int], now: datetime) -> Sequence[Row[Any]]:
    """Take the messages of claimed timers, and see to those that are not to be sent: in flight, ambiguous, over."""
    rows = dispatching.take(connection, ids, postroom.owner, now)
    timers.release(connection, TimerKind.MESSAGE, sorted(set(ids) - {row.id for row in rows}), postroom.owner)
    settling.silent(
        connection, [row for row in rows if row.state == MessageState.DISPATCHING], postroom.settle_after, now
    )
    unfinished = (*dispatching.CLAIMABLE, *settling.IN_FLIGHT, MessageState.CLAIMED)
    timers.clear(connection, TimerKind.MESSAGE, [row.id for row in rows if row.state not in unfinished])
    return rows


def decide_page(
    page: Sequence[Pending], budget: int | None, postroom: Postroom, now: datetime
) -> Iterator[tuple[Pending, Decision]]:
    """Decide each message; the launch cap's budget shrinks with every one that may go."""
    for pending in page:
        due = replace(pending.due, budget=budget) if pending.real else pending.due
        answer = _outside(pending, postroom, now) or _decide(due, now)
        if pending.real and budget is not None and isinstance(answer, Send):
            budget -= 1
        yield pending, answer


def _decide(due: Due, now: datetime) -> Decision:
    """Decide; a message over which that raises is held, with the error as its reason."""
    try:
        return decide(due, now)
    except Exception as error:  # noqa: BLE001 - third of five: one message never stops the others
        return Hold(f"{type(error).__name__}: {error}", now + TEMPLATE_RETRY)


def _outside(pending: Pending, postroom: Postroom, now: datetime) -> Hold | None:
    """Hold mail to domains that a staging system may not write to, and mail whose provider is not configured."""
    if pending.due.sender.provider not in postroom.providers:
        name = pending.due.sender.provider
        return Hold(f"no provider {name!r} is configured: add [providers.{name}] to nurture.toml", now + TEMPLATE_RETRY)
    if not postroom.allow_domains or postroom.redirect_all_to:
        return None
    to = domain(pending.row.to_address)
    return None if to in postroom.allow_domains else Hold(f"{to} is not in allow_domains", now + DOMAIN_RETRY)


# --- compose ----------------------------------------------------------------------------------------------------------


def compose(
    postroom: Postroom,
    program: Program,
    decided: Iterable[tuple[Pending, Decision]],
    artifacts: Mapping[str, Artifact],
    now: datetime,
) -> tuple[list[Ready], list[tuple[Pending, Hold | Skip | Cancel]]]:
    """Write the mail that may go; what cannot be written is held, and the others go."""
    ready: list[Ready] = []
    answers: list[tuple[Pending, Hold | Skip | Cancel]] = []
    writer = composing.Writer(program, postroom.links)
    for pending, answer in decided:
        if not isinstance(answer, Send):
            answers.append((pending, answer))
            continue
        try:
            ready.append(_written(postroom, writer, artifacts, pending, answer, now))
        except Exception as error:  # noqa: BLE001 - second of five: one mail never stops the others
            reason = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
            answers.append((pending, Hold(reason, now + TEMPLATE_RETRY, answer.checks)))
    return ready, answers


def _written(
    postroom: Postroom,
    writer: composing.Writer,
    artifacts: Mapping[str, Artifact],
    pending: Pending,
    answer: Send,
    now: datetime,
) -> Ready:
    row, due = pending.row, pending.due
    if due.message.voice is Voice.MARKETING:
        artifact = artifacts[row.template_hash]
        said = writer.compose(artifact, Voice.MARKETING, due.situation)
    else:
        said = composing.kept(row)
    sequence = due.sequence.name if due.sequence else None
    mail = composing.outgoing(row, said, due.sender, due.situation.contact, sequence, now)
    return Ready(pending, answer, composing.redirected(mail, postroom.redirect_all_to), said.values)


# --- dispatch and settle ----------------------------------------------------------------------------------------------


def _groups(ready: Sequence[Ready], postroom: Postroom) -> Iterator[Sequence[Ready]]:
    """Cut a page into what one call of its provider carries."""
    by_provider: dict[str, list[Ready]] = {}
    for message in ready:
        by_provider.setdefault(message.pending.due.sender.provider, []).append(message)
    for name, queue in by_provider.items():
        start = 0
        while start < len(queue):
            size = max(1, postroom.providers[name].batch)  # asked again: it learns from every group
            yield queue[start : start + size]
            start += size


def _send(
    database: Database,
    postroom: Postroom,
    program: Program,
    group: Sequence[Ready],
    now: datetime,
    held: Deadline,
    *,
    extend: bool = True,
) -> Sequence[Receipt]:
    """Commit the intent, send, commit the truth. `extend` asks for a new lease first, which `held` was begun for."""
    name = group[0].pending.due.sender.provider

    def intend(connection: Connection) -> list[Ready]:
        if extend:
            keys = [message.mail.id for message in group]
            timers.extend(connection, TimerKind.MESSAGE, keys, postroom.owner, LEASE_SECONDS)
        return _dispatch(connection, postroom, program, name, group, now)

    going = database.unit(intend)
    if not going:
        return ()
    known = {contact.id: contact for message in going for contact in [message.pending.due.situation.contact]}
    return carrying.carry(database, postroom, name, [message.mail for message in going], known, held, now)


def _give_back(database: Database, postroom: Postroom, group: Sequence[Ready], now: datetime) -> None:
    """Let another process have what was claimed here, as if nobody had looked at it."""
    keys = [message.mail.id for message in group]
    with database.write() as connection:
        mine = dispatching.give_back(connection, keys, postroom.owner, now)
        timers.release(connection, TimerKind.MESSAGE, mine, postroom.owner)


def _dispatch(
    connection: Connection, postroom: Postroom, program: Program, provider: str, group: Sequence[Ready], now: datetime
) -> list[Ready]:
    """Enter `dispatching` with those that still may, and give the others back to be decided again.

    Others may have used up what the launch cap left when this page was claimed.
    """
    keys = [message.mail.id for message in group]
    real = postroom.providers[provider].real
    left = deciding.reserve(connection, postroom.policy, now) if real else None
    kept = [_kept(message) for message in group[:left]]
    allowed = dispatching.dispatch(connection, kept, postroom.owner, provider, now)
    lost = dispatching.give_back(connection, [key for key in keys if key not in allowed], postroom.owner, now)
    timers.set_timers(connection, [(TimerKind.MESSAGE, key, now + LOST_GUARD_RETRY) for key in lost])
    going = [message for message in group if message.mail.id in allowed]
    if real:
        quotas.count(connection, now.date(), Counter(message.pending.row.sender_id for message in going))
    decided = [answering.decided(message.pending, message.answer) for message in going]
    decisions.record(connection, decided, program.hash, now)
    return going


def _kept(message: Ready) -> dict[str, Any]:
    """Return what is kept of a mail. The subject of personal mail is the one that its rep approved."""
    kept = carrying.what_is_kept(message.mail, message.variables)
    return kept if message.mail.voice is Voice.MARKETING else kept | {"subject": message.pending.row.subject}
