"""May this message go to this person now? `decide` runs the gates in order and answers exactly one decision.

`Send | Hold(until, reason) | Skip(reason) | Cancel(reason)`, each with what every gate read up to the one that did not
let it pass. Used by sending, `why`, simulation and tests alike. A gate is one file in `core/gates/`; the values are in
`core/decision.py` and can be had from here.
"""

from __future__ import annotations

from datetime import datetime

from nurture.core.decision import Cancel, Check, Decision, Due, Hold, Reading, Send, Skip
from nurture.core.gates import GATES
from nurture.core.quick import altered

__all__ = ["Cancel", "Check", "Decision", "Due", "Hold", "Reading", "Send", "Skip", "decide"]


_IN_ORDER = tuple(gate for _, gate in GATES)


def decide(due: Due, now: datetime) -> Decision:
    """Ask the gates in their order; the first that does not let the message pass gives the answer."""
    checks: list[Check] = []
    for gate in _IN_ORDER:
        check = gate(due, now)
        checks.append(check)
        if check.answer is not None:
            return altered(check.answer, checks=tuple(checks))
    return Send(tuple(checks))
