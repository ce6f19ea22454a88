"""Named queries for handoffs: routing under a lock, who has them, closing them, and lists of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from nurture.core.handoff import Handoff
from nurture.core.model import AccountId, Company, ContactId, RepId, Situation
from nurture.core.outcomes import TASK
from nurture.core.routing import Desk, Elsewhere
from nurture.core.words import HandoffState, TaskState, TimerKind
from nurture.db import reps, tables, timers
from nurture.db.bulk import in_page, insert_new, insert_rows, update_rows

TABLE = tables.Handoff.__table__
ASSIGNMENT = tables.Assignment.__table__
_H = TABLE.c
_CONTACT = tables.Contact.__table__
_ACCOUNT = tables.Account.__table__
_ADDRESS = tables.Address.__table__
_REP = tables.Rep.__table__
_ROTATION = tables.Rotation.__table__
_TASK = tables.Task.__table__

LONGEST_QUEUE = 1_000
"""How many handoffs that wait in the queue are looked at again when a rep becomes free."""


# --- routing ----------------------------------------------------------------------------------------------------------


def desk(
    connection: Connection, situations: Collection[Situation], rules: Handoff, company: Company, now: datetime
) -> Desk:
    """Return what routing a page looks at, and let nobody else route until the transaction ends: seven queries.

    The lock comes before the counts, so that these hold what the last one to route has written.
    """
    insert_new(connection, _ROTATION, [{"id": 1, "last": {}}], ("id",))
    last = connection.scalar(select(_ROTATION.c.last).where(_ROTATION.c.id == 1).with_for_update()) or {}
    accounts = {s.contact.account.id for s in situations if s.contact.account}
    return Desk(
        candidates=reps.candidates(connection, rules, company, now),
        last={pool: RepId(rep) for pool, rep in last.items()},
        elsewhere=_elsewhere(connection, accounts),
    )


def keep_turns(connection: Connection, last: Mapping[str, int]) -> None:
    """Write whose turn it was in each pool."""
    connection.execute(_ROTATION.update().where(_ROTATION.c.id == 1).values(last=dict(last)))


def _elsewhere(connection: Connection, accounts: Collection[int]) -> tuple[Elsewhere, ...]:
    columns = (_H.contact_id, _CONTACT.c.account_id, _CONTACT.c.first_name, _CONTACT.c.last_name, _H.rep_id)
    query = select(*columns).join(_CONTACT, _CONTACT.c.id == _H.contact_id).where(_H.state == HandoffState.OPEN)
    found = connection.execute(query.where(in_page(_CONTACT.c.account_id, accounts)).order_by(_H.id))
    return tuple(
        Elsewhere(
            ContactId(row.contact_id),
            AccountId(row.account_id),
            f"{row.first_name} {row.last_name}" if row.first_name and row.last_name else None,
            row.rep_id,
        )
        for row in found
    )


# --- one and several --------------------------------------------------------------------------------------------------


def by_ids(connection: Connection, ids: Collection[int]) -> dict[int, Row[Any]]:
    """Return handoffs by key."""
    query = select(TABLE).where(in_page(_H.id, ids)).order_by(_H.id)
    return {row.id: row for row in connection.execute(query)} if ids else {}


def assignments(connection: Connection, ids: Collection[int]) -> dict[int, list[Row[Any]]]:
    """Return who had each handoff, the first one first."""
    columns: list[Any] = [*ASSIGNMENT.c, _REP.c.name, _REP.c.email]
    query = (
        select(*columns)
        .outerjoin(_REP, _REP.c.id == ASSIGNMENT.c.rep_id)
        .where(in_page(ASSIGNMENT.c.handoff_id, ids))
        .order_by(ASSIGNMENT.c.at, ASSIGNMENT.c.id)
    )
    found: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(query) if ids else ():
        found.setdefault(row.handoff_id, []).append(row)
    return found


def close(connection: Connection, handoff_id: int, state: HandoffState, by: str, now: datetime, **also: Any) -> bool:
    """Close an open handoff; tell whether it still was open. Its clock stops and the tasks that it gave are over."""
    closing = TABLE.update().where(_H.id == handoff_id, _H.state == HandoffState.OPEN)
    values = {"state": state, "closed_at": now, "closed_by": by, **also}
    contact_id = connection.scalar(closing.values(values).returning(_H.contact_id))
    if contact_id is None:
        return False
    timers.clear(connection, TimerKind.SLA, [handoff_id])
    cancel_tasks(connection, [contact_id], now)
    return True


def cancel_tasks(connection: Connection, contact_ids: Collection[int], now: datetime) -> None:
    """Cancel the open tasks that handoffs of those contacts gave."""
    mine = _TASK.update().where(in_page(_TASK.c.contact_id, contact_ids), _TASK.c.kind == TASK)
    connection.execute(mine.where(_TASK.c.state == TaskState.OPEN).values(state=TaskState.CANCELLED, done_at=now))


def leave(connection: Connection, reasons: Mapping[ContactId, str], now: datetime) -> Sequence[Row[Any]]:
    """Take back the open handoffs of contacts who left the stages of sales; return them as they were."""
    if not reasons:
        return []
    query = select(TABLE).where(in_page(_H.contact_id, reasons), _H.state == HandoffState.OPEN)
    found: Sequence[Row[Any]] = connection.execute(query.order_by(_H.id)).fetchall()
    closed = {"state": HandoffState.RETURNED, "closed_at": now, "closed_by": "engine"}
    update_rows(
        connection, TABLE, "id", [{"id": row.id, **closed, "outcome": reasons[row.contact_id]} for row in found]
    )
    timers.clear(connection, TimerKind.SLA, [row.id for row in found])
    cancel_tasks(connection, reasons.keys(), now)
    ending = ASSIGNMENT.update().where(in_page(ASSIGNMENT.c.handoff_id, [row.id for row in found]))
    connection.execute(ending.where(ASSIGNMENT.c.ended_at.is_(None)).values(ended_at=now, ended_why="left sales"))
    return found


def end_assignment(
    connection: Connection, handoff_id: int, why: str, worked_minutes: int | None, now: datetime
) -> None:
    """Say how it ended for the rep who has a handoff."""
    mine = ASSIGNMENT.update().where(ASSIGNMENT.c.handoff_id == handoff_id, ASSIGNMENT.c.ended_at.is_(None))
    connection.execute(mine.values(ended_at=now, ended_why=why, worked_minutes=worked_minutes))


def assign(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say who has handoffs from now on."""
    insert_rows(connection, ASSIGNMENT, rows)


def change(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change handoffs by `id`; the rows of a page have the same keys."""
    update_rows(connection, TABLE, "id", rows)


def own(connection: Connection, owners: Sequence[tuple[ContactId, int | None]], now: datetime) -> None:
    """Make reps (None: nobody) the owners of contacts."""
    rows = [{"id": contact, "owner_id": rep, "updated_at": now} for contact, rep in owners]
    update_rows(connection, _CONTACT, "id", rows)


def bar(connection: Connection, contact_id: ContactId, until: datetime, why: str) -> None:
    """Keep a contact from sales until a moment."""
    update_rows(connection, _CONTACT, "id", [{"id": contact_id, "barred_until": until, "barred_why": why}])


def unbar(connection: Connection, contact_ids: Collection[ContactId]) -> None:
    """Let contacts be handed over again."""
    rows = [{"id": key, "barred_until": None, "barred_why": None} for key in contact_ids]
    update_rows(connection, _CONTACT, "id", rows)


def own_account(connection: Connection, account_id: int, rep_id: int, now: datetime) -> None:
    """Make a rep the owner of an account that has none."""
    mine = _ACCOUNT.update().where(_ACCOUNT.c.id == account_id, _ACCOUNT.c.owner_id.is_(None))
    connection.execute(mine.values(owner_id=rep_id, updated_at=now))


def wake_queue(connection: Connection, now: datetime, most: int = LONGEST_QUEUE) -> int:
    """Let the first handoffs that wait in the queue be routed again at once: somebody may be free. Return how many."""
    query = select(_H.id).where(_H.state == HandoffState.OPEN, _H.rep_id.is_(None)).order_by(_H.id)
    waiting = connection.scalars(query.limit(most)).all()
    timers.set_timers(connection, [(TimerKind.SLA, key, now) for key in waiting])
    return len(waiting)


def wake_of(connection: Connection, rep_id: int, now: datetime) -> None:
    """Let the clocks of a rep's open handoffs be set again: they work at other times now, or not at all."""
    mine = connection.scalars(select(_H.id).where(_H.state == HandoffState.OPEN, _H.rep_id == rep_id))
    timers.set_timers(connection, [(TimerKind.SLA, key, now) for key in mine.all()])


# --- lists ------------------------------------------------------------------------------------------------------------


def listed(connection: Connection, *, rep_id: int | None, state: HandoffState | None) -> Sequence[Row[Any]]:
    """Return handoffs with whom they are about: those of a rep (and the queue's), in a state; the most urgent first."""
    query = _with_people()
    if state is not None:
        query = query.where(_H.state == state)
    if rep_id is not None:
        query = query.where(or_(_H.rep_id == rep_id, and_(_H.rep_id.is_(None), _H.state == HandoffState.OPEN)))
    return connection.execute(query.order_by(_H.due_at.is_(None), _H.due_at, _H.id)).fetchall()


def shown(connection: Connection, handoff_id: int) -> Row[Any] | None:
    """Return one handoff with whom it is about."""
    return connection.execute(_with_people().where(_H.id == handoff_id)).one_or_none()


def queued(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many open handoffs no rep has, and since when."""
    query = select(func.count(), func.min(_H.opened_at)).where(_H.state == HandoffState.OPEN, _H.rep_id.is_(None))
    count, since = connection.execute(query).one()
    return count, since


def _with_people() -> Select[Any]:
    joined = (
        TABLE.join(_CONTACT, _CONTACT.c.id == _H.contact_id)
        .outerjoin(_ACCOUNT, _ACCOUNT.c.id == _CONTACT.c.account_id)
        .outerjoin(_ADDRESS, and_(_ADDRESS.c.contact_id == _CONTACT.c.id, _ADDRESS.c.is_primary))
        .outerjoin(_REP, _REP.c.id == _H.rep_id)
    )
    about = (_CONTACT.c.first_name, _CONTACT.c.last_name, _CONTACT.c.title, _CONTACT.c.stage, _ADDRESS.c.email)
    return select(
        *_H, *about, _ACCOUNT.c.name.label("company"), _REP.c.email.label("rep"), _REP.c.name.label("rep_name")
    ).select_from(joined)
