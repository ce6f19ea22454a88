"""The gates that every message passes, in this order. One file each: `check(due, now) -> Check`.

What forbids for good comes before what only delays, so that a message that may never go is not held first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from nurture.core.decision import Check, Due
from nurture.core.gates import (
    approval,
    caps,
    consent,
    enrollment,
    lateness,
    program,
    reply,
    sender,
    stage,
    unsubscribe,
    window,
)

Gate = Callable[[Due, datetime], Check]

GATES: tuple[tuple[str, Gate], ...] = tuple(
    (gate.NAME, gate.check)
    for gate in (program, sender, consent, stage, enrollment, reply, approval, unsubscribe, caps, window, lateness)
)
"""Every gate with its name, in the order in which they are asked."""
