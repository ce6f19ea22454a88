"""Named queries for stopped sequences. Senders are stopped in `senders`, everything in `instance`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete

from nurture.db import tables
from nurture.db.bulk import insert_new

TABLE = tables.PausedSequence.__table__


def pause(connection: Connection, sequence: str, reason: str, now: datetime) -> bool:
    """Stop a sequence; tell whether it was running. The first reason stays."""
    row = {"name": sequence, "reason": reason, "paused_at": now}
    return bool(insert_new(connection, TABLE, [row], ["name"], ["name"]))


def resume(connection: Connection, sequence: str) -> bool:
    """Let a sequence go on; tell whether it was stopped."""
    return connection.execute(delete(TABLE).where(TABLE.c.name == sequence)).rowcount > 0
