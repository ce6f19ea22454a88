"""The `scored` definition built by hand, and people to whom things happen in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any as Anything

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Op
from nurture.core.definition import Category, Stage
from nurture.core.lifecycle import FitModel, FitRule, Lifecycle, Move
from nurture.core.model import (
    Account,
    AccountId,
    Contact,
    ContactId,
    Enrollment,
    EnrollmentId,
    Event,
    MessageBrief,
    MessageId,
    Rep,
    RepId,
    Situation,
    StageChange,
    VersionId,
)
from nurture.core.program import Program
from nurture.core.sequence import Audience, Exit, Sequence, Step, Trigger
from nurture.core.spans import Span, Unit
from nurture.core.words import EnrollmentState, MessageState, Role, Team, Voice

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning."""

DAY = timedelta(days=1)


def days(amount: int) -> Span:
    return Span(amount, Unit.DAYS)


def business_days(amount: int) -> Span:
    return Span(amount, Unit.BUSINESS_DAYS)


def is_(field: str, value: Anything) -> Compare:
    return Compare(field, Op.EQ, value)


def at_least(field: str, value: float) -> Compare:
    return Compare(field, Op.GE, value)


STAGES = (
    Stage("lead", "Lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING, frozenset({"educational"})),
    Stage("prospect", "Prospect", Role.ENGAGE, Voice.PERSONAL, Team.SALES),
    Stage("customer", "Customer", Role.CUSTOMER, Voice.PERSONAL, Team.SALES),
    Stage("out", "Out", Role.OUT, Voice.SILENT, Team.MARKETING),
)

QUALIFIED = Any((Compare("level", Op.IN, ("SQL",)), Did("demo_requested", days(30))))
QUIET = All((Idle(business_days(20)), is_("open_tasks", 0), is_("active_sequences", 0)))

MOVES = (
    Move("lead", "prospect", QUALIFIED, "qualified", dwell=days(1), cool_off=days(30), at_most=3, line=10),
    Move("prospect", "customer", Did("purchased"), "bought", line=16),
    Move("prospect", "lead", QUIET, "went_quiet", dwell=days(10), line=20),
    Move("lead", "out", None, "not for us", line=25),
)

FIT = FitModel(
    rules=(
        FitRule(Compare("account.industry", Op.IN, ("software", "health")), 3000, "industry", 30),
        FitRule(at_least("account.employees", 50), 2000, "size", 31),
        FitRule(Compare("title", Op.CONTAINS, "chief"), 1500, "decides", 32),
    ),
    disqualifiers=(FitRule(is_("country", "XX"), 0, "we do not sell there", 33),),
)

CATEGORIES = (
    Category("downloads", 4000, {"content_downloaded": 1000}, 30 * DAY),
    Category("website", 2000, {"page_viewed": 200, "webinar_watched": 900}, 14 * DAY),
    Category("requests", 8000, {"demo_requested": 6000, "form_submitted": 1500}, 60 * DAY),
)

LEVELS = (
    ("SQL", All((Compare("fit", Op.IN, ("A", "B")), at_least("engagement", 60)))),
    ("MQL", at_least("engagement", 30)),
)

SCORED = Lifecycle(
    name="scored",
    stages=STAGES,
    start="lead",
    moves=MOVES,
    fit=FIT,
    categories=CATEGORIES,
    levels=LEVELS,
    event_kinds=frozenset({"webinar_watched", "nurture_finished"}),
    hash="scored-1",
    file="sequences/lifecycles/scored.yaml",
)

ACME = Account(AccountId(1), "Acme", "acme.example", "software", 200, country="DE", technologies=("SAP", "Jira"))
REP = Rep(RepId(1), "Rita Rep", "rita@us.example", title="Account Executive")


def person(stage: str = "lead", since: datetime = NOW - 90 * DAY, **facts: Anything) -> Contact:
    base = Contact(ContactId(7), stage, since, "ann@acme.example", "Ann", "Example", account=ACME)
    return replace(base, **facts)


def event(kind: str, at: datetime = NOW, *, key: str = "", **values: Anything) -> Event:
    return Event(kind, at, "test", key or f"{kind}:{at.isoformat()}", ContactId(7), **values)


def situation(*events: Event, contact: Contact | None = None, **parts: Anything) -> Situation:
    return Situation(contact or person(), tuple(sorted(events, key=lambda e: e.at)), **parts)


def change(from_stage: str, to_stage: str, at: datetime, reason: str) -> StageChange:
    return StageChange(from_stage, to_stage, at, reason)


def run(key: int = 1, sequence: str = "lead-welcome", version: int = 1, **parts: Anything) -> Enrollment:
    base = Enrollment(
        EnrollmentId(key),
        ContactId(7),
        sequence,
        VersionId(version),
        1,
        EnrollmentState.WAITING,
        entered_at=NOW - 10 * DAY,
        base_at=NOW - 10 * DAY,
        step_id="hello",
        waiting_for="time",
    )
    return replace(base, **parts)


def mail(key: int = 1, voice: Voice = Voice.MARKETING, **parts: Anything) -> MessageBrief:
    base = MessageBrief(
        MessageId(key), voice, MessageState.ACCEPTED, EnrollmentId(1), "hello", "leads/welcome", NOW - DAY
    )
    return replace(base, **parts)


DEFAULT_EXITS = (Exit("reply"), Exit("unsubscribe"), Exit("bounce"), Exit("stage_left"))


def sequence(
    name: str, *triggers: Trigger, role: Role = Role.NURTURE, voice: Voice = Voice.MARKETING, **parts: Anything
) -> Sequence:
    return Sequence(
        name,
        voice,
        (Step("hello", "email", template="leads/welcome"),),
        "newsletter" if voice is Voice.MARKETING else "owner",
        **{"audience": Audience(frozenset({role})), "triggers": triggers, "exits": DEFAULT_EXITS, **parts},
    )


ENTERS_NURTURE = Trigger("stage_entered", {"role": (Role.NURTURE,)})
ENTERS_ENGAGE = Trigger("stage_entered", {"role": (Role.ENGAGE,)})

WELCOME = sequence("lead-welcome", ENTERS_NURTURE)
INTRODUCTION = sequence("prospect-introduction", ENTERS_ENGAGE, role=Role.ENGAGE, voice=Voice.PERSONAL)
VERSIONS = {VersionId(1): WELCOME, VersionId(2): INTRODUCTION}


def program(*sequences: Sequence, lifecycle: Lifecycle = SCORED) -> Program:
    return Program("program-1", lifecycle, {each.name: each for each in sequences or (WELCOME, INTRODUCTION)})


def conditioned(when: Condition, **parts: Anything) -> Lifecycle:
    """Return a lifecycle of two stages with one move, from lead to prospect, made when `when` holds."""
    move = Move("lead", "prospect", when, "because", line=1, **parts)
    return replace(SCORED, moves=(move,))
