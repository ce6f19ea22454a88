"""Gate: is there room in the rates of the sender and of the recipient's domain?

It is asked last, and only where a rate is set: whoever passes it is counted (`nurture.rationing`).
"""

from __future__ import annotations

from nurture.core.decision import Finding, Hold
from nurture.core.rates import Wait

NAME = "rate"


def check(wait: Wait | None) -> Finding:
    """Hold until the slot that the message was promised."""
    if wait is None:
        return Finding(None, {"rate": None})
    inputs = {"rate": str(wait.limit.rate), "of": wait.limit.whose, "slot": wait.promise.slot.isoformat()}
    reason = f"{wait.limit.whose} has reached its rate of {wait.limit.rate}"
    return Finding(Hold(reason, wait.promise.slot), inputs)
