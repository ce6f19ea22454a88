"""Who is in which segment, and how far each segment of the live program was filled."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from nurture.db.tables.base import Base
from nurture.db.types import Key


class SegmentMember(Base):
    """A contact in a segment, since when. Only the segments of the live program are kept up to date."""

    __tablename__ = "segment_members"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contacts.id"), primary_key=True, autoincrement=False)
    segment: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    __table_args__ = (
        Index("ix_segment_members_segment_contact_id", "segment", "contact_id"),
        {"sqlite_with_rowid": False},
    )


class SegmentFill(Base):
    """What a segment meant when it was filled (`meaning`, a hash), and up to which contact that has come."""

    __tablename__ = "segment_fills"
    segment: Mapped[str] = mapped_column(primary_key=True)
    meaning: Mapped[str]
    filled_to: Mapped[int] = mapped_column(Key, default=0)
    filled_at: Mapped[datetime | None]
