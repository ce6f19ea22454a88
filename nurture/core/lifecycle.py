"""The lifecycle as a value: stages, moves, scoring, levels. Definitions are data; code never names a stage.

What is scored and how is `scoring`; how a contact moves, and when time alone could move them, is `moves`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nurture.core.conditions import Condition
from nurture.core.definition import Category, Derived, Slot, Stage
from nurture.core.handoff import Handoff
from nurture.core.spans import Span
from nurture.core.words import Role, Team, Voice


@dataclass(frozen=True, slots=True)
class Move:
    """A move that the company allows, made when `when` holds.

    `dwell` is how long a contact must have been in `from_stage`; `cool_off` how long after *leaving* `to_stage` they
    may not come back by this move, where `cool_off_by` has no other length for the reason for which they left (None:
    never again); `at_most` how often the move may be made per contact. Moves are tried in file order; the first that
    holds is made.
    """

    from_stage: str
    to_stage: str
    when: Condition | None
    reason: str
    dwell: Span | None = None
    cool_off: Span | None = None
    at_most: int | None = None
    line: int = 0
    cool_off_by: tuple[tuple[str, Span | None], ...] = ()


@dataclass(frozen=True, slots=True)
class FitRule:
    """Points (integer hundredths, may be negative) for accounts and contacts that meet `when`."""

    when: Condition
    points: int
    label: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class FitModel:
    """Fit: points summed, graded by `grades` (grade, least points; best first), D for the disqualified."""

    rules: tuple[FitRule, ...] = ()
    grades: tuple[tuple[str, int], ...] = (("A", 6000), ("B", 4000), ("C", 2000), ("D", -(10**9)))
    disqualifiers: tuple[FitRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Rank:
    """What a point of fit and a point of engagement are worth when contacts are put in one order."""

    fit: float = 1.0
    engagement: float = 1.0


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A company's definition. `stages` in order; `start` is where new contacts begin; `levels` best first.

    A statement about one of the `slots` counts with at least `least_confidence`. `recycles` is how often the engine
    may take a contact back from a stage of role `engage` to one of role `nurture`, whatever the reason (None: always).

    `memory` is how far back events are loaded: longer than any half-life or condition looks.
    `event_kinds` are the company's own kinds beside those of `core.events`.
    """

    name: str
    stages: tuple[Stage, ...]
    start: str
    moves: tuple[Move, ...] = ()
    fit: FitModel = FitModel()
    categories: tuple[Category, ...] = ()
    levels: tuple[tuple[str, Condition], ...] = ()
    slots: tuple[Slot, ...] = ()
    least_confidence: float = 0.5
    recycles: int | None = None
    event_kinds: frozenset[str] = frozenset()
    memory: timedelta = timedelta(days=400)
    hash: str = ""
    file: str = ""
    description: str = ""
    rank: Rank = Rank()
    handoff: Handoff = field(default_factory=Handoff)
    _by_name: Mapping[str, Stage] = field(default_factory=dict, init=False, repr=False, compare=False)
    _derived: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the stages by name."""
        object.__setattr__(self, "_by_name", {stage.name: stage for stage in self.stages})

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; a name the lifecycle does not have is an unknown, silent `out` stage."""
        return self._by_name.get(name) or Stage(name, name, Role.OUT, Voice.SILENT, Team.MARKETING)

    def has(self, name: str) -> bool:
        """Return whether there is a stage of that name."""
        return name in self._by_name

    def position(self, name: str) -> int:
        """Return the place of a stage in the file; one that is not there comes last."""
        return next((at for at, stage in enumerate(self.stages) if stage.name == name), len(self.stages))

    def derived(self, make: Callable[[Lifecycle], Derived]) -> Derived:
        """Return what `make` makes of this value, made once: it never changes, and pages ask thousands of times."""
        found: Derived | None = self._derived.get(make)
        if found is None:
            found = self._derived[make] = make(self)
        return found
