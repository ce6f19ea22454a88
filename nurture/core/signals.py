"""Intent signals: how strong one is, and until when it counts. Vendors sell them, often about a whole company.

A signal about an account alone (an event without a contact) lifts the company's people in the categories that say so.
"""

from __future__ import annotations

from datetime import UTC, datetime

from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Event

SIGNAL = "intent_signaled"
"""The kind of event whose data may have `strength` (0-1) and `expires_at` (ISO 8601)."""


def strength(event: Event) -> float:
    """Return how much of its weight an event has, from 0 to 1. Only signals can be weak."""
    if event.kind != SIGNAL or (said := event.data.get("strength")) is None:
        return 1.0
    try:
        return min(1.0, max(0.0, float(str(said))))
    except ValueError:
        return 1.0


def expires_at(event: Event) -> datetime | None:
    """Return from when on an event counts nothing at all, None where only time takes from it. Only signals expire.

    A moment without an offset is in UTC.
    """
    if event.kind != SIGNAL or not (said := event.data.get("expires_at")):
        return None
    try:
        at = datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def account_kinds(lifecycle: Lifecycle) -> frozenset[str]:
    """Return the kinds of events which, about an account alone, lift the people of that account."""
    return lifecycle.derived(_account_kinds)


def _account_kinds(lifecycle: Lifecycle) -> frozenset[str]:
    weighed = (category.weights for category in lifecycle.categories if category.account_cap)
    return frozenset(kind for weights in weighed for kind, weight in weights.items() if weight)
