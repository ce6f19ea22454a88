"""The machinery: timers, inbox, leases, counts, imports, and what this database is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nurture.core.words import TimerKind
from nurture.db.tables.base import Base, key, one_of
from nurture.db.types import Key


class Timer(Base):
    """Everything that waits: one row per subject, clustered by due time. Leases are in database time.

    `lane` is the sender of a message, so that a fleet has a queue for each. Only PostgreSQL fills it, by a trigger that
    nobody who sets a timer can forget; see `docs/decisions.md`.
    """

    __tablename__ = "timers"
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    lane: Mapped[int | None] = mapped_column(Key)
    __table_args__ = (
        UniqueConstraint("kind", "subject_id"),
        CheckConstraint(one_of("kind", TimerKind), name="kind"),
        Index(
            "ix_timers_lane",
            "lane",
            "due_at",
            "subject_id",
            postgresql_where=text("kind = 'message'"),
            sqlite_where=text("lane IS NOT NULL"),  # an empty index costs nothing
        ),
        {"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": 80}},
    )


class Inbox(Base):
    """A raw delivery to us, kept before it is understood."""

    __tablename__ = "inbox"
    id: Mapped[int] = key()
    source: Mapped[str]
    delivery_key: Mapped[str]
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    body: Mapped[bytes]
    state: Mapped[str] = mapped_column(default="new")
    error: Mapped[str | None]
    received_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("source", "delivery_key"),)


class Lease(Base):
    """A job that only one process may do at a time; `term` grows with every new holder."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    term: Mapped[int] = mapped_column(Key, default=0)
    expires_at: Mapped[datetime | None]


class SendCount(Base):
    """How many messages a sender put out on a day (UTC), reserved in the update that dispatches: the launch cap."""

    __tablename__ = "send_counts"
    day: Mapped[date] = mapped_column(primary_key=True)
    sender_id: Mapped[int] = mapped_column(ForeignKey("senders.id"), primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(default=0)


class Meter(Base):
    """What a rate counted in the window that runs, and what it has promised; windows are numbered since 1970.

    Locked in the transaction that claims the messages. Between `window` and `last` every window is full of promises.
    """

    __tablename__ = "meters"
    name: Mapped[str] = mapped_column(primary_key=True)
    window: Mapped[int] = mapped_column(Key, default=0)
    sent: Mapped[int] = mapped_column(default=0)
    promised: Mapped[int] = mapped_column(default=0)
    last: Mapped[int] = mapped_column(Key, default=0)
    last_promised: Mapped[int] = mapped_column(default=0)
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class ImportRun(Base):
    """An import of one file under one mapping: how far it came, so that it can be restarted."""

    __tablename__ = "import_runs"
    id: Mapped[int] = key()
    file_hash: Mapped[str]
    mapping_hash: Mapped[str]
    file_name: Mapped[str]
    source: Mapped[str]
    rows_done: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("file_hash", "mapping_hash", "source"),)


class Instance(Base):
    """What this database is: its suppression key's id and check value, and whether it is a rehearsal, for ever."""

    __tablename__ = "instance"
    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[str]
    key_id: Mapped[str]
    key_check: Mapped[str]
    rehearsal: Mapped[bool] = mapped_column(default=False)
    rehearsal_now: Mapped[datetime | None]
    launch_cap: Mapped[int | None]
    sending_paused: Mapped[str | None]
    unsubscribe_tested_url: Mapped[str | None]
    unsubscribe_tested_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)
