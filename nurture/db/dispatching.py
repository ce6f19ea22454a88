"""A message on its way out: claiming, the guarded dispatch and being accepted (`docs/life-of-a-message.md`).

The guard is the last word before a mail goes out: one UPDATE that reads everything which may have changed since the
decision. What it does not return must not be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from nurture.core.words import LIVE_ENROLLMENTS, MessageState, Scope, TimerKind, Voice
from nurture.db import tables
from nurture.db.bulk import in_given, page_columns, page_parameters, update_rows
from nurture.db.clock import database_clock
from nurture.db.columns import Columns, insert_columns
from nurture.db.fetching import by_columns
from nurture.db.messages import BRIEFLY, TABLE, M
from nurture.db.values import Same

_TIMER = tables.Timer.__table__.c
_SUPPRESSION = tables.Suppression.__table__.c
_CONTACT = tables.Contact.__table__.c
_STAGE = tables.Stage.__table__.c
_RUN = tables.Enrollment.__table__.c
_APPROVAL = tables.Approval.__table__.c
_EVENT = tables.Event.__table__.c
_SENDER = tables.Sender.__table__.c
_PAUSED = tables.PausedSequence.__table__.c
_INSTANCE = tables.Instance.__table__.c

CLAIMABLE = (MessageState.READY, MessageState.APPROVED, MessageState.RETRY_WAIT, MessageState.SETTLED_NOT_SENT)
"""States from which a due message may be claimed. A claimed one whose lease ran out is free, too."""


_SENDING: tuple[ColumnElement[Any], ...] = (
    *BRIEFLY,
    M.origin_key,
    M.template_hash,
    M.due_at,
    M.sent_at,
    M.not_after,
    M.to_address,
    M.to_hash,
    M.message_id_header,
    M.in_reply_to,
    M.thread_references,
    M.approval_id,
    M.date_header,
    M.provider,
    M.created_at,
    M.text_body,
    M.html_body,
    M.variables,
    M.content_hash,
    M.rate_meter,
    M.rate_slot,
)


def take(connection: Connection, ids: Collection[int], owner: str, now: datetime) -> list[Row[Any]]:
    """Take claimed timers' messages: lock those that nobody else is changing, mark them claimed, return their rows.

    Rows in any state come back, so that the caller sees what is `dispatching` past its lease or `ambiguous`.
    """
    rows = connection.execute(_TAKING, {"ids": list(ids)}).all()
    mine = [row.id for row in rows if row.state in _FREE]
    if mine:
        connection.execute(_TAKEN, {"ids": mine, "claimer": owner, "moment": now})
    return list(rows)


_FREE = frozenset((*CLAIMABLE, MessageState.CLAIMED))
_OWNER, _MOMENT = bindparam("claimer", type_=M.owner.type), bindparam("moment", type_=M.updated_at.type)
_TAKING = select(*_SENDING).where(in_given(M.id)).order_by(M.id).with_for_update(skip_locked=True)
_TAKEN = update(TABLE).where(in_given(M.id)).values(state=MessageState.CLAIMED, owner=_OWNER, updated_at=_MOMENT)


def dispatch(
    connection: Connection, going: Sequence[Mapping[str, Any]], owner: str, provider: str, now: datetime
) -> set[int]:
    """Enter `dispatching`: the guarded update. Return the keys that may be sent, committed by the caller before a byte.

    `going` are rows of id, subject, variables and wire_hash: what is kept of each mail. Only messages that this owner
    claimed under a lease that still runs, that nothing forbids by now, come back.
    """
    if not going:
        return set()
    page = page_parameters(connection, TABLE, going)
    given = {"claimer": owner, "moment": now, "carrier": provider, **page}
    return set(connection.scalars(_dispatch(connection.dialect.name), given))


_KEPT = ("subject", "variables", "wire_hash")


@lru_cache(maxsize=2)
def _dispatch(dialect: str) -> Any:
    kept: Mapping[str, ColumnElement[Any]] = page_columns(TABLE, ("id", *_KEPT), dialect)
    # Not as the index of states has it: that would read the whole page once for every message that is claimed.
    state: ColumnElement[str] = literal_column("+messages.state" if dialect == "sqlite" else "(messages.state || '')")
    where: tuple[ColumnElement[bool], ...]
    where = (M.id == kept["id"], state == MessageState.CLAIMED, M.owner == _OWNER, *_guards())
    if dialect == "postgresql":
        kept, where = _page_first(kept, where)
    return (
        update(TABLE)
        .where(*where)
        .values(
            state=MessageState.DISPATCHING,
            attempts=M.attempts + 1,
            dispatching_at=_MOMENT,
            date_header=func.coalesce(M.date_header, _MOMENT, type_=M.date_header.type),
            provider=bindparam("carrier", type_=M.provider.type),
            reason=None,
            updated_at=_MOMENT,
            **{name: kept[name] for name in _KEPT},
        )
        .returning(M.id)
    )


def _page_first(
    kept: Mapping[str, ColumnElement[Any]], may_go: tuple[ColumnElement[bool], ...]
) -> tuple[Mapping[str, ColumnElement[Any]], tuple[ColumnElement[bool], ...]]:
    """Look each message of the page up by its key, and lock it, before it is updated.

    Left to itself, PostgreSQL takes few messages to be claimed, and joins each of them with the whole page. The lock
    asks the guards again of a message that somebody changed meanwhile, as the update would.
    """
    found = select(M.id).where(*may_go).offset(0).with_for_update(key_share=True).lateral("found")
    allowed = select(*kept.values()).join(found, true()).cte("allowed")
    return dict(allowed.c), (M.id == allowed.c.id,)


def give_back(connection: Connection, ids: Collection[int], owner: str, now: datetime) -> list[int]:
    """Let go of messages that this owner claimed, unsent; return the keys of those that were still its own."""
    given = {"ids": list(ids), "claimer": owner, "moment": now}
    return list(connection.scalars(_GIVEN_BACK, given)) if ids else []


_BEFORE = case((M.approval_id.is_not(None), MessageState.APPROVED), else_=MessageState.READY)
_GIVEN_BACK = (
    update(TABLE)
    .where(in_given(M.id), M.state == MessageState.CLAIMED, M.owner == _OWNER)
    .values(state=_BEFORE, owner=None, updated_at=_MOMENT)
    .returning(M.id)
)


def _guards() -> tuple[ColumnElement[bool], ...]:
    leased = _given(
        _TIMER.kind == TimerKind.MESSAGE,
        _TIMER.subject_id == M.id,
        _TIMER.owner == _OWNER,
        _TIMER.lease_until > database_clock(),
    )
    suppressed = _given(
        _SUPPRESSION.address_hash == M.to_hash, or_(_SUPPRESSION.scope == Scope.ALL, _SUPPRESSION.scope == M.voice)
    )
    in_voice = _given(
        _CONTACT.id == M.contact_id,
        _CONTACT.merged_into.is_(None),
        _CONTACT.erased_at.is_(None),
        _STAGE.voice == M.voice,
        among=tables.Contact.__table__.join(tables.Stage.__table__, _STAGE.name == _CONTACT.stage),
    )
    paused = _RUN.sequence.in_(select(_PAUSED.name))
    running = _given(_RUN.id == M.enrollment_id, _RUN.state.in_(LIVE_ENROLLMENTS), ~paused)
    answered = _given(
        _APPROVAL.id == M.approval_id,
        _EVENT.contact_id == M.contact_id,
        _EVENT.kind == "replied",
        among=tables.Approval.__table__.join(tables.Event.__table__, _EVENT.recorded_at > _APPROVAL.approved_at),
    )
    approved = _given(_APPROVAL.id == M.approval_id, _APPROVAL.content_hash == M.content_hash)
    stopped = M.sender_id.in_(select(_SENDER.id).where(_SENDER.paused_reason.is_not(None)))
    killed = _given(_INSTANCE.id == 1, _INSTANCE.sending_paused.is_not(None))
    return (
        leased,
        or_(M.not_after.is_(None), M.not_after > _MOMENT),
        ~suppressed,
        in_voice,
        or_(M.enrollment_id.is_(None), running),
        or_(M.voice == Voice.MARKETING, and_(approved, ~answered)),
        ~stopped,
        ~killed,
    )


def _given(*conditions: ColumnElement[bool], among: FromClause | None = None) -> ColumnElement[bool]:
    """Return the condition that such rows exist, asked of each message of the page by index; `among` is a join.

    OFFSET 0 keeps PostgreSQL from turning it into a join, which it began with all contacts: 10 ms a page at 4,000
    of them when its statistics were old, and growing with them.
    """
    rows: Select[Any] = select(literal_column("1")).where(*conditions).offset(0)
    return (rows if among is None else rows.select_from(among)).exists()


_ALLOWED = select(M.id).where(in_given(M.id), *_guards())
_WITHDRAWN = (
    update(TABLE)
    .where(in_given(M.id), M.state == MessageState.DISPATCHING, M.owner == _OWNER)
    .values(
        state=MessageState.READY,
        owner=None,
        attempts=0,
        date_header=None,
        dispatching_at=None,
        provider=None,
        subject=None,
        variables=null(),
        wire_hash=None,
        updated_at=_MOMENT,
    )
    .returning(M.id)
)


def begin(connection: Connection, count: int, columns: Columns) -> None:
    """Insert messages that enter `dispatching` as they are planned, by columns. Their origins are new: see `known`.

    The caller has decided about them in this transaction, over contacts that it has locked. On PostgreSQL `forbidden`
    asks afterwards what somebody else may have committed meanwhile; SQLite has one writer.
    """
    insert_columns(connection, TABLE, count, {"edited": Same(False), **columns})


def forbidden(connection: Connection, ids: Collection[int], owner: str, now: datetime) -> set[int]:
    """Return those of the messages, dispatched by this owner, that the guards of `dispatch` would not let go by now."""
    given = {"ids": list(ids), "claimer": owner, "moment": now}
    return set(ids) - set(connection.scalars(_ALLOWED, given)) if ids else set()


def withdraw(connection: Connection, ids: Collection[int], owner: str, now: datetime) -> list[int]:
    """Make messages ready again that this owner has dispatched and handed to nobody; return which were still its own.

    They are as if they had only been planned.
    """
    given = {"ids": list(ids), "claimer": owner, "moment": now}
    return list(connection.scalars(_WITHDRAWN, given)) if ids else []


def accept(
    connection: Connection, taken: Sequence[Mapping[str, Any]], now: datetime
) -> list[tuple[int, int | None, int]]:
    """Enter `accepted` from `dispatching`; return id, enrollment_id and sender_id of those that were there, in order.

    `taken` are rows of id, provider_id and wire_id. Lock their contacts first.
    """
    if connection.dialect.name == "sqlite":
        return _read_and_accept(connection, taken, now)
    given = {"moment": now, **page_parameters(connection, TABLE, taken)}
    rows: list[Any] = list(connection.execute(_accept(), given))
    return sorted(rows, key=itemgetter(0))


@lru_cache(maxsize=1)
def _accept() -> Any:
    page = page_columns(TABLE, ("id", "provider_id", "wire_id"), "postgresql")
    names = {name: page[name] for name in ("provider_id", "wire_id")}
    found = and_(M.id == page["id"], _state_unindexed("postgresql") == MessageState.DISPATCHING)
    changed = update(TABLE).where(found).values(**_ACCEPTED, **names, sent_at=_MOMENT, updated_at=_MOMENT)
    return changed.returning(M.id, M.enrollment_id, M.sender_id)


_ACCEPTED = {"state": MessageState.ACCEPTED, "reason": None, "owner": None}


def _read_and_accept(
    connection: Connection, taken: Sequence[Mapping[str, Any]], now: datetime
) -> list[tuple[int, int | None, int]]:
    """Do the same on SQLite, which has one writer: to read first takes less than to be told by the update."""
    by_id = {row["id"]: row for row in taken}
    columns = by_columns(connection, _IN_FLIGHT, {"ids": list(by_id)})
    there = list(zip(*columns, strict=True))
    accepted: dict[str, Any] = {**_ACCEPTED, "sent_at": now, "updated_at": now}
    update_rows(connection, TABLE, "id", [{**by_id[key], **accepted} for key, _, _ in there])
    return there


_IN_FLIGHT = (
    select(M.id, M.enrollment_id, M.sender_id)
    .where(in_given(M.id), literal_column("+messages.state") == MessageState.DISPATCHING)
    .order_by(M.id)
)


def _state_unindexed(dialect: str) -> ColumnElement[str]:
    """Return the state so that the index of states is not used: that would read a whole page of it for each message."""
    return literal_column("+messages.state" if dialect == "sqlite" else "(messages.state || '')")
