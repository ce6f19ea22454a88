"""Rows that other rows need, with as little in them as the tables allow. Fill in what the test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, MessageState, Voice
from nurture.db import tables

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning."""


def insert(connection: Connection, model: type[tables.Base], **values: Any) -> int:
    """Insert one row and return its id."""
    table = model.__table__
    return int(connection.execute(table.insert().values(values).returning(table.c.id)).scalar_one())


def rep(connection: Connection, **values: Any) -> int:
    email = values.setdefault("email", "rep@company.example")
    return insert(connection, tables.Rep, **{"name": email, "created_at": NOW, **values})


def account(connection: Connection, **values: Any) -> int:
    return insert(connection, tables.Account, **{"created_at": NOW, "updated_at": NOW, **values})


def contact(connection: Connection, email: str | None = None, **values: Any) -> int:
    """Insert a contact; with `email`, its primary address too."""
    row = {"stage": "lead", "stage_since": NOW, "created_at": NOW, "updated_at": NOW, **values}
    made = insert(connection, tables.Contact, **row)
    if email:
        address(connection, made, email)
    return made


def address(connection: Connection, contact_id: int, email: str, **values: Any) -> int:
    key = email.lower()
    row = {"contact_id": contact_id, "email": email, "email_key": key, "address_hash": f"k1:{key}", "created_at": NOW}
    return insert(connection, tables.Address, **{**row, **values})


def sender(connection: Connection, name: str = "newsletter", **values: Any) -> int:
    row = {"voice": Voice.MARKETING, "address": f"{name}@company.example", "display_name": name, "provider": "outbox"}
    return insert(connection, tables.Sender, **{"name": name, "created_at": NOW, **row, **values})


def version(connection: Connection, name: str = "welcome", **values: Any) -> int:
    row = {"hash": f"hash of {name}", "voice": Voice.MARKETING, "definition": {}, "created_at": NOW}
    return insert(connection, tables.SequenceVersion, **{"name": name, **row, **values})


def enrollment(connection: Connection, contact_id: int, version_id: int, **values: Any) -> int:
    row = {"sequence": "welcome", "run": 1, "state": EnrollmentState.WAITING, "enroll_reason": "test"}
    row["ended_at"] = None if values.get("state", EnrollmentState.WAITING) in LIVE_ENROLLMENTS else NOW
    moments = {"entered_at": NOW, "base_at": NOW, "updated_at": NOW}
    return insert(
        connection,
        tables.Enrollment,
        **{"contact_id": contact_id, "version_id": version_id, **row, **moments, **values},
    )


def message(connection: Connection, contact_id: int, sender_id: int, **values: Any) -> int:
    origin = values.setdefault("origin_key", "manual:1")
    row = {
        "voice": Voice.MARKETING,
        "template": "leads/welcome",
        "template_hash": "t",
        "program_hash": "p",
        "state": MessageState.PLANNED,
        "due_at": NOW,
        "to_address": "to@leads.example",
        "to_hash": "k1:to@leads.example",
        "message_id_header": f"<{origin}@company.example>",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return insert(connection, tables.Message, **{"contact_id": contact_id, "sender_id": sender_id, **row, **values})
