"""Gate: is there room in the rates of the sender and of the recipient's domain?

It is asked last, and only where a rate is set: whoever passes it is counted (`nurture.rationing`).
"""

from __future__ import annotations

from nurture.core.decision import Check, Hold, Reading
from nurture.core.rates import Wait

NAME = "rate"


_NO_WAIT = Check(Reading(NAME, {"rate": None}))
_WAIT = Reading(NAME, own=("rate", "of", "slot"))


def check(wait: Wait | None) -> Check:
    """Hold until the slot that the message was promised."""
    if wait is None:
        return _NO_WAIT
    limit, slot = wait.limit, wait.promise.slot
    reason = f"{limit.whose} has reached its rate of {limit.rate}"
    return Check(_WAIT, (str(limit.rate), limit.whose, slot), Hold(reason, slot))
