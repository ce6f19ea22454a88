"""The fields of conditions as SQL about `contacts`: where each is found, and which tables must stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nurture.core.facts import FIELDS, SLOTS, is_scored
from nurture.core.lifecycle import Lifecycle
from nurture.core.words import LIVE_ENROLLMENTS, SENT_MESSAGES, HandoffState, TaskState
from nurture.db import tables
from nurture.db.folding import Domain
from nurture.db.sides import Count, Nothing, Number, Own, Side, Text, Texts, Truth, json_items

CONTACT = tables.Contact.__table__
ACCOUNT = tables.Account.__table__
ADDRESS = tables.Address.__table__
REP = tables.Rep.__table__
STANDING = tables.Standing.__table__
TASK = tables.Task.__table__
RUN = tables.Enrollment.__table__
MESSAGE = tables.Message.__table__
HANDOFF = tables.Handoff.__table__
SUPPRESSION = tables.Suppression.__table__


@dataclass(frozen=True, slots=True)
class Terms:
    """What fields are asked under; `since` is as far back as messages and events are remembered."""

    lifecycle: Lifecycle
    since: datetime
    dialect: str


def side(field: str, terms: Terms) -> Side:
    """Return what `field` says of a contact, always unknown where `core.facts` does not know it."""
    if (make := _SIDES.get(field)) is not None:
        return make(terms)
    if field.startswith("fields."):
        return Own(CONTACT.c.fields, field.removeprefix("fields."), terms.dialect)
    if field.startswith("account.fields."):
        return Own(ACCOUNT.c.fields, field.removeprefix("account.fields."), terms.dialect)
    if field.startswith(SLOTS):
        return Own(STANDING.c.slots, field.removeprefix(SLOTS), terms.dialect)
    return Nothing()


def beside(fields: frozenset[str], *, zones: bool = False) -> sa.FromClause:
    """Return `contacts` with the tables that these fields are read from; `zones` asks for the account's too."""
    joined: Any = CONTACT
    if zones or any(field.startswith("account.") for field in fields):
        joined = joined.outerjoin(ACCOUNT, ACCOUNT.c.id == CONTACT.c.account_id)
    if any(is_scored(field) for field in fields):
        joined = joined.outerjoin(STANDING, STANDING.c.contact_id == CONTACT.c.id)
    if fields & {"email", "email_domain"}:
        joined = joined.outerjoin(ADDRESS, sa.and_(ADDRESS.c.contact_id == CONTACT.c.id, ADDRESS.c.is_primary))
    if "owner" in fields:
        joined = joined.outerjoin(REP, REP.c.id == CONTACT.c.owner_id)
    return joined  # type: ignore[no-any-return]


def by_stage(lifecycle: Lifecycle, holds: Callable[[Any], bool]) -> sa.ColumnElement[bool]:
    """Return that the contact's stage is one that holds; a stage that the lifecycle has not is like any unknown one."""
    kept = [stage.name for stage in lifecycle.stages if holds(stage)]
    if not holds(lifecycle.stage("")):
        return CONTACT.c.stage.in_(kept) if kept else sa.false()
    others = [stage.name for stage in lifecycle.stages if stage.name not in kept]
    return CONTACT.c.stage.not_in(others) if others else sa.true()


def _column(column: sa.Column[Any]) -> Callable[[Terms], Side]:
    return lambda _: Text(column)


def _points(column: sa.Column[Any]) -> Callable[[Terms], Side]:
    return lambda _: Number(sa.cast(column, sa.Double) / sa.literal(100.0, sa.Double))


def _name(_: Terms) -> Side:
    first, last = (sa.func.coalesce(column, "") for column in (CONTACT.c.first_name, CONTACT.c.last_name))
    gap = sa.case((sa.and_(first != "", last != ""), " "), else_="")
    return Text(first + gap + last)


def _account(name: str) -> Callable[[Terms], Side]:
    if FIELDS[f"account.{name}"].type == "number":
        return lambda _: Number(ACCOUNT.c[name])
    if FIELDS[f"account.{name}"].many:
        return lambda terms: Texts(ACCOUNT.c[name], terms.dialect)
    return lambda _: Text(ACCOUNT.c[name])


def _open_tasks(_: Terms) -> Side:
    return Count(sa.select(TASK.c.id).where(_mine(TASK), TASK.c.state == TaskState.OPEN.value))


def _active_sequences(_: Terms) -> Side:
    live = [state.value for state in LIVE_ENROLLMENTS]
    return Count(sa.select(RUN.c.id).where(_mine(RUN), RUN.c.state.in_(live)))


def _sent_messages(terms: Terms) -> Side:
    sent = [state.value for state in SENT_MESSAGES]
    recent = MESSAGE.c.due_at >= terms.since
    return Count(sa.select(MESSAGE.c.id).where(_mine(MESSAGE), MESSAGE.c.state.in_(sent), recent))


def _open_handoff(_: Terms) -> Side:
    rows = sa.select(HANDOFF.c.id).where(_mine(HANDOFF), HANDOFF.c.state == HandoffState.OPEN.value)
    return Truth(rows.correlate(CONTACT).exists())


def _slots_filled(terms: Terms) -> Side:
    each = json_items(STANDING.c.slots, terms.dialect)
    against = [
        sa.and_(each.c.key == slot.name, each.c.value.in_(sorted(slot.against)))
        for slot in terms.lifecycle.slots
        if slot.against
    ]
    rows = sa.select(each.c.key).select_from(each).where(sa.not_(sa.or_(sa.false(), *against)))
    return Count(rows.correlate_except(each))


def _suppressed(_: Terms) -> Side:
    address = ADDRESS.alias("suppressed_address")
    rows = (
        sa.select(SUPPRESSION.c.id)
        .join(address, address.c.address_hash == SUPPRESSION.c.address_hash)
        .where(address.c.contact_id == CONTACT.c.id)
        .correlate(CONTACT)
    )
    return Truth(rows.exists())


def _mine(table: sa.Table) -> sa.ColumnElement[bool]:
    return table.c.contact_id == CONTACT.c.id


_SIDES: Mapping[str, Callable[[Terms], Side]] = {
    **{name: _column(CONTACT.c[name]) for name in FIELDS if name in CONTACT.c and name != "owner"},
    **{name: _account(name.removeprefix("account.")) for name in FIELDS if name.startswith("account.")},
    "email": _column(ADDRESS.c.email),
    "email_domain": lambda _: Text(Domain(ADDRESS.c.email)),
    "name": _name,
    "fit": _column(STANDING.c.grade),
    "level": _column(STANDING.c.level),
    "fit_points": _points(STANDING.c.fit_points),
    "engagement": _points(STANDING.c.engagement),
    "owner": _column(REP.c.email),
    "open_tasks": _open_tasks,
    "active_sequences": _active_sequences,
    "sent_messages": _sent_messages,
    "slots_filled": _slots_filled,
    "open_handoff": _open_handoff,
    "suppressed": _suppressed,
}
