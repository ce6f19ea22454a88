"""The SQLAlchemy models. What must never happen is forbidden here, by constraints; hot paths use `Model.__table__`.

A CHECK cannot look into another table, so the voice rules are composite foreign keys: a message has the voice of its
sender and of its sequence version, and points at an approval of exactly its own content hash.
"""

from __future__ import annotations

from nurture.db.tables.base import NAMING, Base
from nurture.db.tables.history import UNASKED_KINDS, Event, Stage, StageChange, Standing, asked
from nurture.db.tables.machinery import ImportRun, Inbox, Instance, Lease, Meter, SendCount, Timer
from nurture.db.tables.people import Account, Address, Contact, ExternalId, Rep, Sender, TimeOff
from nurture.db.tables.programs import Blob, Live, PausedSequence, ProgramVersion, SequenceVersion, Template
from nurture.db.tables.runs import (
    Approval,
    Assignment,
    Decision,
    Enrollment,
    Ground,
    Handoff,
    Message,
    Readings,
    Rotation,
    Suppression,
    Task,
)
from nurture.db.tables.segments import SegmentFill, SegmentMember

__all__ = [
    "NAMING",
    "UNASKED_KINDS",
    "Account",
    "Address",
    "Approval",
    "Assignment",
    "Base",
    "Blob",
    "Contact",
    "Decision",
    "Enrollment",
    "Event",
    "ExternalId",
    "Ground",
    "Handoff",
    "ImportRun",
    "Inbox",
    "Instance",
    "Lease",
    "Live",
    "Message",
    "Meter",
    "PausedSequence",
    "ProgramVersion",
    "Readings",
    "Rep",
    "Rotation",
    "SegmentFill",
    "SegmentMember",
    "SendCount",
    "Sender",
    "SequenceVersion",
    "Stage",
    "StageChange",
    "Standing",
    "Suppression",
    "Task",
    "Template",
    "TimeOff",
    "Timer",
    "asked",
]
