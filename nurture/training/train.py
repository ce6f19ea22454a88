"""Learning weights from what became of contacts, and measuring them on contacts that were kept aside. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum

from nurture.core.conditions import Condition, event_kinds, mentions
from nurture.core.events import HUMAN, KINDS
from nurture.core.facts import FIELDS
from nurture.core.program import Program
from nurture.core.words import FieldType
from nurture.errors import UsageError
from nurture.training.features import Feature, Source, features
from nurture.training.history import Example
from nurture.training.measure import Auc, Group, auc, calibration
from nurture.training.model import Row, fit
from nurture.training.rules import Rule, likelihood, points_of, rules_of, whole_points

LEAST = 50
"""How many contacts must have the outcome, and how many must not, before there is anything to learn."""

SUSPICIOUS = 0.80
"""An AUC that one field alone seldom reaches, unless it was written when the outcome was known."""

_FACTS = (
    "country",
    "source",
    "title",
    "buying_role",
    "locale",
    "time_zone",
    "account.industry",
    "account.employees",
    "account.revenue",
    "account.country",
    "account.time_zone",
)
_SIGNS = HUMAN | {"opened", "intent_signaled", "event_missed", "meeting_missed"}
_SHARES = (0.20, 0.40, 0.70)
"""Of those learned from the best fifth is A, the next fifth B, the next three tenths C."""


class Split(StrEnum):
    """How contacts are kept aside: by a hash of who they are, or those who became known last."""

    ID = "id"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A field or kind of event that predicts the outcome suspiciously well by itself."""

    name: str
    auc: float


@dataclass(frozen=True, slots=True)
class Trained:
    """What was learned from `learned` contacts, and how it ranks those who were kept aside.

    `auc` is of what was learned, `today` of the scoring so far, on the same contacts. `intercept` are the log-odds of
    somebody of no points.
    """

    rules: tuple[Rule, ...]
    grades: tuple[tuple[str, int], ...]
    intercept: float
    learned: int
    came_true: int
    auc: Auc
    today: Auc
    calibration: tuple[Group, ...]
    suspicions: tuple[Suspicion, ...]

    @property
    def people(self) -> int:
        """How many contacts there were."""
        return self.learned + self.auc.people


def sources_of(program: Program, outcome: Condition, without: Collection[str]) -> list[Source]:
    """Return what the model may look at: facts, own fields and signs of people, without those that the outcome asks.

    Raises UsageError for a name in `without` that is none of them.
    """
    every = {source.name: source for source in _every(program)}
    left_out = mentions(outcome) | event_kinds(outcome)
    for name in without:
        full = next((each for each in (name, f"fields.{name}", f"account.fields.{name}") if each in every), None)
        if full is None:
            close = get_close_matches(name, [*every, *(each.rpartition(".")[2] for each in every)], n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(every)}"
            raise UsageError(f"--without {name}: there is no such field or kind of event; {hint}")
        left_out |= {full}
    return [source for name, source in every.items() if name not in left_out]


def _every(program: Program) -> Iterator[Source]:
    for name in _FACTS:
        yield Source(name, FIELDS[name].label.capitalize(), FIELDS[name].type)
    for spec in program.fields.values():
        if spec.type is not FieldType.DATE:
            prefix = "account.fields." if spec.on == "account" else "fields."
            yield Source(prefix + spec.name, spec.label, spec.type)
    for kind in sorted(_SIGNS | program.lifecycle.event_kinds):
        label = KINDS[kind].label if kind in KINDS else kind.replace("_", " ")
        yield Source(kind, label.capitalize())


def train(
    examples: Sequence[Example],
    sources: Sequence[Source],
    hold_out: float,
    split: Split,
    grades: Sequence[str] = ("A", "B", "C"),
) -> Trained:
    """Learn from all examples but the share `hold_out`, and measure on those; raise UsageError if they are too few.

    `grades` are the names of the grades, best first, without the last one, which needs no points.
    """
    learn, aside = _apart(examples, hold_out, split)
    for part, what in ((learn, "learn from"), (aside, "measure on")):
        yes = sum(each.came_true for each in part)
        if min(yes, len(part) - yes) < LEAST * (1 if part is learn else 0.2):
            raise UsageError(
                f"there is too little to {what}: it came true of {yes:,} of {len(part):,} contacts, and {LEAST} of each"
                " are needed. Check --outcome, or wait for more history."
            )
    outcomes = [each.came_true for each in learn]
    chosen = _distinct(features(sources, [each.values for each in learn]), learn)
    rows = _rows(chosen, learn)
    fitted = fit(chosen, rows, outcomes)
    points = whole_points(fitted)
    rules = tuple(rules_of(chosen, points, rows, outcomes))
    measured = [points_of(chosen, points, row) for row in _rows(chosen, aside)]
    came_true = [each.came_true for each in aside]
    predicted = [likelihood(fitted.intercept, each) for each in measured]
    return Trained(
        rules=rules,
        grades=tuple(_graded(grades, [points_of(chosen, points, row) for row in rows])),
        intercept=fitted.intercept,
        learned=len(learn),
        came_true=sum(outcomes) + sum(came_true),
        auc=auc(measured, came_true),
        today=auc([each.today for each in aside], came_true),
        calibration=tuple(calibration(measured, predicted, came_true)),
        suspicions=tuple(_suspicions(chosen, rows, outcomes)),
    )


def _apart(examples: Sequence[Example], hold_out: float, split: Split) -> tuple[list[Example], list[Example]]:
    if split is Split.ID:
        kept = [each.drawn < hold_out for each in examples]
    else:
        moments: list[datetime] = sorted(each.since for each in examples)
        cut = moments[int(len(moments) * (1 - hold_out))] if moments else None
        kept = [cut is not None and each.since >= cut for each in examples]
    learn = [each for each, aside in zip(examples, kept, strict=True) if not aside]
    return learn, [each for each, aside in zip(examples, kept, strict=True) if aside]


def _rows(chosen: Sequence[Feature], examples: Sequence[Example]) -> list[Row]:
    names = [feature.source.name for feature in chosen]
    return [[each.values.get(name) for name in names] for each in examples]


def _distinct(found: Iterator[Feature], examples: Sequence[Example]) -> list[Feature]:
    """Return the features without those that tell people apart exactly as an earlier one does."""
    seen: set[tuple[int | None, ...]] = set()
    kept = []
    for feature in found:
        levels = tuple(feature.code(each.values.get(feature.source.name)) for each in examples)
        if levels not in seen:
            seen.add(levels)
            kept.append(feature)
    return kept


def _graded(names: Sequence[str], points: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield the grades with the least points of each, every one lower than the one before."""
    order = sorted(points, reverse=True)
    shares = _SHARES if len(names) == len(_SHARES) else [(at + 1) / (len(names) + 1) for at in range(len(names))]
    before = None
    for name, share in zip(names, shares, strict=True):
        least = order[min(int(len(order) * share), len(order) - 1)]
        before = least if before is None else min(least, before - 1)
        yield name, before


def _suspicions(chosen: Sequence[Feature], rows: Sequence[Row], outcomes: Sequence[bool]) -> Iterator[Suspicion]:
    """Yield what predicts too well alone: rates from every other person, measured on those between."""
    base = sum(outcomes) / len(outcomes)
    for place, feature in enumerate(chosen):
        levels = [feature.code(row[place]) for row in rows]
        seen: dict[int | None, list[int]] = {}
        for level, outcome in zip(levels[::2], outcomes[::2], strict=True):
            count = seen.setdefault(level, [0, 0])
            count[0] += 1
            count[1] += outcome
        rates = {level: (yes + base) / (count + 1) for level, (count, yes) in seen.items()}
        alone = auc([rates.get(level, base) for level in levels[1::2]], outcomes[1::2]).value
        if alone >= SUSPICIOUS:
            yield Suspicion(feature.source.name, alone)
