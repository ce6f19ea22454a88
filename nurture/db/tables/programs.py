"""What was applied: programs, sequence versions and templates by content hash, and the live pointer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nurture.core.words import Voice
from nurture.db.tables.base import Base, key, one_of
from nurture.db.types import Key


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
    """The one pointer to the program that runs.

    While `restand_from` is set, contacts from that key on may still stand as an earlier lifecycle scored them.
    """

    __tablename__ = "live"
    id: Mapped[int] = mapped_column(primary_key=True)
    program_hash: Mapped[str] = mapped_column(ForeignKey("programs.hash"))
    applied_at: Mapped[datetime]
    applied_by: Mapped[str]
    restand_from: Mapped[int | None] = mapped_column(Key)
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)


class SequenceVersion(Base):
    """One content of one sequence. Runs stay on the version in which they began."""

    __tablename__ = "sequence_versions"
    id: Mapped[int] = key()
    name: Mapped[str]
    hash: Mapped[str]
    voice: Mapped[str]
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("name", "hash"),
        UniqueConstraint("id", "voice"),
        CheckConstraint(one_of("voice", (Voice.MARKETING, Voice.PERSONAL)), name="voice"),
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
