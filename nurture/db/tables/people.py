"""People and companies, their addresses, and the senders that write to them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from nurture.core.words import Voice
from nurture.db.tables.base import Base, key, one_of, where_known
from nurture.db.types import Key


class Rep(Base):
    """A person in sales."""

    __tablename__ = "reps"
    id: Mapped[int] = key()
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str | None]
    signature: Mapped[str | None]
    time_zone: Mapped[str | None]
    calendar: Mapped[dict[str, Any] | None]
    calendar_link: Mapped[str | None]
    daily_capacity: Mapped[int | None]
    country: Mapped[str | None]
    region: Mapped[str | None]
    territory: Mapped[list[str] | None]
    most_open_handoffs: Mapped[int | None]
    handoffs_per_day: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class TimeOff(Base):
    """Days on which a rep does not work, from the first to the last, by their own calendar."""

    __tablename__ = "time_off"
    id: Mapped[int] = key()
    rep_id: Mapped[int] = mapped_column(ForeignKey("reps.id"), index=True)
    first_day: Mapped[date]
    last_day: Mapped[date]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("rep_id", "first_day", "last_day"),
        CheckConstraint("first_day <= last_day", name="in_order"),
    )


class Account(Base):
    """A company."""

    __tablename__ = "accounts"
    id: Mapped[int] = key()
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
    """A person. The stage is a name of the live lifecycle; `merged_into` and `erased_at` mark rows that are history.

    `barred_until` is how long sales does not want them back, `barred_why` the reason that it gave.
    """

    __tablename__ = "contacts"
    id: Mapped[int] = key()
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"))
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
    barred_until: Mapped[datetime | None]
    barred_why: Mapped[str | None]
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    erased_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (where_known("ix_contacts_owner_id", "owner_id"),)


class Address(Base):
    """An e-mail address of a contact: as written, normalized (unique), and its keyed hash.

    The hash has no index: it would be the dearest thing about a new contact, for every one of them another page of the
    file to read and write, and hardly anybody asks for an address of which they know only the hash.
    """

    __tablename__ = "addresses"
    id: Mapped[int] = key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    address_hash: Mapped[str]
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
    id: Mapped[int] = key()
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), index=True)
    system: Mapped[str]
    external_id: Mapped[str]
    __table_args__ = (UniqueConstraint("system", "external_id"),)


class Sender(Base):
    """An address that mail goes out from. A personal sender is a rep's mailbox, a marketing sender is nobody's."""

    __tablename__ = "senders"
    id: Mapped[int] = key()
    name: Mapped[str] = mapped_column(unique=True)
    voice: Mapped[str]
    address: Mapped[str]
    display_name: Mapped[str]
    reply_to: Mapped[str | None]
    provider: Mapped[str]
    rate: Mapped[str | None]
    per_day: Mapped[int | None]
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("reps.id"))
    paused_reason: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("id", "voice"),
        CheckConstraint(one_of("voice", (Voice.MARKETING, Voice.PERSONAL)), name="voice"),
        CheckConstraint("(voice = 'personal') = (rep_id IS NOT NULL)", name="personal_is_a_reps"),
    )
