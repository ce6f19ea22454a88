"""The one door in: `record` takes a page of events, and everything that follows from them happens here.

Journeys 1, 4 and 5. Locks the contacts, adds the events (duplicates fall out), loads the situations, lets the core
`react` to each contact, and writes the effects in bulk: one transaction, the caller's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from nurture import live
from nurture.core import conditions
from nurture.core.arrivals import Arrival
from nurture.core.effects import Reaction, UpdateContact
from nurture.core.model import ContactId, Event, Situation
from nurture.core.program import Program
from nurture.core.qualification import slot_kinds
from nurture.core.react import react
from nurture.core.signals import account_kinds
from nurture.core.words import LIVE_ENROLLMENTS, TimerKind
from nurture.db import arrivals, effects, situations, timers
from nurture.db import events as event_rows

QUIET = frozenset({"sent", "refused", "delivered", "opened", "deferred", "stage_left", "sequence_entered"})
"""Kinds that lead to nothing unless the company's own rules name them."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a page of events led to. `unknown` events were about contacts that are not (or no longer) there."""

    added: int = 0
    duplicates: int = 0
    unknown: int = 0
    moved: tuple[tuple[str, str], ...] = ()
    enrolled: int = 0
    ended: int = 0
    cancelled: int = 0
    voided: int = 0


def record(
    connection: Connection,
    program: Program,
    events: Sequence[Event],
    now: datetime,
    *,
    locked: Collection[int] | None = None,
    known: Mapping[ContactId, Situation] | None = None,
) -> Recorded:
    """Record a page of events in the caller's transaction and carry out what follows.

    An `updated` event carries `data.set` (fields to write, before anything is decided) and may carry `data.stage` (a
    move that a step asks for) with `data.actor` and `data.reason`. Events about accounts alone are kept; where the
    lifecycle lets them lift the account's people, these become due for review. `locked` are the contacts of the events
    that are still there, if the caller has locked them. `known` are the situations, still without events, of contacts
    that this transaction has made: they are neither locked nor loaded.
    """
    if not events:
        return Recorded()
    made = known or {}
    concerned = {event.contact_id for event in events if event.contact_id is not None} - made.keys()
    there = set(situations.lock(connection, concerned) if locked is None else locked) | made.keys()
    mine = [event for event in events if event.contact_id is None or event.contact_id in there]
    fresh = event_rows.add(connection, mine, now)
    by_contact = _concerned(fresh, program)
    changed = _write_updates(connection, by_contact, program, now)
    since = now - program.lifecycle.memory
    ready = {
        contact_id: _after(made[contact_id], fresh_events, since)
        for contact_id, fresh_events in by_contact.items()
        if contact_id in made and contact_id not in changed
    }
    lifecycle, segments = program.lifecycle, bool(program.segments)
    unread = by_contact.keys() - ready.keys()
    loaded = situations.load(connection, unread, lifecycle.memory, now, segments=segments) | ready
    if shared := account_kinds(program.lifecycle):
        loaded = situations.with_account_events(connection, loaded, since, shared)
    written = _react(connection, program, by_contact, loaded, now)
    if shared:
        _review_colleagues(connection, fresh, shared, now)
    return Recorded(
        added=len(fresh),
        duplicates=len(mine) - len(fresh),
        unknown=len(events) - len(mine),
        moved=tuple(written.moved),
        enrolled=written.enrolled,
        ended=written.ended,
        cancelled=written.cancelled,
        voided=written.voided,
    )


def _review_colleagues(connection: Connection, fresh: Sequence[Event], kinds: Collection[str], now: datetime) -> None:
    """Let the people of accounts to which something new happened be reviewed now: in pages, however many they are."""
    accounts = {e.account_id for e in fresh if e.contact_id is None and e.account_id is not None and e.kind in kinds}
    review_people_of(connection, accounts, now)


def review_people_of(connection: Connection, accounts: Collection[int], now: datetime) -> None:
    """Let the people of accounts be reviewed now."""
    if accounts:
        people = situations.people_of(connection, accounts)
        timers.set_timers(connection, [(TimerKind.REVIEW, contact_id, now) for contact_id in people])


def quiet(program: Program, kind: str) -> bool:
    """Say whether events of a kind lead to nothing in this program, so that they need only be kept."""
    return kind in QUIET and kind not in _named(program)


def tell_sent(connection: Connection, program: Program, message_ids: Sequence[int], now: datetime) -> None:
    """Record that messages were `sent` now, as `record` would where that is `quiet`; their contacts are locked.

    Of contacts that are no longer there nothing is recorded.
    """
    if not quiet(program, "sent"):
        raise ValueError("the program looks at sent mail: `record` it")
    event_rows.add_sent(connection, message_ids, now)


def welcome(
    connection: Connection,
    program: Program,
    arrived: Sequence[tuple[ContactId, Arrival]],
    told: Sequence[Event],
    now: datetime,
) -> Recorded:
    """Record that contacts which this transaction has made became known: what `record` would do, for a page at once.

    `told` are events that each of them has, with external ids that end with the contact's id; `arrived` says what
    follows from them (see `core.arrivals`).
    """
    enrolled = arrivals.write(connection, program, arrived, told, now)
    return Recorded(added=len(told) * len(arrived), enrolled=enrolled)


def _concerned(fresh: Sequence[Event], program: Program) -> dict[ContactId, tuple[Event, ...]]:
    """Group the new events by contact, leaving out contacts to whom nothing happened that could lead to anything."""
    named = _named(program)
    grouped: dict[ContactId, list[Event]] = {}
    loud: set[ContactId] = set()
    for event in fresh:
        if event.contact_id is None:
            continue
        grouped.setdefault(event.contact_id, []).append(event)
        if event.kind not in QUIET or event.kind in named:
            loud.add(event.contact_id)
    return {contact_id: tuple(grouped[contact_id]) for contact_id in sorted(loud)}


def _named(program: Program) -> frozenset[str]:
    """Return the kinds of events that the program's scores, conditions, triggers, exits and rejections name."""
    rules = program.lifecycle
    weighed = {kind for category in rules.categories for kind in category.weights} | slot_kinds(rules)
    weighed |= program.segments.kinds | ({"sent"} if "sent_messages" in program.segments.fields else set())
    weighed |= {kind for rejection in rules.handoff.rejections.values() for kind in rejection.unless}
    spoken = [move.when for move in rules.moves if move.when] + [when for _, when in rules.levels]
    for sequence in program.sequences.values():
        spoken += [ending.when for ending in sequence.exits if ending.when]
        weighed |= {ending.event for ending in sequence.exits if ending.event}
        weighed |= {str(trigger.params["kind"]) for trigger in sequence.triggers if "kind" in trigger.params}
    return frozenset(weighed).union(*(conditions.event_kinds(when) for when in spoken))


def _write_updates(
    connection: Connection, by_contact: Mapping[ContactId, tuple[Event, ...]], program: Program, now: datetime
) -> Collection[ContactId]:
    """Write the fields that `updated` events set, before anybody decides on them; return whose they are."""
    wanted = {
        contact_id: tuple(UpdateContact(_mapping(event.data["set"])) for event in fresh if "set" in event.data)
        for contact_id, fresh in by_contact.items()
        if any(event.kind == "updated" and "set" in event.data for event in fresh)
    }
    if wanted:
        loaded = situations.load(connection, wanted.keys(), timedelta(0), now)
        page = [Reaction(contact_id, changes, None, None) for contact_id, changes in wanted.items()]
        effects.write(connection, page, loaded, program, now)
    return wanted.keys()


def _after(situation: Situation, fresh: Sequence[Event], since: datetime) -> Situation:
    """Return the situation of a new contact after the first events; those before `since` are not remembered."""
    events = sorted((event for event in fresh if event.at >= since), key=lambda event: (event.at, event.id or 0))
    return Situation(
        situation.contact,
        tuple(events),
        stage_changes=situation.stage_changes,
        suppressions=situation.suppressions,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _react(
    connection: Connection,
    program: Program,
    by_contact: Mapping[ContactId, tuple[Event, ...]],
    loaded: Mapping[ContactId, Situation],
    now: datetime,
) -> effects.Written:
    runs = (run for situation in loaded.values() for run in situation.enrollments if run.state in LIVE_ENROLLMENTS)
    versions = live.versions(connection, {run.version_id for run in runs})
    page = []
    for contact_id, fresh in by_contact.items():
        page.append(react(loaded[contact_id], fresh, program, versions, now))
    return effects.write(connection, page, loaded, program, now)
