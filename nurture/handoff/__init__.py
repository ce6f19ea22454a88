"""What becomes of a handoff after it was opened: the clock that watches it, and the answers of sales.

Every change is an event through the one door; opening and routing happen there too (`db.handing`).
"""

from __future__ import annotations

from nurture.handoff.answers import accept, give_back, reject
from nurture.handoff.clock import PAGE, watch

__all__ = ["PAGE", "accept", "give_back", "reject", "watch"]
