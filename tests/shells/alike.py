"""Two databases held against each other: whatever their rows say must be the same, only keys of messages may differ."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from nurture.db import tables
from tests.world import World

_OF_NOBODY = ("leases", "alembic_version", "instance")
"""Tables that say nothing of the world: who works on it, and which database it is."""

_OWN_KEYS = ("decisions", "events", "messages", "readings")
"""Tables whose rows are numbered in the order in which they were written."""


def contents(world: World) -> dict[str, list[Any]]:
    """Return every row of every table, with messages named by their origin instead of their key."""
    with world.database.read() as connection:
        found = {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in tables.Base.metadata.sorted_tables
            if table.name not in _OF_NOBODY
        }
    names = {row["id"]: row["origin_key"] for row in found["messages"]}
    read = {row["id"]: row["hash"] for row in found["readings"]}
    return {table: sorted((_told(table, row, names, read) for row in rows), key=repr) for table, rows in found.items()}


def _told(table: str, row: dict[str, Any], names: dict[int, str], read: dict[int, str]) -> dict[str, Any]:
    if table in _OWN_KEYS:
        row = {name: value for name, value in row.items() if name != "id"}
    if row.get("message_id") is not None:
        row["message_id"] = names[row["message_id"]]
    if table == "decisions":
        row["readings_id"] = read.get(row["readings_id"])
    if table == "timers" and row["kind"] in ("message", "draft"):
        row["subject_id"] = names[row["subject_id"]]
    if table == "events" and row["kind"] in ("sent", "refused"):
        kind, _, key = row["external_id"].partition(":")
        row["external_id"] = f"{kind}:{names[int(key)]}"
    if table == "messages" and row["provider_id"]:
        row["provider_id"] = "given"
    return row
