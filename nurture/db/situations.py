"""Situations of a page of contacts, loaded with a constant number of queries, whatever the page's size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from nurture.core.lifecycle import Lifecycle
from nurture.core.model import (
    Bar,
    ContactId,
    EnrollmentId,
    Event,
    EventId,
    MessageBrief,
    MessageId,
    OpenTask,
    Situation,
    StageChange,
    Standing,
    Suppressed,
)
from nurture.core.signals import account_kinds
from nurture.core.words import SENT_MESSAGES, MessageState, Scope, TaskState, Voice
from nurture.db import contacts, enrollments, members, tables
from nurture.db.bulk import in_given, in_page
from nurture.db.fetching import by_columns

C = tables.Contact.__table__.c
ADDRESS = tables.Address.__table__.c
S = tables.Standing.__table__.c
E = tables.Event.__table__.c
M = tables.Message.__table__.c
T = tables.Task.__table__.c
G = tables.StageChange.__table__.c
P = tables.Suppression.__table__.c
H = tables.Handoff.__table__.c

_NOWHERE: frozenset[str] = frozenset()
_OVER = (MessageState.REFUSED, MessageState.CANCELLED)


def lock(connection: Connection, contact_ids: Collection[int], *, wait: bool = True) -> list[int]:
    """Lock contacts in id order until the transaction ends and return those that exist (and are still people).

    With `wait=False` contacts that another transaction holds are left out. SQLite has one writer, which is the lock.
    """
    (found,) = by_columns(connection, _WAITING if wait else _NOT_WAITING, {"ids": list(contact_ids)})
    return list(found)


_PEOPLE = select(C.id).where(in_given(C.id), C.merged_into.is_(None), C.erased_at.is_(None)).order_by(C.id)
_WAITING = _PEOPLE.with_for_update(key_share=True)
_NOT_WAITING = _PEOPLE.with_for_update(key_share=True, skip_locked=True)


def living(connection: Connection, contact_ids: Collection[int]) -> set[int]:
    """Return which contacts exist and are still people, whoever holds them."""
    return set(connection.scalars(_PEOPLE, {"ids": list(contact_ids)}))


def lock_recipients(connection: Connection, message_ids: Collection[int]) -> None:
    """Lock the contacts of messages, as `lock` does. SQLite is asked nothing: its one writer is the lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(_RECIPIENTS, {"ids": list(message_ids)})


# As an array, so that the contacts are found by their keys, however many the planner takes them to be.
_TO = func.array(select(M.contact_id).where(in_given(M.id)).scalar_subquery(), type_=ARRAY(C.id.type))
_ADDRESSED = select(C.id).where(C.id == any_(_TO)).order_by(C.id).with_for_update(key_share=True).subquery()
_RECIPIENTS = select(func.count()).select_from(_ADDRESSED)


def load(
    connection: Connection,
    contact_ids: Collection[int],
    memory: timedelta,
    now: datetime,
    *,
    kinds: Collection[str] | None = None,
    segments: bool = False,
) -> dict[ContactId, Situation]:
    """Return the situations of those contacts, with events (of `kinds`, or all) since `now - memory`.

    Their segments are read if `segments` says that there are any.
    """
    if not contact_ids:
        return {}
    since = now - memory
    events = events_of(connection, contact_ids, since, kinds)
    changes = _grouped(connection, _changes(contact_ids), _change)
    wishes = suppressions_of(connection, contact_ids)
    runs = enrollments.of_contacts(connection, contact_ids)
    messages = messages_of(connection, contact_ids, since)
    tasks = _grouped(connection, _tasks(contact_ids), _task)
    belonging = members.of(connection, contact_ids) if segments else {}
    beside = {row[0]: row for row in connection.execute(_beside(contact_ids)).all()}
    return {
        key: Situation(
            contact=contact,
            events=events[key],
            standing=_standing(beside[key]),
            stage_changes=changes[key],
            suppressions=wishes[key],
            enrollments=tuple(runs.get(key, ())),
            messages=messages[key],
            tasks=tasks[key],
            open_handoff=beside[key].handoff_id is not None,
            bar=_bar(beside[key]),
            segments=belonging.get(key, _NOWHERE),
        )
        for key, contact in contacts.read(connection, contact_ids).items()
    }


def persons(connection: Connection, contact_ids: Collection[int]) -> dict[ContactId, Situation]:
    """Return situations that say nothing but who the contacts are, with account and owner."""
    if not contact_ids:
        return {}
    return {key: Situation(contact) for key, contact in contacts.read(connection, contact_ids).items()}


def for_scoring(
    connection: Connection,
    contact_ids: Collection[int],
    lifecycle: Lifecycle,
    now: datetime,
    *,
    segments: bool = False,
) -> dict[ContactId, Situation]:
    """Return the situations of those contacts with all that `lifecycle` scores, what their accounts did included."""
    loaded = load(connection, contact_ids, lifecycle.memory, now, segments=segments)
    kinds = account_kinds(lifecycle)
    return with_account_events(connection, loaded, now - lifecycle.memory, kinds) if kinds else loaded


def people_of(connection: Connection, account_ids: Collection[int]) -> list[int]:
    """Return the contacts of accounts, in id order."""
    mine = in_page(C.account_id, sorted(account_ids))
    return list(
        connection.scalars(select(C.id).where(mine, C.merged_into.is_(None), C.erased_at.is_(None)).order_by(C.id))
    )


def with_account_events(
    connection: Connection, loaded: Mapping[ContactId, Situation], since: datetime, kinds: Collection[str]
) -> dict[ContactId, Situation]:
    """Return the situations with what happened to their accounts as such since a moment: one query for the page."""
    accounts = {s.contact.account.id for s in loaded.values() if s.contact.account is not None}
    query = _account_events(accounts, since, kinds)
    found: dict[int, list[Event]] = defaultdict(list)
    for row in connection.execute(query) if accounts else ():
        found[row.account_id].append(_event(row))
    return {
        key: replace(situation, account_events=tuple(found[account.id]))
        if (account := situation.contact.account) is not None and account.id in found
        else situation
        for key, situation in loaded.items()
    }


def events_of(
    connection: Connection, contact_ids: Collection[int], since: datetime, kinds: Collection[str] | None = None
) -> Mapping[int, tuple[Event, ...]]:
    """Return the events (of `kinds`, or all) of each contact since a moment, oldest first."""
    query = _events(None if kinds is None else frozenset(kinds))
    return _grouped(connection, query, _event, ids=list(contact_ids), since=since)


def messages_of(
    connection: Connection, contact_ids: Collection[int], since: datetime
) -> Mapping[int, tuple[MessageBrief, ...]]:
    """Return the messages of each contact that are not over, and those sent since a moment, by due time."""
    return _grouped(connection, _messages(contact_ids, since), _message)


def suppressions_of(connection: Connection, contact_ids: Collection[int]) -> Mapping[int, tuple[Suppressed, ...]]:
    """Return what forbids writing to each contact's addresses."""
    return _grouped(connection, _SUPPRESSIONS, _suppressed, ids=list(contact_ids))


def _grouped(connection: Connection, query: Select[Any], make: Any, **given: Any) -> Mapping[int, tuple[Any, ...]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(query, given).all():
        found[row.contact_id].append(make(row))
    return defaultdict(tuple, {key: tuple(values) for key, values in found.items()})


def _beside(ids: Collection[int]) -> Select[Any]:
    """Return what stands beside contacts: at most one standing and one open handoff each."""
    joined = tables.Contact.__table__.outerjoin(tables.Standing.__table__, S.contact_id == C.id).outerjoin(
        tables.Handoff.__table__, and_(H.contact_id == C.id, H.state == "open")
    )
    columns = (C.id, C.barred_until, C.barred_why, H.id.label("handoff_id"), *tables.Standing.__table__.c)
    return select(*columns).select_from(joined).where(in_page(C.id, ids))


def _bar(row: Row[Any]) -> Bar | None:
    return Bar(row.barred_until, row.barred_why or "") if row.barred_until is not None else None


def _standing(row: Row[Any]) -> Standing | None:
    if row.contact_id is None:
        return None
    slots = tuple(sorted(row.slots.items())) if row.slots else ()
    return Standing(row.fit_points, row.grade, row.engagement, row.as_of, row.level, row.model_hash, slots)


@lru_cache(maxsize=32)
def _events(kinds: frozenset[str] | None) -> Select[Any]:
    columns = (column for column in tables.Event.__table__.c if column.name != "recorded_at")
    since = bindparam("since", type_=E.at.type)
    query = select(*columns).where(in_given(E.contact_id), E.at >= since).order_by(E.at, E.id)
    return query if kinds is None else query.where(E.kind.in_(sorted(kinds)))


def _account_events(accounts: Collection[int], since: datetime, kinds: Collection[str]) -> Select[Any]:
    return (
        select(*(column for column in tables.Event.__table__.c if column.name != "recorded_at"))
        .where(
            in_page(E.account_id, sorted(accounts)), E.at >= since, E.contact_id.is_(None), E.kind.in_(sorted(kinds))
        )
        .order_by(E.at, E.id)
    )


def _event(row: Row[Any]) -> Event:
    return Event(
        row.kind,
        row.at,
        row.source,
        row.external_id,
        row.contact_id,
        row.account_id,
        row.data or {},
        row.trust,
        row.message_id,
        EventId(row.id),
    )


def _changes(ids: Collection[int]) -> Select[Any]:
    return select(tables.StageChange.__table__).where(in_page(G.contact_id, ids)).order_by(G.at, G.id)


def _change(row: Row[Any]) -> StageChange:
    return StageChange(row.from_stage, row.to_stage, row.at, row.reason, row.actor)


_SUPPRESSIONS = (
    select(ADDRESS.contact_id, P.scope, P.reason, P.created_at)
    .join_from(tables.Address.__table__, tables.Suppression.__table__, P.address_hash == ADDRESS.address_hash)
    .where(in_given(ADDRESS.contact_id))
    .order_by(P.id)
)


def _suppressed(row: Row[Any]) -> Suppressed:
    return Suppressed(Scope(row.scope), row.reason, row.created_at)


def _messages(ids: Collection[int], since: datetime) -> Select[Any]:
    columns = (
        M.id,
        M.contact_id,
        M.voice,
        M.state,
        M.enrollment_id,
        M.step_id,
        M.template,
        M.due_at,
        M.sent_at,
        M.approval_id,
    )
    open_or_sent = or_(M.state.in_(SENT_MESSAGES) & (M.due_at >= since), M.state.not_in((*SENT_MESSAGES, *_OVER)))
    return select(*columns).where(in_page(M.contact_id, ids), open_or_sent).order_by(M.due_at, M.id)


def _message(row: Row[Any]) -> MessageBrief:
    return MessageBrief(
        MessageId(row.id),
        Voice(row.voice),
        MessageState(row.state),
        EnrollmentId(row.enrollment_id) if row.enrollment_id is not None else None,
        row.step_id,
        row.template,
        row.due_at,
        row.sent_at,
        row.approval_id,
    )


def _tasks(ids: Collection[int]) -> Select[Any]:
    return (
        select(tables.Task.__table__)
        .where(in_page(T.contact_id, ids), T.state == TaskState.OPEN)
        .order_by(T.due_at, T.id)
    )


def _task(row: Row[Any]) -> OpenTask:
    return OpenTask(row.id, row.kind, row.due_at, row.enrollment_id, row.step_id)


def ids_of(rows: Iterable[Any]) -> list[int]:
    """Return the distinct contact ids of rows, in order."""
    return sorted({row.contact_id for row in rows})
