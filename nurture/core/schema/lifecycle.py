"""Reads a `kind: lifecycle` file: stages, moves, scoring and levels."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from nurture.core.conditions import Condition, Did, Idle, leaves
from nurture.core.definition import Category, Stage
from nurture.core.events import KINDS
from nurture.core.facts import SLOTS
from nurture.core.lifecycle import FitModel, FitRule, Lifecycle, Move, Rank
from nurture.core.schema.document import Document, parse
from nurture.core.schema.flaws import Flaw, Flaws, flawed
from nurture.core.schema.handoff import HandoffField, handoff
from nurture.core.schema.qualification import QualificationShape, read_slots, slot_words
from nurture.core.schema.shapes import (
    Elapsed,
    EventName,
    Length,
    Name,
    Points,
    Shape,
    StageName,
    Text,
    When,
    check,
    one_of,
    shown,
)
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary
from nurture.core.spans import Span, Unit, parse_span
from nurture.core.words import FieldType, Role, Team, Voice

LEAST_MEMORY = timedelta(days=400)
"""Events are remembered at least this long: what `did` without `within` looks back on."""

HALF_LIVES = 10
"""After so many half-lives a contribution counts nothing."""

_LOWEST = -(10**9)


def read_lifecycle(text: str, file: str, known: Vocabulary = ANYTHING) -> Lifecycle:
    """Read a lifecycle; raise ProgramError with every mistake. `known` needs the fields only."""
    document = parse(text, file)
    # No segments: they are made from the stages and scores that a lifecycle decides.
    shape = check(LifecycleShape, document, replace(own_words(document, known), segments=()))
    lifecycle = Lifecycle(
        name=shape.name,
        description=shape.description,
        stages=tuple(_stage(stage, document.line(("stages", at))) for at, stage in enumerate(shape.stages)),
        start=shape.start,
        moves=tuple(chain.from_iterable(_moves(m, document.line(("moves", at))) for at, m in enumerate(shape.moves))),
        fit=_fit(shape.scoring.fit, document),
        categories=_categories(shape.scoring.engagement, document),
        levels=tuple(shape.levels.items()),
        slots=read_slots(shape.qualification, document),
        least_confidence=shape.qualification.least_confidence,
        recycles=shape.recycling.at_most,
        event_kinds=frozenset(shape.events),
        file=file,
        handoff=handoff(shape.handoff, document),
        rank=Rank(shape.scoring.rank.fit, shape.scoring.rank.engagement),
    )
    return replace(lifecycle, memory=memory(lifecycle))


def own_words(document: Document, known: Vocabulary) -> Vocabulary:
    """Return `known` with the names that the lifecycle file itself brings: stages, levels, grades, slots, events."""
    value = document.value if isinstance(document.value, dict) else {}
    stages = [stage.get("name") for stage in _listed(value.get("stages")) if isinstance(stage, dict)]
    fit = _mapped(_mapped(value.get("scoring")).get("fit"))
    slots = {f"{SLOTS}{name}": words for name, words in slot_words(value).items()}
    known = replace(known, values={**known.values, **{name: words for name, words in slots.items() if words}})
    if known.fields is not None:
        known = replace(known, fields={**known.fields, **dict.fromkeys(slots, FieldType.TEXT)})
    levels, grades = _mapped(value.get("levels")), _mapped(fit.get("grades")) or {"A": 0, "B": 0, "C": 0}
    return replace(
        known.with_values(
            stage=[name for name in stages if isinstance(name, str)],
            role=list(Role),
            voice=list(Voice),
            level=list(levels),
            fit=[*grades, "D"],
        ),
        stages=[name for name in stages if isinstance(name, str)],
        events=[*KINDS, *(kind for kind in _listed(value.get("events")) if isinstance(kind, str))],
    )


def memory(lifecycle: Lifecycle) -> timedelta:
    """Return how far back its scoring, levels and moves look."""
    moves = (move.when for move in lifecycle.moves if move.when)
    routes = (rule.when for rule in lifecycle.handoff.rules if rule.when)
    rules = (rule.when for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers))
    levels = (when for _, when in lifecycle.levels)
    looks = [look(condition) for condition in (*moves, *routes, *rules, *levels)]
    decays = [category.half_life * HALF_LIVES for category in lifecycle.categories]
    return max(LEAST_MEMORY, *looks, *decays, *(slot.fresh_for.at_most for slot in lifecycle.slots))


def look(condition: Condition) -> timedelta:
    """Return how far back a condition looks."""
    spans = (_span(leaf) for leaf in leaves(condition))
    return max((span.at_most for span in spans if span), default=timedelta())


def _span(leaf: Condition) -> Any:
    match leaf:
        case Did(within=span):
            return span
        case Idle(length=span):
            return span
    return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# --- shapes -----------------------------------------------------------------------------------------------------------


class StageShape(Shape):
    """One stage."""

    name: Name
    label: Text | None = None
    role: Annotated[Role, BeforeValidator(one_of(Role, "role"))]
    voice: Annotated[Voice, BeforeValidator(one_of(Voice, "voice"))]
    owner: Annotated[Team, BeforeValidator(one_of(Team, "team"))] = Team.MARKETING
    content: list[Name] = Field(default_factory=list)


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


CoolOff = tuple[Span | None, tuple[tuple[str, Span | None], ...]]
"""The length for every reason that is not listed (None: no cool-off), and those by reason (None: never again)."""


def _cool_off(value: object) -> CoolOff:
    """Read `30 days`, or a length for each reason for which contacts left, with `otherwise` for all the others."""
    if not isinstance(value, dict):
        return _length(value), ()
    lengths = {
        reason: None if length == "never" else _length(length, (reason,), ", or never")
        for reason, length in value.items()
    }
    return lengths.pop("otherwise", None), tuple(lengths.items())


def _length(value: object, path: tuple[str, ...] = (), more: str = "") -> Span:
    try:
        return parse_span(value if isinstance(value, str) else shown(value))
    except ValueError as error:
        raise Flaws([Flaw(f"{error}{more}", path=path)]) from None


class MoveShape(Shape):
    """One move, from one stage or from several."""

    origins: Annotated[list[StageName], BeforeValidator(_one_or_more)] = Field(alias="from", min_length=1)
    target: StageName = Field(alias="to")
    when: When | None = None
    reason: Text
    dwell: Length | None = None
    cool_off: Annotated[CoolOff, PlainValidator(_cool_off)] = (None, ())
    at_most: Annotated[int, Field(ge=1)] | None = None


class RuleShape(Shape):
    """Points for those who meet a condition."""

    when: When
    points: Points
    label: Text | None = None


class DisqualifierShape(Shape):
    """Whom the company does not want, however many points they have."""

    when: When
    label: Text | None = None


class FitShape(Shape):
    """The fit model."""

    rules: list[RuleShape] = Field(default_factory=list)
    grades: dict[str, Points] = Field(default_factory=lambda: {"A": 6000, "B": 4000, "C": 2000})
    disqualify: list[DisqualifierShape] = Field(default_factory=list)


class CategoryShape(Shape):
    """A group of events with a cap."""

    cap: Points
    account_cap: Points = 0
    half_life: Elapsed | None = None
    events: dict[EventName, Points] = Field(min_length=1)


class EngagementShape(Shape):
    """The engagement model."""

    half_life: Elapsed = Span(30, Unit.DAYS)
    categories: dict[Name, CategoryShape] = Field(default_factory=dict)


def _worth(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
        raise flawed(f"expected what a point is worth, from 0 to 1000, not {value!r}")
    return float(value)


class RankShape(Shape):
    """What a point of each model is worth in `rank_score`."""

    fit: Annotated[float, BeforeValidator(_worth)] = 1.0
    engagement: Annotated[float, BeforeValidator(_worth)] = 1.0


class ScoringShape(Shape):
    """Both models, and how they add up to one order."""

    fit: FitShape = FitShape()
    engagement: EngagementShape = EngagementShape()
    rank: RankShape = RankShape()


def _unique_stages(stages: list[StageShape]) -> list[StageShape]:
    if not stages:
        raise flawed("a lifecycle needs at least one stage")
    names = [stage.name for stage in stages]
    twice = [place for place, name in enumerate(names) if name in names[:place]]
    if twice:
        hint = "give each stage its own name"
        raise Flaws(Flaw(f"two stages are named {names[place]!r}", hint, (place, "name")) for place in twice)
    return stages


class RecyclingShape(Shape):
    """How often a contact may come back from a stage of role `engage` to one of role `nurture`."""

    at_most: Annotated[int, Field(ge=0)] | None = None


class LifecycleShape(Shape):
    """A lifecycle file."""

    kind: Literal["lifecycle"]
    name: Name
    description: str = ""
    stages: Annotated[list[StageShape], AfterValidator(_unique_stages)]
    start: StageName
    moves: list[MoveShape] = Field(default_factory=list)
    scoring: ScoringShape = ScoringShape()
    levels: dict[Text, When] = Field(default_factory=dict)
    qualification: QualificationShape = QualificationShape()
    recycling: RecyclingShape = RecyclingShape()
    events: list[Name] = Field(default_factory=list)
    handoff: HandoffField | None = None


# --- from shapes to values --------------------------------------------------------------------------------------------


def _stage(shape: StageShape, line: int) -> Stage:
    label = shape.label or shape.name.replace("_", " ").replace("-", " ").capitalize()
    return Stage(shape.name, label, shape.role, shape.voice, shape.owner, frozenset(shape.content), line)


def _moves(shape: MoveShape, line: int) -> list[Move]:
    return [
        Move(
            from_stage=origin,
            to_stage=shape.target,
            when=shape.when,
            reason=shape.reason,
            dwell=shape.dwell,
            cool_off=shape.cool_off[0],
            cool_off_by=shape.cool_off[1],
            at_most=shape.at_most,
            line=line,
        )
        for origin in shape.origins
    ]


def _fit(shape: FitShape, document: Document) -> FitModel:
    way = ("scoring", "fit")
    rules = [
        FitRule(rule.when, rule.points, rule.label or "", document.line((*way, "rules", at)))
        for at, rule in enumerate(shape.rules)
    ]
    disqualifiers = [
        FitRule(rule.when, 0, rule.label or "", document.line((*way, "disqualify", at)))
        for at, rule in enumerate(shape.disqualify)
    ]
    grades = sorted(shape.grades.items(), key=lambda grade: -grade[1])
    lowest = () if "D" in shape.grades else (("D", _LOWEST),)
    return FitModel(tuple(rules), (*grades, *lowest), tuple(disqualifiers))


def _categories(shape: EngagementShape, document: Document) -> tuple[Category, ...]:
    way = ("scoring", "engagement", "categories")
    return tuple(
        Category(
            name=name,
            cap=category.cap,
            weights=dict(category.events),
            half_life=(category.half_life or shape.half_life).elapsed or timedelta(days=30),
            line=document.line((*way, name)),
            account_cap=category.account_cap,
        )
        for name, category in shape.categories.items()
    )
