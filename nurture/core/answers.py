"""What a step may answer: a closed list, so that a new kind of step never touches the engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nurture.core.effects import Action
from nurture.core.quick import quick_init
from nurture.core.words import EnrollmentState

WATCHDOG = timedelta(days=1)
"""When a run that waits for somebody is looked at again, although their act will wake it."""


@quick_init
@dataclass(frozen=True, slots=True)
class Advance:
    """This step is done: go to step `to` (None: the one after it). `base_at` is when it was done (None: as before).

    After `actions` the tick ends, and the next one sees what they changed.
    """

    note: str
    to: str | None = None
    base_at: datetime | None = None
    actions: tuple[Action, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True)
class Sleep:
    """Stay at this step and look again at `until`. `waiting_for` is `time`, `message` or `task`.

    `base_at` is what the step wants to count from when it is asked again (None: as before).
    """

    note: str
    until: datetime
    waiting_for: str
    actions: tuple[Action, ...] = ()
    base_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over."""

    reason: str
    disposition: str | None = None
    actions: tuple[Action, ...] = ()
    state: EnrollmentState = EnrollmentState.EXITED


Answer = Advance | Sleep | Finish


def moment(at: datetime) -> str:
    """Write a moment for a note: UTC, to the minute."""
    return f"{at.isoformat(' ', 'minutes')[:16]} UTC"  # `strftime` takes five times as long
