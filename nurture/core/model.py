"""The nouns as frozen dataclasses: what the core is given, and nothing it could change.

Moments are aware UTC datetimes. Points are integer hundredths. Ids are database keys.
What a contact is at one moment, with everything that deciding needs, is a `Situation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

from nurture.core.quick import quick_init
from nurture.core.rates import Rate
from nurture.core.words import EnrollmentState, MessageState, Scope, Voice

ContactId = NewType("ContactId", int)
AccountId = NewType("AccountId", int)
RepId = NewType("RepId", int)
SenderId = NewType("SenderId", int)
EnrollmentId = NewType("EnrollmentId", int)
MessageId = NewType("MessageId", int)
VersionId = NewType("VersionId", int)
EventId = NewType("EventId", int)

Value = str | int | float | bool | None | tuple[str, ...]
"""What a field of a contact or an account can hold."""

Data = Mapping[str, object]
"""A JSON object, read only."""


@quick_init
@dataclass(frozen=True, slots=True)
class Rep:
    """A person in sales: personal mail goes out from their mailbox, in their name."""

    id: RepId
    name: str
    email: str
    title: str | None = None
    signature: str | None = None
    time_zone: str | None = None
    calendar_link: str | None = None
    daily_capacity: int | None = None
    active: bool = True


@quick_init
@dataclass(frozen=True, slots=True)
class Account:
    """A company."""

    id: AccountId
    name: str | None = None
    domain: str | None = None
    industry: str | None = None
    employees: int | None = None
    revenue: int | None = None
    country: str | None = None
    time_zone: str | None = None
    technologies: tuple[str, ...] = ()
    owner_id: RepId | None = None
    fields: Data = field(default_factory=dict)


@quick_init
@dataclass(frozen=True, slots=True)
class Contact:
    """A person, in the stage that they are in now. `email` is the primary address, `address_hash` its keyed hash."""

    id: ContactId
    stage: str
    stage_since: datetime
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    buying_role: str | None = None
    time_zone: str | None = None
    locale: str | None = None
    country: str | None = None
    source: str | None = None
    account: Account | None = None
    owner: Rep | None = None
    fields: Data = field(default_factory=dict)
    created_at: datetime | None = None
    address_hash: str | None = None


@quick_init
@dataclass(frozen=True, slots=True)
class Event:
    """A fact about a contact (or an account), unique per (source, external_id).

    `trust` is the probability (0–1) that a human did it. `id` is None until recorded.
    """

    kind: str
    at: datetime
    source: str
    external_id: str
    contact_id: ContactId | None = None
    account_id: AccountId | None = None
    data: Data = field(default_factory=dict)
    trust: float = 1.0
    message_id: MessageId | None = None
    id: EventId | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The last computed score. Points are integer hundredths; `as_of` is the moment it was computed for.

    `slots` are the qualification slots that were filled with fresh evidence then: (slot, value), by name.
    """

    fit_points: int
    grade: str
    engagement: int
    as_of: datetime
    level: str | None = None
    model_hash: str = ""
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StageChange:
    """One move in a contact's history. `from_stage` is None for the first."""

    from_stage: str | None
    to_stage: str
    at: datetime
    reason: str
    actor: str = "engine"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A wish (or a bounce) that forbids writing to an address, within a scope."""

    scope: Scope
    reason: str
    at: datetime


@quick_init
@dataclass(frozen=True, slots=True)
class Enrollment:
    """One run of a sequence for one contact.

    `step_id` is where it stands, `base_at` the moment from which that step's delay counts,
    `occurrence` how often this step was entered in this run (0 the first time),
    `waiting_for` is `time`, `message`, `task` or None.
    """

    id: EnrollmentId
    contact_id: ContactId
    sequence: str
    version_id: VersionId
    run: int
    state: EnrollmentState
    entered_at: datetime
    base_at: datetime
    step_id: str | None = None
    occurrence: int = 0
    waiting_for: str | None = None
    reason: str | None = None
    disposition: str | None = None
    ended_at: datetime | None = None
    paused_until: datetime | None = None
    sender_id: SenderId | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Sender:
    """An address that mail goes out from. Personal senders belong to a rep, marketing senders to nobody.

    `rates` are its own; it may have to keep those of others too (`core.rates`).
    """

    id: SenderId
    name: str
    voice: Voice
    address: str
    display_name: str
    provider: str
    reply_to: str | None = None
    rep_id: RepId | None = None
    paused_reason: str | None = None
    rates: tuple[Rate, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True)
class MessageBrief:
    """The part of a message that deciding about its contact needs."""

    id: MessageId
    voice: Voice
    state: MessageState
    enrollment_id: EnrollmentId | None
    step_id: str | None
    template: str
    due_at: datetime
    sent_at: datetime | None = None
    approval_id: int | None = None


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that a rep has not finished."""

    id: int
    kind: str
    due_at: datetime | None
    enrollment_id: EnrollmentId | None = None
    step_id: str | None = None


@quick_init
@dataclass(frozen=True, slots=True)
class Bar:
    """Sales does not want a contact back before `until`, for the reason `why` that it gave."""

    until: datetime
    why: str


@quick_init
@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that deciding about one contact needs, at one moment, as loaded for a page.

    `events` are oldest first and reach back as far as the lifecycle's `memory`; `enrollments` are all runs,
    oldest first; `messages` those that are not final plus the sent ones within `memory`, by due time.
    `account_events` are what happened to the account as such, where the lifecycle lets that count.
    `segments` are those of the live program that the contact was found to be in.
    """

    contact: Contact
    events: tuple[Event, ...] = ()
    standing: Standing | None = None
    stage_changes: tuple[StageChange, ...] = ()
    suppressions: tuple[Suppressed, ...] = ()
    enrollments: tuple[Enrollment, ...] = ()
    messages: tuple[MessageBrief, ...] = ()
    tasks: tuple[OpenTask, ...] = ()
    open_handoff: bool = False
    account_events: tuple[Event, ...] = ()
    bar: Bar | None = None
    segments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Company:
    """Who writes: the facts about the own company that mail and calendars need."""

    name: str
    postal_address: str
    time_zone: str = "UTC"
    country: str | None = None
    website: str | None = None
    privacy_url: str | None = None
    extra: Data = field(default_factory=dict)
