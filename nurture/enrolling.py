"""Enrolling by hand: the run that the core allows begins, or the reason is told why there is none."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from nurture.core.effects import Enroll, Reaction
from nurture.core.model import ContactId
from nurture.core.program import Program
from nurture.core.triggers import may_enroll
from nurture.db import effects, situations
from nurture.errors import NotFound, Refused


def enroll(
    connection: Connection, program: Program, contact_id: ContactId, sequence: str, reason: str, now: datetime
) -> int:
    """Begin a run of a live sequence for a contact and return its number.

    Raises NotFound when there is no such sequence, Refused when its audience or re-entry policy forbids it.
    """
    if (found := program.sequences.get(sequence)) is None:
        raise NotFound(f"there is no sequence {sequence!r}: there are {', '.join(sorted(program.sequences))}")
    situations.lock(connection, [contact_id])
    segments = bool(program.segments)
    loaded = situations.load(connection, [contact_id], program.lifecycle.memory, now, segments=segments)
    answer = may_enroll(found, loaded[contact_id], program.lifecycle, now, reason=reason)
    if not isinstance(answer, Enroll):
        raise Refused(f"{sequence} does not take this contact: {answer.reason}")
    effects.write(connection, [Reaction(contact_id, (answer,), None, None)], loaded, program, now)
    return answer.run
