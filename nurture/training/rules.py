"""From log-odds to whole points that a marketer can read: ten points double the odds. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from nurture.core.model import Value
from nurture.training.features import Feature, condition
from nurture.training.model import Fitted, Row

DOUBLING = 10
"""Points that double the odds."""

LEAST = 2
"""Fewer points are not worth a rule."""

_LONGEST = 1_500
"""Characters of one condition: the language allows 2,000."""

Points = tuple[tuple[int, ...], ...]
"""Whole points, for each feature those of its levels."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Points for those who meet `when`. `kind` is set where it is an event that they did.

    `people` of those learned from meet it; of them the share `came_true`.
    """

    label: str
    when: str
    points: int
    people: int
    came_true: float
    kind: str | None = None


def whole_points(fitted: Fitted) -> Points:
    """Return the weights as whole points; what is next to nothing is nothing."""
    return tuple(tuple(_whole(weight) for weight in weights) for weights in fitted.weights)


def _whole(weight: float) -> int:
    points = round(weight / math.log(2) * DOUBLING)
    return points if abs(points) >= LEAST else 0


def points_of(features: Sequence[Feature], points: Points, row: Row) -> int:
    """Return the sum of what a person has."""
    total = 0
    for feature, own, value in zip(features, points, row, strict=True):
        level = feature.code(value)
        if level is not None and level != feature.baseline:
            total += own[level]
    return total


def likelihood(intercept: float, points: int) -> float:
    """Return the probability that points stand for."""
    return 1 / (1 + math.exp(-(intercept + points * math.log(2) / DOUBLING)))


def rules_of(
    features: Sequence[Feature], points: Points, rows: Sequence[Row], outcomes: Sequence[bool]
) -> Iterator[Rule]:
    """Yield the rules that give or take points; levels of the same points are one rule."""
    for place, (feature, own) in enumerate(zip(features, points, strict=True)):
        reached = _reached(feature, [row[place] for row in rows], outcomes)
        for worth, levels in _together(feature, own):
            people, came_true = (sum(reached[level][part] for level in levels) for part in (0, 1))
            kind = feature.source.name if feature.source.type is None else None
            share = came_true / people if people else 0.0
            yield Rule(feature.source.label, condition(feature, levels), worth, people, share, kind)


def _reached(feature: Feature, values: Sequence[Value], outcomes: Sequence[bool]) -> list[list[int]]:
    """Return for each level how many have it, and of how many of those it came true."""
    found = [[0, 0] for _ in range(feature.size)]
    for value, outcome in zip(values, outcomes, strict=True):
        if (level := feature.code(value)) is not None:
            found[level][0] += 1
            found[level][1] += outcome
    return found


def _together(feature: Feature, points: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    levels = [level for level in range(feature.size) if level != feature.baseline]
    if feature.edges:
        for (worth, _), part in groupby(levels, key=lambda level: (points[level], _run(levels, points, level))):
            if worth:
                yield worth, list(part)
        return
    for worth in sorted({points[level] for level in levels} - {0}, reverse=True):
        yield from ((worth, part) for part in _short(feature, [level for level in levels if points[level] == worth]))


def _run(levels: Sequence[int], points: Sequence[int], level: int) -> int:
    """Return where the unbroken run of neighboring bands of the same points begins in which `level` is."""
    while level - 1 in levels and points[level - 1] == points[level]:
        level -= 1
    return level


def _short(feature: Feature, levels: Sequence[int]) -> Iterator[list[int]]:
    """Yield the levels in parts whose conditions are not too long."""
    part: list[int] = []
    for level in levels:
        if part and len(condition(feature, [*part, level])) > _LONGEST:
            yield part
            part = []
        part.append(level)
    yield part
