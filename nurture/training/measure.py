"""How well an order of people fits what came of them: AUC with its interval, and calibration. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

GROUPS = 10
_WIDTH = 1.96
"""Standard errors on either side: 95 of 100 such intervals hold the true value."""


@dataclass(frozen=True, slots=True)
class Auc:
    """How often one of whom it came true stands before one of whom it did not; between `low` and `high` (95 %)."""

    value: float
    low: float
    high: float
    people: int


def auc(scores: Sequence[float], outcomes: Sequence[bool]) -> Auc:
    """Return the AUC (a tie is half) with the interval of Hanley and McNeil (Radiology 143, 1982).

    Where all outcomes are the same nothing can be said: one half, from 0 to 1.
    """
    positive = sum(outcomes)
    negative = len(outcomes) - positive
    if not positive or not negative:
        return Auc(0.5, 0.0, 1.0, len(outcomes))
    below = won = 0.0
    for _, group in groupby(sorted(zip(scores, outcomes, strict=True)), key=lambda each: each[0]):
        came_true = [outcome for _, outcome in group]
        yes = sum(came_true)
        no = len(came_true) - yes
        won += yes * (below + no / 2)
        below += no
    value = won / (positive * negative)
    error = _standard_error(value, positive, negative)
    return Auc(value, max(0.0, value - _WIDTH * error), min(1.0, value + _WIDTH * error), len(outcomes))


def _standard_error(value: float, positive: int, negative: int) -> float:
    twice, both = value / (2 - value), 2 * value * value / (1 + value)
    square = value * value
    spread = value * (1 - value) + (positive - 1) * (twice - square) + (negative - 1) * (both - square)
    return math.sqrt(max(0.0, spread) / (positive * negative))


@dataclass(frozen=True, slots=True)
class Group:
    """People of about the same points (from `low` to `high`): what was predicted of them, and what came true."""

    low: int
    high: int
    people: int
    predicted: float
    came_true: float


def calibration(points: Sequence[int], predicted: Sequence[float], outcomes: Sequence[bool]) -> list[Group]:
    """Return ten groups of about as many people, by points, lowest first; people of the same points stay together."""
    order = sorted(zip(points, predicted, outcomes, strict=True))
    found: list[Group] = []
    start = 0
    for place in range(1, GROUPS + 1):
        end = max(start, len(order) * place // GROUPS)
        while start < end < len(order) and order[end][0] == order[end - 1][0]:
            end += 1
        if end > start:
            found.append(_group(order[start:end]))
            start = end
    return found


def _group(part: Sequence[tuple[int, float, bool]]) -> Group:
    people = len(part)
    predicted, came_true = sum(each[1] for each in part) / people, sum(each[2] for each in part) / people
    return Group(part[0][0], part[-1][0], people, predicted, came_true)
