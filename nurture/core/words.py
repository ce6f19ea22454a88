"""The closed vocabularies: voices, roles, states, scopes. Stored as their string values."""

from __future__ import annotations

from enum import StrEnum


class Voice(StrEnum):
    """How a stage, sequence, sender or message speaks to a contact."""

    MARKETING = "marketing"
    PERSONAL = "personal"
    SILENT = "silent"


class Role(StrEnum):
    """What a stage is for; sequences address roles, so that code never names a stage."""

    NURTURE = "nurture"
    ENGAGE = "engage"
    CUSTOMER = "customer"
    OUT = "out"


class Team(StrEnum):
    """Which department owns the contacts of a stage."""

    MARKETING = "marketing"
    SALES = "sales"


class Scope(StrEnum):
    """What a suppression forbids. `all` covers every other scope."""

    ALL = "all"
    MARKETING = "marketing"
    PERSONAL = "personal"


class EnrollmentState(StrEnum):
    """The life of one run of a sequence for one contact."""

    PENDING = "pending"
    ACTIVE = "active"
    WAITING = "waiting"
    HELD = "held"
    PAUSED = "paused"
    COMPLETED = "completed"
    EXITED = "exited"
    FAILED = "failed"


class MessageState(StrEnum):
    """The life of a message; `docs/life-of-a-message.md` draws it."""

    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    READY = "ready"
    CLAIMED = "claimed"
    DISPATCHING = "dispatching"
    RETRY_WAIT = "retry_wait"
    AMBIGUOUS = "ambiguous"
    ACCEPTED = "accepted"
    SETTLED_SENT = "settled_sent"
    SETTLED_NOT_SENT = "settled_not_sent"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class TimerKind(StrEnum):
    """What a timer wakes; there is one timer per (kind, subject)."""

    ENROLLMENT = "enrollment"
    MESSAGE = "message"
    REVIEW = "review"
    DRAFT = "draft"
    SLA = "sla"


class TaskState(StrEnum):
    """Whether a rep still has to do it."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class HandoffState(StrEnum):
    """Where a handoff from marketing to sales stands."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETURNED = "returned"


class FieldType(StrEnum):
    """The type of a field of a contact or an account."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICE = "choice"


LIVE_ENROLLMENTS = (
    EnrollmentState.PENDING,
    EnrollmentState.ACTIVE,
    EnrollmentState.WAITING,
    EnrollmentState.HELD,
    EnrollmentState.PAUSED,
)
"""States in which a run is not over."""

CANCELLABLE_MESSAGES = (
    MessageState.PLANNED,
    MessageState.AWAITING_APPROVAL,
    MessageState.APPROVED,
    MessageState.READY,
    MessageState.CLAIMED,
    MessageState.RETRY_WAIT,
    MessageState.SETTLED_NOT_SENT,
)
"""States before `dispatching`, from which a message can still be cancelled."""

SENT_MESSAGES = (MessageState.ACCEPTED, MessageState.SETTLED_SENT)
"""States that mean the contact has (or is taken to have) the mail."""

FINAL_MESSAGES = (
    MessageState.ACCEPTED,
    MessageState.SETTLED_SENT,
    MessageState.REFUSED,
    MessageState.CANCELLED,
)
"""States that need no timer."""
