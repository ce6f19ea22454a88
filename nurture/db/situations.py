"""Situations of a page of contacts, loaded with a constant number of queries (eight), whatever the page's size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select

from nurture.core.model import (
    Account,
    AccountId,
    Contact,
    ContactId,
    EnrollmentId,
    Event,
    EventId,
    MessageBrief,
    MessageId,
    OpenTask,
    Rep,
    RepId,
    Situation,
    StageChange,
    Standing,
    Suppressed,
)
from nurture.core.words import SENT_MESSAGES, MessageState, Scope, TaskState, Voice
from nurture.db import enrollments, tables
from nurture.db.bulk import in_page

C = tables.Contact.__table__.c
A = tables.Account.__table__.c
R = tables.Rep.__table__.c
ADDRESS = tables.Address.__table__.c
S = tables.Standing.__table__.c
E = tables.Event.__table__.c
M = tables.Message.__table__.c
T = tables.Task.__table__.c
G = tables.StageChange.__table__.c
P = tables.Suppression.__table__.c
H = tables.Handoff.__table__.c

_OVER = (MessageState.REFUSED, MessageState.CANCELLED)


def lock(connection: Connection, contact_ids: Collection[int], *, wait: bool = True) -> list[int]:
    """Lock contacts in id order until the transaction ends and return those that exist (and are still people).

    With `wait=False` contacts that another transaction holds are left out. SQLite has one writer, which is the lock.
    """
    query = (
        select(C.id)
        .where(in_page(C.id, contact_ids), C.merged_into.is_(None), C.erased_at.is_(None))
        .order_by(C.id)
        .with_for_update(key_share=True, skip_locked=not wait)
    )
    return list(connection.scalars(query))


def load(
    connection: Connection,
    contact_ids: Collection[int],
    memory: timedelta,
    now: datetime,
    *,
    kinds: Collection[str] | None = None,
) -> dict[ContactId, Situation]:
    """Return the situations of those contacts, with events (of `kinds`, or all) since `now - memory`."""
    if not contact_ids:
        return {}
    since = now - memory
    events = _grouped(connection, _events(contact_ids, since, kinds), _event)
    changes = _grouped(connection, _changes(contact_ids), _change)
    wishes = _grouped(connection, _suppressions(contact_ids), _suppressed)
    runs = enrollments.of_contacts(connection, contact_ids)
    messages = _grouped(connection, _messages(contact_ids, since), _message)
    tasks = _grouped(connection, _tasks(contact_ids), _task)
    return {
        ContactId(row.id): Situation(
            contact=_contact(row),
            events=events[row.id],
            standing=_standing(row),
            stage_changes=changes[row.id],
            suppressions=wishes[row.id],
            enrollments=tuple(runs.get(ContactId(row.id), ())),
            messages=messages[row.id],
            tasks=tasks[row.id],
            open_handoff=row.handoff_id is not None,
        )
        for row in connection.execute(_contacts(contact_ids))
    }


def _grouped(connection: Connection, query: Select[Any], make: Any) -> Mapping[int, tuple[Any, ...]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.contact_id].append(make(row))
    return defaultdict(tuple, {key: tuple(values) for key, values in found.items()})


def _contacts(ids: Collection[int]) -> Select[Any]:
    contact, account, rep = tables.Contact.__table__, tables.Account.__table__, tables.Rep.__table__
    columns = [
        *contact.c,
        ADDRESS.email,
        ADDRESS.address_hash,
        H.id.label("handoff_id"),
        *(column.label(f"account__{column.name}") for column in account.c),
        *(column.label(f"rep__{column.name}") for column in rep.c),
        *(column.label(f"standing__{column.name}") for column in tables.Standing.__table__.c),
    ]
    joined = (
        contact.outerjoin(tables.Address.__table__, and_(ADDRESS.contact_id == C.id, ADDRESS.is_primary))
        .outerjoin(account, A.id == C.account_id)
        .outerjoin(rep, R.id == C.owner_id)
        .outerjoin(tables.Standing.__table__, S.contact_id == C.id)
        .outerjoin(tables.Handoff.__table__, and_(H.contact_id == C.id, H.state == "open"))
    )
    return select(*columns).select_from(joined).where(in_page(C.id, ids)).order_by(C.id)


def _contact(row: Row[Any]) -> Contact:
    return Contact(
        id=ContactId(row.id),
        stage=row.stage,
        stage_since=row.stage_since,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        title=row.title,
        buying_role=row.buying_role,
        time_zone=row.time_zone,
        locale=row.locale,
        country=row.country,
        source=row.source,
        account=_account(row) if row.account_id is not None else None,
        owner=_rep(row) if row.owner_id is not None else None,
        fields=row.fields or {},
        created_at=row.created_at,
        address_hash=row.address_hash,
    )


def _account(row: Row[Any]) -> Account:
    return Account(
        id=AccountId(row.account__id),
        name=row.account__name,
        domain=row.account__domain,
        industry=row.account__industry,
        employees=row.account__employees,
        revenue=row.account__revenue,
        country=row.account__country,
        time_zone=row.account__time_zone,
        technologies=tuple(row.account__technologies or ()),
        owner_id=row.account__owner_id,
        fields=row.account__fields or {},
    )


def _rep(row: Row[Any]) -> Rep:
    return Rep(
        id=RepId(row.rep__id),
        name=row.rep__name,
        email=row.rep__email,
        title=row.rep__title,
        signature=row.rep__signature,
        time_zone=row.rep__time_zone,
        calendar_link=row.rep__calendar_link,
        daily_capacity=row.rep__daily_capacity,
        active=row.rep__active,
    )


def _standing(row: Row[Any]) -> Standing | None:
    if row.standing__contact_id is None:
        return None
    return Standing(
        row.standing__fit_points,
        row.standing__grade,
        row.standing__engagement,
        row.standing__as_of,
        row.standing__level,
        row.standing__model_hash,
    )


def _events(ids: Collection[int], since: datetime, kinds: Collection[str] | None) -> Select[Any]:
    query = select(tables.Event.__table__).where(in_page(E.contact_id, ids), E.at >= since).order_by(E.at, E.id)
    return query if kinds is None else query.where(E.kind.in_(sorted(kinds)))


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


def _suppressions(ids: Collection[int]) -> Select[Any]:
    return (
        select(ADDRESS.contact_id, P.scope, P.reason, P.created_at)
        .join_from(tables.Address.__table__, tables.Suppression.__table__, P.address_hash == ADDRESS.address_hash)
        .where(in_page(ADDRESS.contact_id, ids))
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
