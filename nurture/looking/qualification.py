"""What is known of a contact's qualification slots, from what evidence, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from nurture.core.model import ContactId
from nurture.core.program import Program
from nurture.core.qualification import SlotLine, lines
from nurture.looking.contacts import name_of, situation_of


@dataclass(frozen=True, slots=True)
class Qualification:
    """The slots of one contact, in the order of the lifecycle file."""

    name: str
    email: str | None
    slots: tuple[SlotLine, ...]

    @property
    def filled(self) -> int:
        """How many of them count as filled."""
        return sum(line.counts for line in self.slots)


def qualification(connection: Connection, program: Program, contact_id: ContactId, now: datetime) -> Qualification:
    """Return what is known of a contact at `now`; raise NotFound."""
    situation = situation_of(connection, program, contact_id, now)
    return Qualification(name_of(situation), situation.contact.email, lines(situation, program.lifecycle, now))
