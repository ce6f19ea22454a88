"""May this message go to this person now? `decide` runs the gates in order and answers exactly one decision.

`Send | Hold(until, reason) | Skip(reason) | Cancel(reason)`, each with what every gate read up to the one that did not
let it pass. Used by sending, `why`, simulation and tests alike. A gate is one file in `core/gates/`; the values are in
`core/decision.py` and can be had from here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from nurture.core.decision import Cancel, Check, Decision, Due, Finding, Hold, Send, Skip
from nurture.core.gates import GATES

__all__ = ["Cancel", "Check", "Decision", "Due", "Finding", "Hold", "Send", "Skip", "decide"]


def decide(due: Due, now: datetime) -> Decision:
    """Ask the gates in their order; the first that does not let the message pass gives the answer."""
    checks: list[Check] = []
    for name, gate in GATES:
        finding = gate(due, now)
        if finding.answer:
            checks.append(Check(name, False, finding.answer.reason, finding.inputs))
            return replace(finding.answer, checks=tuple(checks))
        checks.append(Check(name, True, "", finding.inputs))
    return Send(tuple(checks))
