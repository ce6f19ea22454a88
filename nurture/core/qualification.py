"""Qualification slots: what was said about a contact's budget, need and the like, by whom, how surely, and until when.

A slot is filled by events: a `slot_set` (somebody says so), or another kind that the lifecycle names as a source.
Of the fresh statements the surest counts, of equally sure ones the latest; a `slot_set` without a value forgets what
was said before. Nothing is ever accumulated: the answer follows from the events, at a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from nurture.core.conditions import end_of
from nurture.core.definition import Slot, SlotSource
from nurture.core.events import KINDS
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Event, Situation

SLOT_SET = "slot_set"
"""The kind of event by which somebody states a slot: `data` has slot, value, confidence and evidence."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one event says about one slot. `value` is None where it takes back what was said before.

    `confidence` (0-1) has the trust in the event in it; `evidence` says what it rests on; from `until` on it is stale.
    """

    slot: str
    value: str | None
    confidence: float
    evidence: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class SlotLine:
    """One slot of the lifecycle at a moment: the statement that counts, or (with `fresh` false) the last stale one."""

    slot: Slot
    said: Statement | None
    fresh: bool

    @property
    def counts(self) -> bool:
        """Whether the slot counts as filled."""
        return self.fresh and self.said is not None and self.said.value not in self.slot.against


def filled(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[tuple[str, str], ...]:
    """Return (slot, value) of every slot that is known from fresh evidence, by name."""
    if not lifecycle.slots:
        return ()
    best: dict[str, Statement] = {}
    for said in statements(situation, lifecycle):
        _consider(said, best, now)
    return tuple((slot, said.value) for slot, said in sorted(best.items()) if said.value is not None)


def lines(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[SlotLine, ...]:
    """Return what is known of every slot, in the order of the lifecycle file."""
    best: dict[str, Statement] = {}
    last: dict[str, Statement | None] = {}
    for said in statements(situation, lifecycle):
        _consider(said, best, now)
        last[said.slot] = said if said.value is not None else None
    return tuple(
        SlotLine(slot, best.get(slot.name) or last.get(slot.name), slot.name in best) for slot in lifecycle.slots
    )


def stale_at(situation: Situation, lifecycle: Lifecycle, after: datetime) -> datetime | None:
    """Return the first moment after `after` at which a statement goes stale, None if none does."""
    ends = (said.until for said in statements(situation, lifecycle) if said.until > after)
    return min(ends, default=None)


def slot_kinds(lifecycle: Lifecycle) -> frozenset[str]:
    """Return the kinds of events that fill slots."""
    return frozenset(lifecycle.derived(_sources))


def statements(situation: Situation, lifecycle: Lifecycle) -> Iterator[Statement]:
    """Yield what the events say about slots, oldest first, as far as it is sure enough."""
    sources = lifecycle.derived(_sources)
    for event in situation.events:
        for slot, source in sources.get(event.kind, ()):
            said = _stated(event, slot, source, situation)
            if said is not None and said.confidence >= lifecycle.least_confidence:
                yield said


def _consider(said: Statement, best: dict[str, Statement], now: datetime) -> None:
    """Let a statement count if it is fresh and none before it was surer."""
    known = best.get(said.slot)
    if said.value is None:
        best.pop(said.slot, None)
    elif said.until > now and (known is None or said.confidence >= known.confidence):
        best[said.slot] = said


def _stated(event: Event, slot: Slot, source: SlotSource | None, situation: Situation) -> Statement | None:
    data = event.data
    if source is None:
        if data.get("slot") != slot.name:
            return None
        value, surely = data.get("value"), _confidence(data.get("confidence"))
    else:
        if not all(_plain(data.get(name)) in words for name, words in source.where):
            return None
        value, surely = source.value if source.data is None else data.get(source.data), source.confidence
        if value is None:
            return None
    word = None if value is None else _word(str(value), slot)
    if value is not None and word is None:
        return None
    until = end_of(slot.fresh_for, event.at, situation)
    return Statement(slot.name, word, surely * event.trust, _evidence(event), event.at, until)


def _word(value: str, slot: Slot) -> str | None:
    """Return a value as the lifecycle file spells it, None where it is blank or not one of the slot's values."""
    value = value.strip()
    if not slot.values:
        return value or None
    return next((known for known in slot.values if known.casefold() == value.casefold()), None)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _confidence(said: object) -> float:
    try:
        return min(1.0, max(0.0, float(str(said)))) if said is not None else 1.0
    except ValueError:
        return 0.0


def _evidence(event: Event) -> str:
    said = event.data.get("evidence")
    if said:
        return str(said)
    return KINDS[event.kind].label if event.kind in KINDS else event.kind.replace("_", " ")


def _sources(lifecycle: Lifecycle) -> Mapping[str, list[tuple[Slot, SlotSource | None]]]:
    """Return for each kind of event the slots that it fills; a `slot_set` names its slot itself."""
    found: dict[str, list[tuple[Slot, SlotSource | None]]] = {}
    for slot in lifecycle.slots:
        found.setdefault(SLOT_SET, []).append((slot, None))
        for source in slot.sources:
            found.setdefault(source.event, []).append((slot, source))
    return found
