"""Segments as values: named conditions, whom they leave out, and who is in them.

A segment may build on others (`in_segment('…')` in its condition) and leave others out. Its `rule` is all of that
written out, so that asking it, in Python or in SQL, needs nothing but itself. Membership is what a situation
remembers (`Situation.segments`): the one door asks again whenever something happens to a contact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nurture.core.changes import Watched, watched
from nurture.core.conditions import All, Any, Compare, Condition, InSegment, Not, Op, event_kinds, leaves, mentions
from nurture.core.facts import is_scored
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Situation

SUPPRESSED = "suppressed"
"""What `exclude` calls everybody who may not be written to in some way; no segment has that name."""

_SUPPRESSED = Compare("suppressed", Op.EQ, True)
_OF_RUNS = frozenset({"open_tasks", "active_sequences", "sent_messages", "open_handoff"})


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as it is written. `exclude` names segments, or `suppressed`."""

    name: str
    when: Condition
    description: str = ""
    exclude: tuple[str, ...] = ()
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of a program, with their rules. `kinds` and `fields` are what any of the rules asks for."""

    by_name: Mapping[str, Segment] = field(default_factory=dict)
    rules: Mapping[str, Condition] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    _watched: dict[str, tuple[tuple[Condition, Watched], ...]] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.by_name)

    def __iter__(self) -> Iterator[Segment]:
        """Yield them by name."""
        return iter(self.by_name[name] for name in sorted(self.by_name))

    @property
    def ask_of_runs(self) -> bool:
        """Say whether some rule asks for what runs, messages, tasks and handoffs are there."""
        return not self.fields.isdisjoint(_OF_RUNS)

    def of(self, situation: Situation, lifecycle: Lifecycle, now: datetime) -> frozenset[str]:
        """Return the segments that a contact belongs to."""
        return frozenset(name for name, rule in self.rules.items() if rule.test(situation, lifecycle, now))

    def watched(self, lifecycle: Lifecycle) -> Sequence[tuple[Condition, Watched]]:
        """Return the rules that time alone may change, with what there is to watch of each."""
        if lifecycle.hash not in self._watched:
            seen = ((rule, watched(rule, lifecycle)) for rule in self.rules.values())
            self._watched[lifecycle.hash] = tuple(pair for pair in seen if pair[1] != Watched())
        return self._watched[lifecycle.hash]

    def meaning(self, name: str, lifecycle: Lifecycle) -> str:
        """Return a hash of everything that says who is in a segment, stages, scores and memory included."""
        rule = self.rules[name]
        said: list[object] = [repr(rule), lifecycle.memory]
        if mentions(rule) & {"role", "voice"}:
            said.append([(stage.name, stage.role, stage.voice) for stage in lifecycle.stages])
        if any(is_scored(each) for each in mentions(rule)) or any(not isinstance(x, Compare) for x in leaves(rule)):
            said.append(lifecycle.hash)
        return hashlib.sha256(repr(said).encode()).hexdigest()


NO_SEGMENTS = Segments()


def assemble(segments: Iterable[Segment]) -> Segments:
    """Write out the rules of segments; raise ValueError for one that is built on itself or on what is not there."""
    by_name = {segment.name: segment for segment in segments}
    if found := circle(by_name):
        raise ValueError(f"segments are built on themselves: {' → '.join(found)}")
    if strange := {name for each in by_name.values() for name in built_on(each)} - by_name.keys():
        raise ValueError(f"there is no segment {min(strange)!r}")
    rules = {name: _rule(segment, by_name) for name, segment in by_name.items()}
    every = list(rules.values())
    return Segments(
        by_name, rules, frozenset().union(*map(event_kinds, every)), frozenset().union(*map(mentions, every))
    )


def circle(by_name: Mapping[str, Segment]) -> list[str]:
    """Return the names of segments that are built on each other, the first one again at the end; else nothing."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done or name not in by_name:
            return []
        for other in built_on(by_name[name]):
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(by_name) if (found := walk(name, []))), [])


def built_on(segment: Segment) -> list[str]:
    """Return the segments that one builds on or leaves out."""
    asked = [leaf.name for leaf in leaves(segment.when) if isinstance(leaf, InSegment)]
    return [*asked, *(name for name in segment.exclude if name != SUPPRESSED)]


def written_out(condition: Condition, rules: Mapping[str, Condition]) -> Condition:
    """Return a condition with the rules of segments in place of their names."""
    match condition:
        case InSegment(name):
            return rules[name]
        case All(of):
            return All(tuple(written_out(part, rules) for part in of))
        case Any(of):
            return Any(tuple(written_out(part, rules) for part in of))
        case Not(of):
            return Not(written_out(of, rules))
        case _:
            return condition


def _rule(segment: Segment, by_name: Mapping[str, Segment]) -> Condition:
    rules = {name: _rule(by_name[name], by_name) for name in built_on(segment)}
    out = (_SUPPRESSED if name == SUPPRESSED else rules[name] for name in segment.exclude)
    when = written_out(segment.when, rules)
    return All((when, *(Not(each) for each in out))) if segment.exclude else when
