"""What follows when somebody becomes known, asked once for all who are alike: imports bring them by the million.

Two newcomers are alike when everything that a condition of the program could ask gets the same answer about both. They
have the same history too (they became known just now), so that `react` has the same answer for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from nurture.core.comparing import Holds, comparison
from nurture.core.conditions import Compare, Condition, Did, Idle, leaves
from nurture.core.effects import Enroll, EnterSegment
from nurture.core.facts import is_scored, known
from nurture.core.model import Event, Situation, Standing, Value
from nurture.core.program import Program
from nurture.core.react import react
from nurture.core.spans import Span

_ZONED = ("time_zone", "country", "account.time_zone", "account.country")
"""What decides in which zone business days are counted."""

_TRIGGERS = frozenset({"stage_entered", "segment_entered", "event", "manual"})
"""Triggers that look at a contact through conditions only."""

_SAME = frozenset(
    {"stage", "role", "voice", "open_tasks", "active_sequences", "sent_messages", "open_handoff", "suppressed"}
)
"""Fields that say the same of everybody who has only just become known. Scores follow from the others."""

_MOST = 10_000
"""How many answers are remembered at once."""

Told = tuple[Situation, tuple[Event, ...]]
"""A newcomer's situation, and the events in it, all of them new."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What follows from becoming known: runs, the standing, when time alone may change something, and segments."""

    enrolling: tuple[Enroll, ...]
    standing: Standing
    review_at: datetime | None
    segments: tuple[str, ...] = ()


class Arrivals:
    """Answers for newcomers who all become known at `now` in the same way, by the values of `asked`."""

    def __init__(self, program: Program, now: datetime) -> None:
        """Find out what the program could ask about a newcomer."""
        self._program, self._now = program, now
        found: dict[str, list[Holds]] = {}
        for condition in _conditions(program):
            for leaf in leaves(condition):
                if isinstance(leaf, Compare) and leaf.field not in _SAME and not is_scored(leaf.field):
                    found.setdefault(leaf.field, []).append(comparison(leaf.op, leaf.value))
        zoned = _ZONED if any(span.elapsed is None for span in _spans(program)) else ()
        self.asked: tuple[str, ...] = tuple(dict.fromkeys((*found, *zoned)))
        """The fields whose values tell newcomers apart."""
        self.meanings = tuple(_Meanings(found.get(field, ()), exactly=field in zoned) for field in self.asked)
        """For each of them, what a value means: the same number where it makes no difference."""
        self._plain = all(t.kind in _TRIGGERS for sequence in program.sequences.values() for t in sequence.triggers)
        # Segments that ask for runs are asked again once a run has begun.
        self._again = program.segments.ask_of_runs or "sequence_entered" in program.segments.kinds
        self._known: dict[object, Arrival | None] = {}

    def of(self, alike: object, tell: Callable[[], Told]) -> Arrival | None:
        """Return what follows for a newcomer; None when it is more than an `Arrival` holds: then ask `react`.

        `alike` are the meanings of the values of `asked`, and whether there is an address; `tell` is asked for the
        newcomer when nobody like that came before. Whoever has a suppressed address, or an account to which something
        happened that counts for its people, is to be asked about alone.
        """
        if alike in self._known:
            return self._known[alike]
        if len(self._known) >= _MOST:
            self._known.clear()
        found = self._known[alike] = self._ask(*tell()) if self._plain else None
        return found

    def _ask(self, situation: Situation, fresh: tuple[Event, ...]) -> Arrival | None:
        reaction = react(situation, fresh, self._program, {}, self._now)
        enrolling = tuple(effect for effect in reaction.effects if isinstance(effect, Enroll))
        entering = tuple(effect.segment for effect in reaction.effects if isinstance(effect, EnterSegment))
        if len(enrolling) + len(entering) < len(reaction.effects) or reaction.standing is None:
            return None
        if enrolling and self._again:
            return None
        return Arrival(enrolling, reaction.standing, reaction.review_at, entering)


class _Meanings(dict[Value, int]):
    """The values of one field, as numbers of the answers that they give to every comparison."""

    _MOST = 4096

    def __init__(self, comparisons: Sequence[Holds], *, exactly: bool) -> None:
        super().__init__()
        self._comparisons, self._exactly = comparisons, exactly
        self._numbers: dict[object, int] = {}

    def __missing__(self, value: Value) -> int:
        said = known(value)
        answers = tuple(holds(said) for holds in self._comparisons)
        number = self._numbers.setdefault((answers, said if self._exactly else None), len(self._numbers))
        if len(self) >= self._MOST:
            self.clear()
        # True is 1 and 1.0 is 1 to a dictionary, but not to a comparison.
        if value is None or isinstance(value, str):
            self[value] = number
        return number


def _conditions(program: Program) -> Iterator[Condition]:
    """Yield every condition that can be asked about somebody who has only just become known."""
    rules = program.lifecycle
    yield from (rule.when for rule in (*rules.fit.rules, *rules.fit.disqualifiers))
    yield from (move.when for move in rules.moves if move.when is not None)
    yield from (when for _, when in rules.levels)
    yield from program.segments.rules.values()
    for sequence in program.sequences.values():
        if sequence.audience.when is not None:
            yield sequence.audience.when
        for trigger in sequence.triggers:
            if isinstance(where := trigger.params.get("where"), Condition):
                yield where


def _spans(program: Program) -> Iterator[Span]:
    yield from (slot.fresh_for for slot in program.lifecycle.slots)
    for move in program.lifecycle.moves:
        cool_offs = [span for _, span in move.cool_off_by]
        yield from (span for span in (move.dwell, move.cool_off, *cool_offs) if span is not None)
    for condition in _conditions(program):
        for leaf in leaves(condition):
            if isinstance(leaf, Did) and leaf.within is not None:
                yield leaf.within
            elif isinstance(leaf, Idle):
                yield leaf.length
