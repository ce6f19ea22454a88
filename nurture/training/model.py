"""Log-odds of the outcome as a sum over levels: a logistic regression. The only module that loads scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from nurture.core.model import Value
from nurture.errors import UsageError
from nurture.training.features import Feature

STRENGTH = 0.3
"""How far the data may pull a weight from zero (scikit-learn's C): rare levels stay near nothing."""

Row = Sequence[Value]
"""What is known of one person, one value a feature."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """`intercept` and, for each feature, the log-odds of its levels."""

    intercept: float
    weights: tuple[tuple[float, ...], ...]


def require() -> None:
    """Raise UsageError with what to install when scikit-learn is not there."""
    if find_spec("sklearn") is None:
        raise UsageError("`nurture score train` needs scikit-learn: pip install 'nurture[train]'")


def fit(features: Sequence[Feature], rows: Sequence[Row], outcomes: Sequence[bool]) -> Fitted:
    """Return the weights that explain the outcomes best; the same rows always give the same weights."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    starts, width = _starts(features)
    columns: list[int] = []
    ends = [0]
    for row in rows:
        for feature, start, value in zip(features, starts, row, strict=True):
            level = feature.code(value)
            if level is not None and level != feature.baseline:
                columns.append(start + level)
        ends.append(len(columns))
    matrix = csr_matrix(([1.0] * len(columns), columns, ends), shape=(len(rows), width))
    model = LogisticRegression(C=STRENGTH, max_iter=2_000).fit(matrix, list(outcomes))
    found = [float(weight) for weight in model.coef_[0]]
    weights = tuple(tuple(found[start : start + each.size]) for each, start in zip(features, starts, strict=True))
    return Fitted(float(model.intercept_[0]), weights)


def _starts(features: Sequence[Feature]) -> tuple[list[int], int]:
    starts, width = [], 0
    for feature in features:
        starts.append(width)
        width += feature.size
    return starts, width
