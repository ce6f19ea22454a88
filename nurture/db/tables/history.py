"""What happened: stages and moves, events, and the standing that they add up to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nurture.core.words import Role, Voice
from nurture.db.tables.base import Base, key, one_of, where_known
from nurture.db.types import Key


class Stage(Base):
    """The stages of the live lifecycle, for reading beside contacts and for the guard that sends."""

    __tablename__ = "stages"
    name: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]
    role: Mapped[str]
    voice: Mapped[str]
    owner: Mapped[str]
    position: Mapped[int]
    __table_args__ = (
        CheckConstraint(one_of("voice", Voice), name="voice"),
        CheckConstraint(one_of("role", Role), name="role"),
    )


class StageChange(Base):
    """One move of one contact."""

    __tablename__ = "stage_changes"
    id: Mapped[int] = key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    from_stage: Mapped[str | None]
    to_stage: Mapped[str]
    at: Mapped[datetime]
    reason: Mapped[str]
    rule: Mapped[str | None]
    actor: Mapped[str]
    program_hash: Mapped[str | None]
    __table_args__ = (Index("ix_stage_changes_contact_id_at", "contact_id", "at"),)


UNASKED_KINDS = (
    "created",
    "imported",
    "sent",
    "delivered",
    "refused",
    "deferred",
    "updated",
    "stage_left",
    "sequence_entered",
    "time_passed",
)
"""Kinds of events that the engine writes for everybody, and that conditions rarely ask for: no index is paid for."""


def asked(dialect: str) -> str:
    """Return which events conditions ask for: the condition of their index. A query repeats it to be seen covered.

    SQLite makes a table of the words of an IN for every event that is written: one by one they cost nothing.
    """
    if dialect == "sqlite":
        return " AND ".join(f"kind <> {kind!r}" for kind in UNASKED_KINDS)
    return f"kind NOT IN ({', '.join(repr(kind) for kind in UNASKED_KINDS)})"


class Event(Base):
    """An append-only fact, unique per (source, external_id)."""

    __tablename__ = "events"
    id: Mapped[int] = key()
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    message_id: Mapped[int | None] = mapped_column(Key)
    kind: Mapped[str]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    source: Mapped[str]
    external_id: Mapped[str]
    trust: Mapped[float] = mapped_column(default=1.0)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        CheckConstraint("contact_id IS NOT NULL OR account_id IS NOT NULL", name="about_someone"),
        CheckConstraint("trust BETWEEN 0 AND 1", name="trust"),
        Index("ix_events_contact_id_at", "contact_id", "at"),
        where_known("ix_events_account_id_at", "account_id", "at"),
        Index(
            "ix_events_asked",
            "kind",
            "at",
            "contact_id",
            "trust",
            sqlite_where=text(asked("sqlite")),
            postgresql_where=text(asked("postgresql")),
        ),
    )


class Standing(Base):
    """The last computed score of a contact; points are integer hundredths.

    `slots` are the qualification slots known from fresh evidence (name → value), `slots_filled` how many of them count.
    """

    __tablename__ = "standings"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), primary_key=True)
    fit_points: Mapped[int]
    grade: Mapped[str]
    engagement: Mapped[int]
    level: Mapped[str | None]
    as_of: Mapped[datetime]
    model_hash: Mapped[str]
    slots: Mapped[dict[str, Any] | None]
    slots_filled: Mapped[int | None]
