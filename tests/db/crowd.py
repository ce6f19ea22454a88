"""A crowd with everything in its fields that has ever been compared wrongly, and what asks about it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any as Anything

from hypothesis import strategies as st
from sqlalchemy import Connection

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op, evaluate
from nurture.core.definition import Slot
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import ContactId, Situation
from nurture.core.spans import Span, Unit
from nurture.core.words import EnrollmentState, HandoffState, MessageState, Scope, TaskState
from nurture.db import segments, situations, tables
from nurture.db.bulk import insert_rows, reserve_ids
from tests import factories
from tests.core.scored import NOW, SCORED

LIFECYCLE = replace(
    SCORED,
    memory=timedelta(days=120),
    event_kinds=frozenset({"webinar_watched", "unscored"}),
    slots=(
        Slot("budget", "Budget", Span(90, Unit.DAYS), against=frozenset({"no"})),
        Slot("need", "Need", Span(90, Unit.DAYS)),
    ),
)

TEXTS = (
    None,
    "",
    "  ",
    "\u00a0\u3000",
    "a",
    "A",
    "Ä",
    "ä",
    "a%",
    "a_b",
    "50%_off\\",
    "Chief Officer",
    "chief",
    "ΟΔΟΣ",
    "οδος",
    "İstanbul",
    "istanbul",
    "Straße",
    "STRASSE",
    "K",
    "😀",
    "Zoë",
    "5",
    "5.0",
    "true",
    "null",
    '"quoted"',
    "it's",
    "lead",
    "2026-03-01",
    "2026-03-02",
    "line\nbreak",
)
NUMBERS = (0, 1, -1, 5, 5.0, 0.1, 0.30000000000000004, 20.5, 400, 10**15, -(10**15), 2**53 + 1, 1e-7, 1e300)
JSON = (
    *TEXTS,
    *NUMBERS,
    True,
    False,
    [],
    ["SAP", "jira"],
    ["a", 5, None, True],
    [5],
    ["Ä", "ΟΔΟΣ", ""],
    {},
    {"SAP": 1},
)
LISTS = (None, [], ["SAP"], ["SAP", "Jira"], ["Ärger", "a_b", "%"], ["jira", "Straße"])
ZONES = (None, "", "UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Mars/Olympus", " Europe/Berlin")
COUNTRIES = (None, "", "DE", " germany ", "US", "New Zealand", "Atlantis", "Türkiye")
KINDS = ("page_viewed", "clicked", "replied", "sent", "webinar_watched", "unscored", "nurture_finished", "opened")
STAGES = ("lead", "prospect", "customer", "out", "gone")
OWN = ("plan", "größe", "x")

VALUES = tuple(value for value in (*TEXTS, *NUMBERS, True, False, "SAP", "jira", "A", "B", "MQL") if value is not None)


def people(connection: Connection, seed: int, size: int) -> list[ContactId]:
    """Insert a crowd, the same one for the same seed."""
    dice = random.Random(seed)
    reps = [factories.rep(connection, email=f"{name}@company.example") for name in ("ada", "Bob")]
    accounts = [_account(connection, dice, number) for number in range(max(2, size // 3))]
    sender, version = factories.sender(connection), factories.version(connection)
    made = []
    for number in range(size):
        key = factories.contact(
            connection,
            **{name: dice.choice(TEXTS) for name in ("first_name", "last_name", "title", "buying_role", "locale")},
            source=dice.choice(("form", None)),
            time_zone=dice.choice(ZONES),
            country=dice.choice(COUNTRIES),
            account_id=dice.choice((None, *accounts)),
            owner_id=dice.choice((None, *reps)),
            stage=dice.choice(STAGES),
            stage_since=_moment(dice),
            fields={name: dice.choice(JSON) for name in OWN if dice.random() < 0.8},
        )
        _beside(connection, dice, key, number, sender, version)
        made.append(ContactId(key))
    return made


def _account(connection: Connection, dice: random.Random, number: int) -> int:
    return factories.account(
        connection,
        name=dice.choice(TEXTS),
        domain=f"{number}.example",
        industry=dice.choice(("software", "Software", None)),
        employees=dice.choice((None, 0, 1, 5, 400, 10**15, 2**53 + 1)),
        revenue=dice.choice((None, 10**12)),
        country=dice.choice(COUNTRIES),
        time_zone=dice.choice(ZONES),
        technologies=dice.choice(LISTS),
        fields={name: dice.choice(JSON) for name in OWN if dice.random() < 0.8},
    )


def _beside(connection: Connection, dice: random.Random, key: int, number: int, sender: int, version: int) -> None:
    if dice.random() < 0.8:
        address = dice.choice((f"Ann{number}@ACME.example", f"b@odd{number}@İ.example", f"c{number}"))
        factories.address(connection, key, address)
        if dice.random() < 0.3:
            wish = {"scope": dice.choice(list(Scope)), "reason": "no", "source": "test", "actor": "test"}
            hashed = f"k1:{address.lower()}"
            factories.insert(connection, tables.Suppression, address_hash=hashed, created_at=NOW, **wish)
    if dice.random() < 0.7:
        row = {"fit_points": dice.choice((0, 2010, 5000)), "engagement": dice.choice((0, 10, 2050, 4000))}
        slots = {name: dice.choice(("yes", "no", "Größe", " ")) for name in ("budget", "need") if dice.random() < 0.6}
        words = {"grade": dice.choice("ABD"), "level": dice.choice((None, "MQL")), "slots": slots or None}
        insert_rows(connection, tables.Standing, [{"contact_id": key, **row, **words, "as_of": NOW, "model_hash": "m"}])
    for place in range(dice.choice((0, 0, 1, 1, 2))):
        state = dice.choice((EnrollmentState.WAITING, EnrollmentState.EXITED))
        factories.enrollment(connection, key, version, sequence=f"s{place}", state=state)
        task = {"kind": "call", "title": "Call", "state": dice.choice(list(TaskState)), "created_at": NOW}
        factories.insert(connection, tables.Task, origin_key=f"{key}:{place}", contact_id=key, **task)
        state, due = dice.choice((MessageState.ACCEPTED, MessageState.PLANNED)), _moment(dice)
        factories.message(connection, key, sender, origin_key=f"m:{key}:{place}", state=state, due_at=due)
    if dice.random() < 0.4:
        state = dice.choice(list(HandoffState))
        factories.insert(connection, tables.Handoff, contact_id=key, state=state, reason="", packet={}, opened_at=NOW)
    insert_rows(connection, tables.Event, [_event(dice, key, place) for place in range(dice.choice((0, 1, 3, 8)))])


def _event(dice: random.Random, key: int, place: int) -> dict[str, Anything]:
    return {
        "contact_id": key,
        "kind": dice.choice(KINDS),
        "at": _moment(dice),
        "recorded_at": NOW,
        "source": "test",
        "external_id": f"{key}:{place}",
        "trust": dice.choice((1.0, 1.0, 0.5, 0.49)),
    }


def _moment(dice: random.Random) -> datetime:
    """Return a moment near now, or at the edges of the windows that are asked for."""
    days = dice.choice((0, 1, 2, 3, 4, 5, 7, 14, 30, 60, 119, 120, 121, 300))
    off = dice.choice((timedelta(), timedelta(microseconds=1), -timedelta(microseconds=1), timedelta(hours=7)))
    return NOW - timedelta(days=days) + off


# --- what asks --------------------------------------------------------------------------------------------------------

FIELD_NAMES = (
    *("email", "email_domain", "first_name", "last_name", "name", "title", "buying_role", "country", "locale"),
    *("time_zone", "source", "stage", "role", "voice", "fit", "fit_points", "engagement", "level", "owner"),
    *("account.name", "account.domain", "account.industry", "account.employees", "account.revenue"),
    *("account.country", "account.time_zone", "account.technologies"),
    *("open_tasks", "active_sequences", "sent_messages", "open_handoff", "suppressed", "nonsense"),
    *("slots.budget", "slots.need", "slots_filled"),
    *(f"fields.{name}" for name in OWN),
    *(f"account.fields.{name}" for name in OWN),
)
WORDS = ("nurture", "engage", "out", "marketing", "silent", "acme.example", "ada@company.example", "DE", "i.example")

_one = st.sampled_from((*VALUES, *WORDS))
_many = st.lists(_one, max_size=4).map(tuple)
_span = st.builds(Span, st.sampled_from((0, 1, 2, 3, 5, 14, 30)), st.sampled_from(list(Unit)))
_bare = st.sampled_from((Op.KNOWN, Op.UNKNOWN))
_single = st.sampled_from([op for op in Op if op not in (Op.KNOWN, Op.UNKNOWN, Op.IN, Op.NOT_IN)])

compares = st.one_of(
    st.builds(Compare, st.sampled_from(FIELD_NAMES), _single, _one),
    st.builds(Compare, st.sampled_from(FIELD_NAMES), st.sampled_from((Op.IN, Op.NOT_IN)), _many),
    st.builds(Compare, st.sampled_from(FIELD_NAMES), _bare),
)
dids = st.builds(Did, st.sampled_from(KINDS), st.none() | _span, st.integers(1, 3))
conditions: st.SearchStrategy[Condition] = st.recursive(
    compares | compares | dids | st.builds(Idle, _span),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda of: All(tuple(of))),
        st.lists(parts, max_size=3).map(lambda of: Any(tuple(of))),
        st.builds(Not, parts),
    ),
    max_leaves=6,
)


def in_sql(connection: Connection, condition: Condition, *, few: bool = False) -> set[int]:
    """Return for whom the condition holds, as the database says."""
    return set(connection.scalars(segments.select(connection, condition, LIFECYCLE, NOW, few=few)))


def loaded(connection: Connection, ids: list[ContactId]) -> Mapping[ContactId, Situation]:
    """Return the crowd as Python sees it."""
    return situations.load(connection, ids, LIFECYCLE.memory, NOW)


def in_python(crowd: Mapping[ContactId, Situation], condition: Condition, lifecycle: Lifecycle = LIFECYCLE) -> set[int]:
    """Return for whom the condition holds, as Python says."""
    return {int(key) for key, seen in crowd.items() if evaluate(condition, seen, lifecycle, NOW)}


__all__ = ["LIFECYCLE", "compares", "conditions", "in_python", "in_sql", "loaded", "people", "reserve_ids"]
