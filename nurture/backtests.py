"""Back-tests: what lifecycles make of this database's own history, before one of them decides. Changes nothing.

`compare` lives every contact's history through two lifecycles; `restandings` scores everybody as they are now by the
lifecycle that is live and by the one that is to be. Both go through all contacts in pages and keep only counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from nurture.core.conditions import Condition, evaluate
from nurture.core.lifecycle import Lifecycle
from nurture.core.lives import Duty, Fork, Life, fork, live_through, same
from nurture.core.model import ContactId, Situation, Standing
from nurture.core.moves import move
from nurture.core.scoring import restand
from nurture.core.signals import account_kinds
from nurture.core.words import Role
from nurture.db import people, situations, tasks
from nurture.db.session import Database

PAGE = 500
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

Heard = Callable[[int, int], None]
"""Hears how many contacts are done, and of how many."""


@dataclass(slots=True)
class Side:
    """What one lifecycle made of everybody. `converted` of the `engaged`, `unengaged` converted all the same."""

    name: str
    file: str
    engaged: int = 0
    converted: int = 0
    unengaged: int = 0

    @property
    def rate(self) -> float | None:
        """The part of the engaged who converted, None where nobody was engaged."""
        return self.converted / self.engaged if self.engaged else None


@dataclass(frozen=True, slots=True)
class Parting:
    """One contact whom the two lifecycles leave in different stages, and where their lives part."""

    contact_id: ContactId
    email: str | None
    first: str
    second: str
    fork: Fork | None


@dataclass(slots=True)
class Comparison:
    """Both lifecycles over the same history: how many end where under the one and under the other."""

    first: Side
    second: Side
    contacts: int = 0
    differing: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)


def compare(
    database: Database,
    first: Lifecycle,
    second: Lifecycle,
    now: datetime,
    *,
    outcome: Condition | None = None,
    each: Callable[[Parting], None] = lambda parting: None,
    heard: Heard = lambda done, total: None,
) -> Comparison:
    """Return what the two lifecycles make of everybody's history until `now`; `each` hears of everyone who differs.

    Converted is who meets `outcome` in the end, or without it who comes into a stage of role `customer`.
    """
    found = Comparison(Side(first.name, first.file), Side(second.name, second.file))
    kinds = account_kinds(first) | account_kinds(second)
    for page, duties in _histories(database, kinds, now, heard):
        for key, history in page.items():
            lives = [live_through(history, rules, now, duties.get(key, ())) for rules in (first, second)]
            _count(found.first, lives[0], first, outcome, now)
            _count(found.second, lives[1], second, outcome, now)
            found.contacts += 1
            found.confusion[lives[0].stage, lives[1].stage] += 1
            if not same(lives[0].stage, lives[1].stage, first, second):
                found.differing += 1
                parted = fork(lives[0], lives[1], first, second)
                each(Parting(key, history.contact.email, lives[0].stage, lives[1].stage, parted))
    return found


def _count(side: Side, life: Life, lifecycle: Lifecycle, outcome: Condition | None, now: datetime) -> None:
    engaged = life.entered(Role.ENGAGE, lifecycle) is not None
    if outcome is None:
        converted = life.entered(Role.CUSTOMER, lifecycle) is not None
    else:
        converted = evaluate(outcome, life.situation, lifecycle, now)
    side.engaged += engaged
    side.converted += engaged and converted
    side.unengaged += converted and not engaged


def _histories(
    database: Database, kinds: frozenset[str], now: datetime, heard: Heard
) -> Iterator[tuple[Mapping[ContactId, Situation], Mapping[int, Sequence[Duty]]]]:
    """Yield everybody's whole history, page by page. No page holds up whoever writes."""
    done = 0
    with database.read() as connection:
        total = people.count_living(connection)
    for ids in people.living(database, PAGE):
        with database.read() as connection:
            page = situations.load(connection, ids, now - _EVER, now)
            if kinds:
                page = situations.with_account_events(connection, page, _EVER, kinds)
            duties = tasks.duties(connection, ids)
        yield page, duties
        done += len(ids)
        heard(done, total)


# --- standing anew ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restanding:
    """How one contact would stand; `moves_to` is the stage to which they would be moved at once."""

    contact_id: ContactId
    email: str | None
    stage: str
    before: Standing
    after: Standing
    moves_to: str | None


@dataclass(slots=True)
class Restandings:
    """What another lifecycle makes of everybody as they are now. `looked_at` may be an even sample."""

    contacts: int = 0
    looked_at: int = 0
    up: int = 0
    down: int = 0
    grades: int = 0
    levels: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Restanding] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many change their level."""
        return self.levels.total()


def restandings(
    database: Database,
    live: Lifecycle,
    proposed: Lifecycle,
    now: datetime,
    *,
    at_most: int | None = None,
    examples: int = 10,
    heard: Heard = lambda done, total: None,
) -> Restandings:
    """Return how everybody (or an even sample of about `at_most`) would stand under `proposed`, beside `live`.

    Moves are those that `proposed` would make at once, and `live` would not.
    """
    found = Restandings()
    with database.read() as connection:
        found.contacts = people.count_living(connection)
    every = 1 if at_most is None else -(-found.contacts // at_most) or 1
    for ids in people.living(database, PAGE):
        chosen = [key for key in ids if key % every == 0]
        with database.read() as connection:
            page = _both(connection, chosen, live, proposed, now)
        for key, (old, new) in page.items():
            _add(found, _restanding(key, old, new, live, proposed, now), live, proposed, examples)
        heard(found.looked_at, -(-found.contacts // every))
    return found


def _both(
    connection: Connection, ids: Sequence[ContactId], live: Lifecycle, proposed: Lifecycle, now: datetime
) -> dict[ContactId, tuple[Situation, Situation]]:
    loaded = situations.load(connection, ids, max(live.memory, proposed.memory), now)
    if kinds := account_kinds(live) | account_kinds(proposed):
        loaded = situations.with_account_events(connection, loaded, now - max(live.memory, proposed.memory), kinds)
    return {key: (_remembered(each, live, now), _remembered(each, proposed, now)) for key, each in loaded.items()}


def _remembered(situation: Situation, lifecycle: Lifecycle, now: datetime) -> Situation:
    """Return how somebody stands by what a lifecycle remembers of them."""
    since = now - lifecycle.memory
    events = tuple(event for event in situation.events if event.at >= since)
    return restand(
        situation if len(events) == len(situation.events) else replace(situation, events=events), lifecycle, now
    )


def _restanding(
    key: ContactId, old: Situation, new: Situation, live: Lifecycle, proposed: Lifecycle, now: datetime
) -> Restanding:
    made, present = move(new, proposed, now), move(old, live, now)
    moves_to = made.to_stage if made and (present is None or present.to_stage != made.to_stage) else None
    assert old.standing is not None
    assert new.standing is not None
    return Restanding(key, old.contact.email, old.contact.stage, old.standing, new.standing, moves_to)


def _add(found: Restandings, one: Restanding, live: Lifecycle, proposed: Lifecycle, examples: int) -> None:
    found.looked_at += 1
    before, after = one.before.level, one.after.level
    rise = _height(after, proposed) - _height(before, live)
    changed = before != after
    found.up += changed and rise > 0
    found.down += changed and rise < 0
    found.grades += one.before.grade != one.after.grade
    if changed:
        found.levels[before, after] += 1
    if one.moves_to:
        found.moves[one.stage, one.moves_to] += 1
    if (changed or one.moves_to) and len(found.examples) < examples:
        found.examples.append(one)


def _height(level: str | None, lifecycle: Lifecycle) -> int:
    """Return how high a level is: 0 for none, 1 for the lowest."""
    names = [name for name, _ in lifecycle.levels]
    return len(names) - names.index(level) if level in names else 0
