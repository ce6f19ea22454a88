"""Named queries for senders: who mail goes out from."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, select, update

from nurture.core.model import RepId, Sender, SenderId
from nurture.core.rates import Rate, parse_rate, per_day
from nurture.core.words import Voice
from nurture.db import tables
from nurture.db.bulk import in_given

TABLE = tables.Sender.__table__
_C = TABLE.c


def by_ids(connection: Connection, ids: Collection[int]) -> dict[SenderId, Sender]:
    """Return senders by key."""
    return {SenderId(row.id): from_row(row) for row in connection.execute(_BY_IDS, {"ids": list(ids)})}


_BY_IDS = select(TABLE).where(in_given(_C.id))


def every(connection: Connection) -> list[Sender]:
    """Return all senders, by name."""
    return [from_row(row) for row in connection.execute(select(TABLE).order_by(_C.name))]


def pause(connection: Connection, sender_id: SenderId, reason: str, now: datetime) -> None:
    """Stop a sender: nothing goes out from it until it is resumed. The first reason stays."""
    statement = update(TABLE).where(_C.id == sender_id, _C.paused_reason.is_(None))
    connection.execute(statement.values(paused_reason=reason, paused_at=now))


def resume(connection: Connection, name: str) -> bool:
    """Let a sender go on; tell whether it was paused."""
    statement = update(TABLE).where(_C.name == name, _C.paused_reason.is_not(None))
    return connection.execute(statement.values(paused_reason=None, paused_at=None)).rowcount > 0


def from_row(row: Row[Any]) -> Sender:
    """Return the sender that a row holds."""
    return Sender(
        id=SenderId(row.id),
        name=row.name,
        voice=Voice(row.voice),
        address=row.address,
        display_name=row.display_name,
        provider=row.provider,
        reply_to=row.reply_to,
        rep_id=RepId(row.rep_id) if row.rep_id is not None else None,
        paused_reason=row.paused_reason,
        rates=_rates(row.rate, row.per_day),
    )


@lru_cache(maxsize=256)
def _rates(rate: str | None, most: int | None) -> tuple[Rate, ...]:
    return (*((parse_rate(rate),) if rate else ()), *((per_day(most),) if most else ()))
