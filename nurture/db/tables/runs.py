"""What runs: enrollments, messages and their approvals, tasks, handoffs, suppressions and decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, HandoffState, MessageState, Scope, TaskState
from nurture.db.tables.base import Base, either, key, one_of, where_known
from nurture.db.types import Key

_OVER = tuple(state for state in EnrollmentState if state not in LIVE_ENROLLMENTS)
_STATE = (
    f"(ended_at IS NULL AND ({either('state', LIVE_ENROLLMENTS)})) "
    f"OR (ended_at IS NOT NULL AND ({either('state', _OVER)}))"
)


class Enrollment(Base):
    """One run of one sequence for one contact. It is over if, and only if, it has `ended_at`.

    So no index has to look at the state, which changes with every step.
    """

    __tablename__ = "enrollments"
    id: Mapped[int] = key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    sequence: Mapped[str]
    version_id: Mapped[int] = mapped_column(ForeignKey("sequence_versions.id"))
    run: Mapped[int]
    state: Mapped[str]
    step_id: Mapped[str | None]
    occurrence: Mapped[int] = mapped_column(default=0)
    entered_at: Mapped[datetime]
    base_at: Mapped[datetime]
    waiting_for: Mapped[str | None]
    paused_until: Mapped[datetime | None]
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("senders.id"))
    failures: Mapped[int] = mapped_column(default=0)
    enroll_reason: Mapped[str]
    reason: Mapped[str | None]
    disposition: Mapped[str | None]
    actor: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("contact_id", "sequence", "run"),
        CheckConstraint(_STATE, name="state"),
        Index(
            "uq_enrollments_live",
            "contact_id",
            "sequence",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )


class Approval(Base):
    """A rep's word for exactly this content. Rows are never changed."""

    __tablename__ = "approvals"
    id: Mapped[int] = key()
    message_id: Mapped[int] = mapped_column(
        ForeignKey("messages.id", use_alter=True, name="fk_approvals_message_id"), index=True
    )
    content_hash: Mapped[str]
    rep_id: Mapped[int] = mapped_column(ForeignKey("reps.id"))
    actor: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    approved_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("id", "content_hash"),)


class Message(Base):
    """One mail to one contact, from plan to end. `origin_key` makes it unique; see `docs/life-of-a-message.md`.

    Personal mail keeps its full content. Marketing mail keeps the template's hash, the variables and the hash of what
    was sent. `lease` columns live in `timers`; `owner` names the process that claimed it. `rate_slot` is the
    moment that the meter `rate_meter` promised it.
    """

    __tablename__ = "messages"
    id: Mapped[int] = key()
    origin_key: Mapped[str] = mapped_column(unique=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    enrollment_id: Mapped[int | None] = mapped_column(ForeignKey("enrollments.id"), index=True)
    version_id: Mapped[int | None] = mapped_column(Key)
    step_id: Mapped[str | None]
    voice: Mapped[str]
    sender_id: Mapped[int] = mapped_column(Key)
    template: Mapped[str]
    template_hash: Mapped[str]
    program_hash: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    due_at: Mapped[datetime]
    not_after: Mapped[datetime | None]
    to_address: Mapped[str]
    to_hash: Mapped[str]
    message_id_header: Mapped[str] = mapped_column(unique=True)
    in_reply_to: Mapped[str | None]
    thread_references: Mapped[str | None]
    subject: Mapped[str | None]
    text_body: Mapped[str | None]
    html_body: Mapped[str | None]
    variables: Mapped[dict[str, Any] | None]
    content_hash: Mapped[str | None]
    edited: Mapped[bool] = mapped_column(default=False)
    approval_id: Mapped[int | None] = mapped_column(Key)
    void_reason: Mapped[str | None]
    owner: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    date_header: Mapped[datetime | None]
    dispatching_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    provider: Mapped[str | None]
    provider_id: Mapped[str | None]
    wire_id: Mapped[str | None]
    wire_hash: Mapped[str | None]
    rate_meter: Mapped[str | None]
    rate_slot: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        ForeignKeyConstraint(["sender_id", "voice"], ["senders.id", "senders.voice"]),
        ForeignKeyConstraint(["version_id", "voice"], ["sequence_versions.id", "sequence_versions.voice"]),
        ForeignKeyConstraint(["approval_id", "content_hash"], ["approvals.id", "approvals.content_hash"]),
        CheckConstraint(one_of("state", MessageState), name="state"),
        CheckConstraint(
            "voice <> 'personal' OR state IN ('planned', 'awaiting_approval', 'cancelled') OR approval_id IS NOT NULL",
            name="personal_needs_approval",
        ),
        CheckConstraint("approval_id IS NULL OR content_hash IS NOT NULL", name="approval_binds_content"),
        Index("ix_messages_contact_id_due_at", "contact_id", "due_at"),
        Index("ix_messages_state", "state", "due_at"),
        where_known("ix_messages_provider_id", "provider_id"),
        where_known("ix_messages_wire_id", "wire_id"),
    )


class Task(Base):
    """Something that a rep has to do. `origin_key` makes it unique."""

    __tablename__ = "tasks"
    id: Mapped[int] = key()
    origin_key: Mapped[str] = mapped_column(unique=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"), index=True)
    enrollment_id: Mapped[int | None] = mapped_column(ForeignKey("enrollments.id"))
    step_id: Mapped[str | None]
    kind: Mapped[str]
    title: Mapped[str]
    note: Mapped[str | None]
    due_at: Mapped[datetime | None]
    state: Mapped[str]
    outcome: Mapped[str | None]
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    __table_args__ = (CheckConstraint(one_of("state", TaskState), name="state"),)


class Handoff(Base):
    """A contact handed from marketing to sales, with the packet that says why.

    `rep_id` has it since `assigned_at` and is to accept it by `due_at`; `took_owner` says that routing made the rep the
    contact's owner. Once closed, `outcome` is the reason that sales gave, `returns_at` when a returned one comes again.
    """

    __tablename__ = "handoffs"
    id: Mapped[int] = key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"), index=True)
    state: Mapped[str]
    reason: Mapped[str]
    packet: Mapped[dict[str, Any]] = mapped_column(default=dict)
    from_stage: Mapped[str | None]
    to_stage: Mapped[str | None]
    opened_at: Mapped[datetime]
    assigned_at: Mapped[datetime | None]
    took_owner: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    outcome: Mapped[str | None]
    note: Mapped[str | None]
    returns_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint(one_of("state", HandoffState), name="state"),
        Index("ix_handoffs_opened_at", "opened_at"),
        Index(
            "ix_handoffs_open_rep_id",
            "rep_id",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "uq_handoffs_open",
            "contact_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


class Assignment(Base):
    """A rep who had a handoff, from `at` to `ended_at`: why they got it, by when it was due, how that ended.

    `worked_minutes` is how long they had it, in their working time.
    """

    __tablename__ = "assignments"
    id: Mapped[int] = key()
    handoff_id: Mapped[int] = mapped_column(ForeignKey("handoffs.id"), index=True)
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"))
    at: Mapped[datetime]
    reason: Mapped[str]
    rule: Mapped[str | None]
    skipped: Mapped[list[str]] = mapped_column(default=list)
    due_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str | None]
    worked_minutes: Mapped[int | None]
    __table_args__ = (Index("ix_assignments_rep_id_at", "rep_id", "at"),)


class Ground(Base):
    """A fit rule or an engagement category that had given points to a contact when they were handed over."""

    __tablename__ = "grounds"
    handoff_id: Mapped[int] = mapped_column(ForeignKey("handoffs.id"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    points: Mapped[int]
    __table_args__ = (CheckConstraint(one_of("kind", ("fit", "engagement")), name="kind"),)


class Rotation(Base):
    """Whose turn it was last in each pool of reps. One row, locked while handoffs are routed."""

    __tablename__ = "rotation"
    id: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[dict[str, Any]] = mapped_column(default=dict)
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)


class Suppression(Base):
    """An address that must not be written to, by keyed hash. The plain address stands beside it until erasure."""

    __tablename__ = "suppressions"
    id: Mapped[int] = key()
    address_hash: Mapped[str]
    address: Mapped[str | None]
    scope: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("address_hash", "scope"),
        CheckConstraint(one_of("scope", Scope), name="scope"),
    )


class Readings(Base):
    """What decisions have in common, stored once: by which rule and program, and what the gates read for many alike.

    Nothing in it tells of one person, and it never changes. `hash` is that of its content, which may be there several
    times: whoever finds none that is young enough adds one, and nobody waits for another.
    """

    __tablename__ = "readings"
    id: Mapped[int] = key()
    hash: Mapped[str] = mapped_column(index=True)
    rule: Mapped[str | None]
    program_hash: Mapped[str]
    code_version: Mapped[str]
    checks: Mapped[list[str]]
    made_at: Mapped[datetime]


class Decision(Base):
    """Why a message went, waited or did not go: one row per answer, counted as often as it is given.

    `own` are the values that the checks of its readings leave open, in their order. A row from before there were
    readings has its own `checks`, `rule`, `program_hash` and `code_version`; `nurture.db.decisions` reads both. It says
    whom and what it is about by their keys alone: nobody deletes those, and to look them up takes PostgreSQL as long as
    the row.
    """

    __tablename__ = "decisions"
    id: Mapped[int] = key()
    contact_id: Mapped[int] = mapped_column(Key)
    enrollment_id: Mapped[int | None] = mapped_column(Key)
    message_id: Mapped[int | None] = mapped_column(Key)
    step_id: Mapped[str | None]
    outcome: Mapped[str]
    reason: Mapped[str]
    until: Mapped[datetime | None]
    readings_id: Mapped[int | None] = mapped_column(Key)
    own: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    checks: Mapped[list[str] | None]
    rule: Mapped[str | None]
    program_hash: Mapped[str | None]
    code_version: Mapped[str | None]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    count: Mapped[int] = mapped_column(default=1)
    __table_args__ = (Index("ix_decisions_contact_id_message_id", "contact_id", "message_id"),)
