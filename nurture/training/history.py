"""What was known of contacts and what came of them, read page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nurture.core.conditions import PROBABLY_HUMAN, Condition, event_kinds, mentions
from nurture.core.facts import reader
from nurture.core.model import Event, Situation, Value
from nurture.core.program import Program
from nurture.core.ranking import ranked
from nurture.db import people, situations
from nurture.db.session import Database
from nurture.training.features import Source

PAGE = 500
_ALWAYS = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Example:
    """One contact: what was known, whether it came true, and the rank (hundredths) by the scoring so far.

    `drawn` is a number from 0 to 1 that looks like chance and is always the same for this contact and seed; `since` is
    when they became known.
    """

    values: Mapping[str, Value]
    came_true: bool
    today: int
    drawn: float
    since: datetime


def read_history(
    database: Database, program: Program, outcome: Condition, sources: Sequence[Source], seed: str, now: datetime
) -> list[Example]:
    """Return every contact as an example.

    What happened at or after the moment of the outcome, where it has one (an event, a stage), is not looked at.
    """
    read = _Reading(program, outcome, sources, seed, now)
    found: list[Example] = []
    for ids in people.living(database, PAGE):
        with database.read() as connection:
            page = situations.load(connection, ids, program.lifecycle.memory, now)
        found += (read.example(situation) for situation in page.values())
    return found


def draw(seed: str, name: str) -> float:
    """Return a number from 0 to 1 that looks like chance and is always the same for a name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:7]) / 2**56


class _Reading:
    def __init__(
        self, program: Program, outcome: Condition, sources: Sequence[Source], seed: str, now: datetime
    ) -> None:
        self._lifecycle, self._outcome, self._seed, self._now = program.lifecycle, outcome, seed, now
        self._fields = [(each.name, reader(each.name)) for each in sources if each.type is not None]
        self._kinds = frozenset(each.name for each in sources if each.type is None)
        self._dated = event_kinds(outcome)
        self._staged = bool(mentions(outcome) & {"stage", "role", "voice"})

    def example(self, situation: Situation) -> Example:
        rules, contact = self._lifecycle, situation.contact
        came_true = self._outcome.test(situation, rules, self._now)
        until = self._moment(situation) if came_true else _ALWAYS
        seen = replace(situation, events=tuple(event for event in situation.events if event.at < until))
        values: dict[str, Value] = {name: read(seen, rules) for name, read in self._fields}
        values |= {event.kind: True for event in seen.events if self._did(event)}
        rank = ranked(seen, rules, min(until, self._now))[1]
        drawn = draw(self._seed, contact.email or f"contact {contact.id}")
        return Example(values, came_true, rank, drawn, contact.created_at or contact.stage_since)

    def _did(self, event: Event) -> bool:
        """Return whether they did it themselves: not a machine, and not a colleague."""
        return event.kind in self._kinds and event.contact_id is not None and event.trust >= PROBABLY_HUMAN

    def _moment(self, situation: Situation) -> datetime:
        """Return when it came true; never, where nothing says when."""
        moments = [event.at for event in situation.events if event.kind in self._dated]
        if self._staged:
            for change in situation.stage_changes:
                there = replace(situation, contact=replace(situation.contact, stage=change.to_stage))
                if self._outcome.test(there, self._lifecycle, self._now):
                    moments.append(change.at)
        return min(moments, default=_ALWAYS)
