"""Moving a contact to another stage by hand, with a reason, where the lifecycle allows it. Through the one door."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from nurture import intake
from nurture.core.model import ContactId, Event
from nurture.core.moves import manual_move
from nurture.core.program import Program
from nurture.db import situations
from nurture.errors import NotFound, Refused


def move(
    connection: Connection, program: Program, contact_id: ContactId, to: str, reason: str, by: str, now: datetime
) -> intake.Recorded:
    """Move a contact; runs end, others begin and handoffs open as on any move.

    Conditions, dwell and cool-off bind the engine, not people. Raises Refused with the reason when the lifecycle does
    not list the move, or no reason is given; NotFound when the contact is not there.
    """
    if not reason.strip():
        raise Refused("a move by hand needs a reason: the next who looks at the contact will want to know")
    if not situations.lock(connection, [contact_id]):
        raise NotFound(f"there is no contact {contact_id} (any more)")
    situation = situations.load(connection, [contact_id], program.lifecycle.memory, now)[contact_id]
    made = manual_move(situation, program.lifecycle, to, reason.strip(), by, now)
    data = {"stage": made.to_stage, "reason": made.reason, "actor": by}
    key = f"{contact_id}:{made.from_stage}:{made.to_stage}:{now.isoformat()}"
    return intake.record(connection, program, [Event("updated", now, "by hand", key, contact_id, data=data)], now)
