"""The gates that every message passes, in this order. One file each: `check(due, now) -> Finding`.

What forbids for good comes before what only delays, so that a message that may never go is not held first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from nurture.core.decision import Due, Finding
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

Gate = Callable[[Due, datetime], Finding]

GATES: tuple[tuple[str, Gate], ...] = (
    ("program", program.check),
    ("sender", sender.check),
    ("consent", consent.check),
    ("stage", stage.check),
    ("enrollment", enrollment.check),
    ("reply", reply.check),
    ("approval", approval.check),
    ("unsubscribe", unsubscribe.check),
    ("caps", caps.check),
    ("window", window.check),
    ("lateness", lateness.check),
)
"""Every gate with its name, in the order in which they are asked."""
