"""What sales gets with a contact: why, how well they fit, what they did last, what to do next. Plain JSON values.

Who got it, and what does not fit together about that, is added when it is routed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nurture.core.effects import MoveStage
from nurture.core.events import HUMAN, INBOUND, KINDS
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Event, Situation
from nurture.core.qualification import lines
from nurture.core.receipts import gains

TOUCHES = 5

Grounds = tuple[tuple[str, str, int], ...]
"""What gave points: (`fit` or `engagement`, name, hundredths)."""


def packet(
    situation: Situation, made: MoveStage, given: Grounds, lifecycle: Lifecycle, now: datetime
) -> dict[str, object]:
    """Say everything that sales needs to begin with a contact who has just been moved."""
    standing = situation.standing
    assert standing is not None
    touches = [event for event in reversed(situation.events) if event.kind in HUMAN][:TOUCHES]
    known = lines(situation, lifecycle, now) if lifecycle.slots else ()
    return {
        "why": made.reason,
        "rule": made.rule,
        "fit": standing.grade,
        "fit_points": standing.fit_points / 100,
        "engagement": standing.engagement / 100,
        "level": standing.level,
        "scored_by": [{"kind": kind, "name": name, "points": points / 100} for kind, name, points in given],
        "touches": [{"what": _label(event), "at": event.at.isoformat(), "source": event.source} for event in touches],
        "next_step": _next_step(touches),
        "slots": [{"slot": line.slot.label, "value": line.said.value if line.said else None} for line in known],
        "open_slots": [line.slot.label for line in known if not line.counts],
    }


def grounds(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Grounds:
    """Return the fit rules and engagement categories that give the contact points now, most points first."""
    rules, categories = gains(situation, lifecycle, now)
    fit = [("fit", rule.label or f"line {rule.line}", rule.points) for rule in rules]
    given = [*fit, *(("engagement", category.name, category.points) for category in categories)]
    once = {(kind, name): (kind, name, points) for kind, name, points in given if points}
    return tuple(sorted(once.values(), key=lambda each: (-each[2], each[:2])))


def _next_step(touches: Sequence[Event]) -> str:
    spoke = next((event for event in touches if event.kind in INBOUND), None)
    if spoke:
        return f"Answer: they {_label(spoke)} on {spoke.at:%Y-%m-%d}."
    last = next(iter(touches), None)
    return f"Introduce yourself: they {_label(last)} on {last.at:%Y-%m-%d}." if last else "Introduce yourself."


def _label(event: Event) -> str:
    return KINDS[event.kind].label if event.kind in KINDS else event.kind.replace("_", " ")
