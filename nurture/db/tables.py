"""The SQLAlchemy models. What must never happen is forbidden here, by constraints; hot paths use `Model.__table__`.

A CHECK cannot look into another table, so the voice rules are composite foreign keys: a message has the voice of its
sender and of its sequence version, and points at an approval of exactly its own content hash.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from nurture.core.words import (
    LIVE_ENROLLMENTS,
    EnrollmentState,
    HandoffState,
    MessageState,
    Role,
    Scope,
    TaskState,
    TimerKind,
    Voice,
)
from nurture.db.types import Json, Key, Moment

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def _one_of(column: str, words: Any) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class Base(DeclarativeBase):
    """The registry of all tables; enumerations are stored as strings, moments as UTC."""

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Moment, dict[str, Any]: Json, list[str]: Json}


def _key() -> Mapped[int]:
    return mapped_column(Key, primary_key=True)


# --- people -----------------------------------------------------------------------------------------------------------


class Rep(Base):
    """A person in sales."""

    __tablename__ = "reps"
    id: Mapped[int] = _key()
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str | None]
    signature: Mapped[str | None]
    time_zone: Mapped[str | None]
    calendar: Mapped[dict[str, Any] | None]
    calendar_link: Mapped[str | None]
    daily_capacity: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Account(Base):
    """A company."""

    __tablename__ = "accounts"
    id: Mapped[int] = _key()
    name: Mapped[str | None]
    name_key: Mapped[str | None] = mapped_column(index=True)
    domain: Mapped[str | None] = mapped_column(unique=True)
    industry: Mapped[str | None]
    employees: Mapped[int | None] = mapped_column(Key)
    revenue: Mapped[int | None] = mapped_column(Key)
    country: Mapped[str | None]
    time_zone: Mapped[str | None]
    technologies: Mapped[list[str] | None]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"))
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Contact(Base):
    """A person. The stage is a name of the live lifecycle; `merged_into` and `erased_at` mark rows that are history."""

    __tablename__ = "contacts"
    id: Mapped[int] = _key()
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"), index=True)
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    title: Mapped[str | None]
    buying_role: Mapped[str | None]
    time_zone: Mapped[str | None]
    locale: Mapped[str | None]
    country: Mapped[str | None]
    source: Mapped[str | None]
    stage: Mapped[str] = mapped_column(index=True)
    stage_since: Mapped[datetime]
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)
    consent: Mapped[dict[str, Any] | None]
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    erased_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Address(Base):
    """An e-mail address of a contact: as written, normalized (unique), and its keyed hash."""

    __tablename__ = "addresses"
    id: Mapped[int] = _key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    address_hash: Mapped[str] = mapped_column(index=True)
    is_primary: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    __table_args__ = (
        Index(
            "uq_addresses_primary",
            "contact_id",
            unique=True,
            sqlite_where=text("is_primary"),
            postgresql_where=text("is_primary"),
        ),
    )


class ExternalId(Base):
    """How another system names a contact."""

    __tablename__ = "external_ids"
    id: Mapped[int] = _key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    system: Mapped[str]
    external_id: Mapped[str]
    __table_args__ = (UniqueConstraint("system", "external_id"),)


class Sender(Base):
    """An address that mail goes out from. A personal sender is a rep's mailbox, a marketing sender is nobody's."""

    __tablename__ = "senders"
    id: Mapped[int] = _key()
    name: Mapped[str] = mapped_column(unique=True)
    voice: Mapped[str]
    address: Mapped[str]
    display_name: Mapped[str]
    reply_to: Mapped[str | None]
    provider: Mapped[str]
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"))
    paused_reason: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("id", "voice"),
        CheckConstraint(_one_of("voice", (Voice.MARKETING, Voice.PERSONAL)), name="voice"),
        CheckConstraint("(voice = 'personal') = (rep_id IS NOT NULL)", name="personal_is_a_reps"),
    )


# --- what happened ----------------------------------------------------------------------------------------------------


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
        CheckConstraint(_one_of("voice", Voice), name="voice"),
        CheckConstraint(_one_of("role", Role), name="role"),
    )


class StageChange(Base):
    """One move of one contact."""

    __tablename__ = "stage_changes"
    id: Mapped[int] = _key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    from_stage: Mapped[str | None]
    to_stage: Mapped[str]
    at: Mapped[datetime]
    reason: Mapped[str]
    rule: Mapped[str | None]
    actor: Mapped[str]
    program_hash: Mapped[str | None]
    __table_args__ = (Index("ix_stage_changes_contact_id_at", "contact_id", "at"),)


class Event(Base):
    """An append-only fact, unique per (source, external_id)."""

    __tablename__ = "events"
    id: Mapped[int] = _key()
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
        Index("ix_events_account_id_at", "account_id", "at"),
    )


class Standing(Base):
    """The last computed score of a contact; points are integer hundredths."""

    __tablename__ = "standings"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), primary_key=True)
    fit_points: Mapped[int]
    grade: Mapped[str]
    engagement: Mapped[int]
    level: Mapped[str | None]
    as_of: Mapped[datetime]
    model_hash: Mapped[str]


# --- what runs --------------------------------------------------------------------------------------------------------


class Blob(Base):
    """A file of an applied program (source) or its compiled form (artifact), by content hash."""

    __tablename__ = "blobs"
    hash: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    content: Mapped[str]


class ProgramVersion(Base):
    """A program that was applied: `manifest` maps every file to its hash, and holds what was compiled."""

    __tablename__ = "programs"
    hash: Mapped[str] = mapped_column(primary_key=True)
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Live(Base):
    """The one pointer to the program that runs."""

    __tablename__ = "live"
    id: Mapped[int] = mapped_column(primary_key=True)
    program_hash: Mapped[str] = mapped_column(ForeignKey("programs.hash"))
    applied_at: Mapped[datetime]
    applied_by: Mapped[str]
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)


class SequenceVersion(Base):
    """One content of one sequence. Runs stay on the version in which they began."""

    __tablename__ = "sequence_versions"
    id: Mapped[int] = _key()
    name: Mapped[str]
    hash: Mapped[str]
    voice: Mapped[str]
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("name", "hash"),
        UniqueConstraint("id", "voice"),
        CheckConstraint(_one_of("voice", (Voice.MARKETING, Voice.PERSONAL)), name="voice"),
    )


class Template(Base):
    """One compiled template: `source` as written, `artifact` as rendered from."""

    __tablename__ = "templates"
    hash: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    source: Mapped[dict[str, Any]]
    artifact: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class PausedSequence(Base):
    """A sequence that a person stopped: nothing of it is sent until it is resumed."""

    __tablename__ = "paused_sequences"
    name: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    paused_at: Mapped[datetime]


class Enrollment(Base):
    """One run of one sequence for one contact."""

    __tablename__ = "enrollments"
    id: Mapped[int] = _key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
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
        CheckConstraint(_one_of("state", EnrollmentState), name="state"),
        Index(
            "uq_enrollments_live",
            "contact_id",
            "sequence",
            unique=True,
            sqlite_where=text(_one_of("state", LIVE_ENROLLMENTS)),
            postgresql_where=text(_one_of("state", LIVE_ENROLLMENTS)),
        ),
    )


class Approval(Base):
    """A rep's word for exactly this content. Rows are never changed."""

    __tablename__ = "approvals"
    id: Mapped[int] = _key()
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
    was sent. `lease` columns live in `timers`; `owner` names the process that claimed it.
    """

    __tablename__ = "messages"
    id: Mapped[int] = _key()
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
    provider_id: Mapped[str | None] = mapped_column(index=True)
    wire_id: Mapped[str | None] = mapped_column(index=True)
    wire_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        ForeignKeyConstraint(["sender_id", "voice"], ["senders.id", "senders.voice"]),
        ForeignKeyConstraint(["version_id", "voice"], ["sequence_versions.id", "sequence_versions.voice"]),
        ForeignKeyConstraint(["approval_id", "content_hash"], ["approvals.id", "approvals.content_hash"]),
        CheckConstraint(_one_of("state", MessageState), name="state"),
        CheckConstraint(
            "voice <> 'personal' OR state IN ('planned', 'awaiting_approval', 'cancelled') OR approval_id IS NOT NULL",
            name="personal_needs_approval",
        ),
        CheckConstraint("approval_id IS NULL OR content_hash IS NOT NULL", name="approval_binds_content"),
        Index("ix_messages_contact_id_due_at", "contact_id", "due_at"),
        Index("ix_messages_state", "state", "due_at"),
    )


class Task(Base):
    """Something that a rep has to do. `origin_key` makes it unique."""

    __tablename__ = "tasks"
    id: Mapped[int] = _key()
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
    __table_args__ = (CheckConstraint(_one_of("state", TaskState), name="state"),)


class Handoff(Base):
    """A contact handed from marketing to sales, with the packet that says why."""

    __tablename__ = "handoffs"
    id: Mapped[int] = _key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"), index=True)
    state: Mapped[str]
    reason: Mapped[str]
    packet: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        CheckConstraint(_one_of("state", HandoffState), name="state"),
        Index(
            "uq_handoffs_open",
            "contact_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


class Suppression(Base):
    """An address that must not be written to, by keyed hash. The plain address stands beside it until erasure."""

    __tablename__ = "suppressions"
    id: Mapped[int] = _key()
    address_hash: Mapped[str]
    address: Mapped[str | None]
    scope: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("address_hash", "scope"),
        CheckConstraint(_one_of("scope", Scope), name="scope"),
    )


class Decision(Base):
    """Why a message went, waited or did not go: one row per answer, counted while it stays the same."""

    __tablename__ = "decisions"
    id: Mapped[int] = _key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"))
    enrollment_id: Mapped[int | None] = mapped_column(Key)
    message_id: Mapped[int | None] = mapped_column(Key, index=True)
    step_id: Mapped[str | None]
    outcome: Mapped[str]
    reason: Mapped[str]
    until: Mapped[datetime | None]
    checks: Mapped[list[str]]
    rule: Mapped[str | None]
    program_hash: Mapped[str]
    code_version: Mapped[str]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    count: Mapped[int] = mapped_column(default=1)
    __table_args__ = (Index("ix_decisions_contact_id_last_at", "contact_id", "last_at"),)


# --- the machinery ----------------------------------------------------------------------------------------------------


class Timer(Base):
    """Everything that waits: one row per subject, clustered by due time. Leases are in database time."""

    __tablename__ = "timers"
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    __table_args__ = (
        UniqueConstraint("kind", "subject_id"),
        CheckConstraint(_one_of("kind", TimerKind), name="kind"),
        {"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": 80}},
    )


class Inbox(Base):
    """A raw delivery to us, kept before it is understood."""

    __tablename__ = "inbox"
    id: Mapped[int] = _key()
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


class ImportRun(Base):
    """An import of one file under one mapping: how far it came, so that it can be restarted."""

    __tablename__ = "import_runs"
    id: Mapped[int] = _key()
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
