"""Reads the `handoff` section of a lifecycle file: pools, routing, capacity, the clock, what sales may answer."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo

from nurture.core.handoff import (
    EVERYONE,
    REJECTIONS,
    By,
    Handoff,
    Rejection,
    Rule,
    Sla,
    Territory,
    Then,
)
from nurture.core.schema.document import Document, Path
from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.shapes import Elapsed, EventName, Length, Name, Shape, StageName, Text, When, one_of, shown
from nurture.core.schema.timing import WindowField
from nurture.core.spans import Span, Unit
from nurture.core.windows import Window
from nurture.core.working import OFFICE_HOURS, parse_working

SECTION = ("handoff",)


def _address(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise flawed(f"{shown(value)} is no address of a rep", "write it as `nurture reps list` does")
    return value.lower()


def _fallback(value: object) -> str | None:
    return None if value == "queue" else _address(value)


def _working(value: object) -> timedelta:
    try:
        length = parse_working(value if isinstance(value, str) else shown(value))
    except ValueError as error:
        raise flawed(str(error), "a rep's clock stands still when they do not work") from None
    if not length:
        raise flawed("nobody can do anything in no time", "write at least 1 working minute")
    return length


def _share(value: object) -> float:
    found = re.fullmatch(r"(\d{1,2})\s*%", value) if isinstance(value, str) else None
    if not found or found[1] in ("0", "00"):
        raise flawed(f"{shown(value)} is no part of the time", "write for example 50%")
    return int(found[1]) / 100


def _hours(value: object, info: ValidationInfo) -> tuple[Window, ...]:
    class _One(Shape):
        window: WindowField

    every = value if isinstance(value, list) else [value]
    return tuple(_One.model_validate({"window": each}, context=info.context).window for each in every)


def _cool_off(value: object) -> Span | None:
    class _One(Shape):
        length: Elapsed

    return None if value == "forever" else _One.model_validate({"length": value}).length


Address = Annotated[str, BeforeValidator(_address)]
Working = Annotated[timedelta, PlainValidator(_working)]


class TerritoryShape(Shape):
    """A territory: a condition and who gets it, or what of a contact is compared with the reps' own."""

    when: When | None = None
    pool: Name | None = None
    reps: list[Address] = Field(default_factory=list)
    own: Annotated[Territory, BeforeValidator(one_of(Territory, "territory"))] | None = None


def _territory(shape: TerritoryShape) -> TerritoryShape:
    if (shape.when is None) == (shape.own is None):
        raise flawed(
            "a territory asks `when`, or compares the reps' `own`", "write {own: country}, or {when: …, pool: …}"
        )
    if (shape.when is not None) != ((shape.pool is not None) != bool(shape.reps)):
        raise flawed("a territory with `when` names one `pool`, or `reps`; one of the reps' `own` names nobody")
    return shape


_ALONE = {
    By.CONTACT_OWNER: {"contact_owner": True},
    By.ACCOUNT_OWNER: {"account_owner": True},
    By.TERRITORY: {"territory": {"own": "country"}},
    By.ROUND_ROBIN: {"round_robin": EVERYONE},
}
"""What a routing rule means that is written as one word."""


def _spelled_out(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _ALONE[one_of(By, "routing rule")(value)]


class RuleShape(Shape):
    """One routing rule: exactly one of these."""

    contact_owner: Literal[True] | None = None
    account_owner: Literal[True] | None = None
    territory: Annotated[TerritoryShape, AfterValidator(_territory)] | None = None
    round_robin: Name | None = None


def _one_kind(shape: RuleShape) -> RuleShape:
    if len(shape.model_fields_set) != 1:
        raise flawed("a routing rule is one of contact_owner, account_owner, territory or round_robin")
    return shape


class CapacityShape(Shape):
    """How much a rep takes who has no capacity of their own."""

    open: Annotated[int, Field(ge=1)] | None = None
    per_day: Annotated[int, Field(ge=1)] | None = None


class SlaShape(Shape):
    """The clock."""

    accept_within: Working
    warn_at: Annotated[float, BeforeValidator(_share)] | None = None
    escalate_after: Working | None = None
    reassign_after: Working | None = None
    reassign_at_most: Annotated[int, Field(ge=1)] = 2
    escalate_to: Address | None = None


class RejectionShape(Shape):
    """What follows from one reason."""

    cool_off: Annotated[Span | None, PlainValidator(_cool_off)]
    to: StageName | None = None
    unless: list[EventName] = Field(default_factory=list)
    task: Text | None = None


class ReturnShape(Shape):
    """What follows when sales gives somebody back for a while."""

    at_most: Length = Span(365, Unit.DAYS)
    then: Annotated[Then, BeforeValidator(one_of(Then, "word"))] = Then.COME_BACK


def _named(pools: dict[str, list[str]]) -> dict[str, list[str]]:
    if EVERYONE in pools:
        what, hint = f"the pool {EVERYONE!r} is there already", "it is all reps: give yours another name"
        raise Flaws([Flaw(what, hint, (EVERYONE,), at_key=True)])
    empty = [name for name, members in pools.items() if not members]
    if empty:
        raise Flaws(Flaw(f"the pool {name!r} is empty", "name at least one rep", (name,)) for name in empty)
    return pools


class HandoffShape(Shape):
    """The section."""

    pools: Annotated[dict[Name, list[Address]], AfterValidator(_named)] = Field(default_factory=dict)
    hours: Annotated[tuple[Window, ...], PlainValidator(_hours)] = OFFICE_HOURS
    routing: (
        Annotated[
            list[Annotated[RuleShape, BeforeValidator(_spelled_out), AfterValidator(_one_kind)]], Field(min_length=1)
        ]
        | None
    ) = None
    capacity: CapacityShape = CapacityShape()
    fallback: Annotated[str | None, PlainValidator(_fallback)] = None
    own_account: bool = False
    sla: SlaShape | None = None
    reject: dict[Name, RejectionShape] = Field(default_factory=dict)
    returned: ReturnShape = Field(default=ReturnShape(), alias="return")


def _known_pools(shape: HandoffShape) -> HandoffShape:
    """Check that the routing rules name pools of the section."""
    flaws = []
    for place, rule in enumerate(shape.routing or ()):
        pool, key = _pool(rule)
        if pool is not None and pool not in (EVERYONE, *shape.pools):
            path: Path = ("routing", place, *key)
            flaws.append(Flaw(f"unknown pool {pool!r}", meant(pool, [EVERYONE, *shape.pools]), path))
    if flaws:
        raise Flaws(flaws)
    return shape


HandoffField = Annotated[HandoffShape, AfterValidator(_known_pools)]


def _pool(rule: RuleShape) -> tuple[str | None, tuple[str, ...]]:
    """Return the pool that a rule takes from, and where that stands."""
    if rule.round_robin is not None:
        return rule.round_robin, ("round_robin",)
    return (rule.territory.pool, ("territory", "pool")) if rule.territory else (None, ())


# --- from shapes to values --------------------------------------------------------------------------------------------


def handoff(shape: HandoffShape | None, document: Document) -> Handoff:
    """Return the section as a value; what it leaves out is as where there is none."""
    if shape is None:
        return Handoff()
    rules = [_rule(rule, document.line((*SECTION, "routing", place))) for place, rule in enumerate(shape.routing or ())]
    inline = {", ".join(t.reps): tuple(t.reps) for rule in shape.routing or () if (t := rule.territory) and t.reps}
    return Handoff(
        pools={name: tuple(members) for name, members in shape.pools.items()} | inline,
        rules=tuple(rules) or Handoff().rules,
        most_open=shape.capacity.open,
        per_day=shape.capacity.per_day,
        fallback=shape.fallback,
        owns_account=shape.own_account,
        hours=shape.hours,
        sla=_sla(shape.sla) if shape.sla else None,
        rejections={name: _rejection(name, each, document) for name, each in shape.reject.items()} or dict(REJECTIONS),
        returned=shape.returned.then,
        return_at_most=shape.returned.at_most.at_most,
        line=document.line(SECTION),
    )


def _rule(shape: RuleShape, line: int) -> Rule:
    if shape.territory is not None:
        territory = shape.territory
        pool = territory.pool or ", ".join(territory.reps) or None
        return Rule(By.TERRITORY, pool, territory.when, territory.own, line)
    if shape.round_robin is not None:
        return Rule(By.ROUND_ROBIN, shape.round_robin, line=line)
    return Rule(By.CONTACT_OWNER if shape.contact_owner else By.ACCOUNT_OWNER, line=line)


def _sla(shape: SlaShape) -> Sla:
    warn_after = None
    if shape.warn_at is not None:
        warn_after = timedelta(minutes=int(shape.accept_within.total_seconds() * shape.warn_at) // 60)
    return Sla(
        accept_within=shape.accept_within,
        warn_after=warn_after,
        escalate_after=shape.escalate_after or (shape.accept_within if shape.escalate_to else None),
        reassign_after=shape.reassign_after,
        reassign_at_most=shape.reassign_at_most,
        escalate_to=shape.escalate_to,
    )


def _rejection(name: str, shape: RejectionShape, document: Document) -> Rejection:
    line = document.line((*SECTION, "reject", name))
    return Rejection(shape.cool_off, shape.to, frozenset(shape.unless), shape.task, line)
