"""A contact's score as a receipt: what was stored, or what it is now, and whether computing it again agrees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from nurture.core.model import ContactId, Standing
from nurture.core.program import Program
from nurture.core.receipts import Receipt, receipt
from nurture.core.scoring import standing
from nurture.looking.contacts import name_of, situation_of


@dataclass(frozen=True, slots=True)
class Score:
    """A receipt with what is stored beside it. `agrees` is None where the rules have changed since it was stored."""

    name: str
    email: str | None
    receipt: Receipt
    stored: Standing | None
    agrees: bool | None


def score(connection: Connection, program: Program, contact_id: ContactId, fresh: bool, now: datetime) -> Score:
    """Return the receipt of when the contact was last scored; with `fresh`, or if they never were, the one of now."""
    situation, rules = situation_of(connection, program, contact_id, now), program.lifecycle
    stored = situation.standing
    at = now if fresh or stored is None else stored.as_of
    agrees = None
    if stored is not None and stored.model_hash == rules.hash:
        agrees = replace(standing(situation, rules, stored.as_of), as_of=stored.as_of) == stored
    return Score(name_of(situation), situation.contact.email, receipt(situation, rules, at), stored, agrees)
