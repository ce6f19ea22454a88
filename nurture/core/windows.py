"""When something may happen and how long it waits: windows and delays as values. Reckoning with them is `calendars`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from nurture.core.spans import Span


@dataclass(frozen=True, slots=True)
class Window:
    """When mail may go: weekdays (0 = Monday) and local hours [opens, closes) in the contact's zone.

    Release is spread over `spread` minutes from the opening, seeded by the enrollment.
    """

    days: frozenset[int] = frozenset({0, 1, 2, 3, 4})
    opens: time = time(9, 0)
    closes: time = time(17, 0)
    spread: int = 30


WORKDAYS = Window()
"""The window of a sequence that names none: Monday to Friday, nine to five."""

ALWAYS_OPEN = Window(frozenset(range(7)), time(0, 0), time(0, 0), 0)
"""A window that never closes (`opens == closes`)."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a step waits after the one before it was finished.

    `span` alone is elapsed or business days; `at` moves to that local time; `weekday` (0 = Monday) to the next one.
    """

    span: Span | None = None
    at: time | None = None
    weekday: int | None = None


NO_DELAY = Delay()
