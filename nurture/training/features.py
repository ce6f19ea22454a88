"""What a model may look at, cut into levels that a rule can ask for: words, bands of numbers, events. Pure.

A level is a condition of the lifecycle file. Whoever has none of a feature's levels (unknown, or too rare a word) gets
no points for it: unknown is neutral.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nurture.core.model import Value
from nurture.core.words import FieldType

BANDS = 12
"""Into how many bands of about as many people a number is cut."""

MOST_WORDS = 40
"""The most frequent words of a field that get a level of their own."""


@dataclass(frozen=True, slots=True)
class Source:
    """A field or a kind of event (`type` None) that the model may look at."""

    name: str
    label: str
    type: FieldType | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """A source with its levels. `values` are words, `edges` the borders of bands: a band begins with its lower one."""

    source: Source
    values: tuple[Value, ...] = ()
    edges: tuple[float, ...] = ()
    baseline: int | None = None
    code: Callable[[Value], int | None] = lambda value: None

    @property
    def size(self) -> int:
        """How many levels there are."""
        return len(self.edges) + 1 if self.edges else len(self.values)


def features(sources: Sequence[Source], rows: Sequence[Mapping[str, Value]]) -> Iterator[Feature]:
    """Yield every source that tells people apart, with levels that enough of the `rows` have."""
    least = fewest(len(rows))
    for source in sources:
        values = [row.get(source.name) for row in rows]
        made = _numeric(source, values, least) if source.type is FieldType.NUMBER else _worded(source, values, least)
        if made.size > 1 or (made.size == 1 and made.baseline is None):
            yield made


def fewest(people: int) -> int:
    """Return how many people a level must have at least, so that its points are more than chance."""
    return max(10, math.ceil(people * 0.005))


def condition(feature: Feature, levels: Sequence[int]) -> str:
    """Return the condition, as a lifecycle file writes it, that holds for these levels (bands: neighbors)."""
    name = feature.source.name
    if feature.source.type is None:
        return f"did('{name}')"
    if not feature.edges:
        words = [feature.values[level] for level in levels]
        return f"{name} == {quoted(words[0])}" if len(words) == 1 else f"{name} in ({', '.join(map(quoted, words))})"
    low = feature.edges[levels[0] - 1] if levels[0] else None
    high = feature.edges[levels[-1]] if levels[-1] < len(feature.edges) else None
    if low is None:
        return f"{name} < {high:.12g}"
    return f"{name} >= {low:.12g}" if high is None else f"{low:.12g} <= {name} < {high:.12g}"


def quoted(value: Value) -> str:
    """Return a value as conditions write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if "'" in str(value) else f"'{value}'"


def _worded(source: Source, values: Sequence[Value], least: int) -> Feature:
    counts = Counter(value for value in values if _sayable(value))
    kept = [value for value, count in counts.most_common(MOST_WORDS) if count >= least]
    if source.type in (None, FieldType.BOOLEAN):
        kept = [True] if True in kept and counts[True] <= len(values) - least else []
    places = {value: place for place, value in enumerate(kept)}
    others = len(values) - sum(counts[value] for value in kept)
    baseline = 0 if kept and others < least else None
    return Feature(source, tuple(kept), (), baseline, places.get)


def _sayable(value: Value) -> bool:
    """Return whether a condition can be written that compares with the value."""
    if isinstance(value, bool):
        return True
    return isinstance(value, str) and len(value) <= 100 and "\\" not in value and not ("'" in value and '"' in value)


def _numeric(source: Source, values: Sequence[Value], least: int) -> Feature:
    numbers = sorted(float(value) for value in values if isinstance(value, int | float))
    above = numbers[bisect_right(numbers, 0.0) :]
    zeros = len(numbers) - len(above)
    cut = above if zeros >= least else numbers
    if len(cut) < 2 * least:
        return Feature(source)
    bands = min(BANDS, len(cut) // least)
    inner = (_readable(cut[len(cut) * place // bands]) for place in range(1, bands))
    first = [_readable(above[0])] if zeros >= least and above else []
    edges = tuple(_roomy(sorted({*first, *inner}), numbers, least))
    if not edges:
        return Feature(source)

    def code(value: Value) -> int | None:
        return bisect_right(edges, value) if isinstance(value, int | float) else None

    known = Counter(map(code, values))
    baseline = known.most_common(1)[0][0] if known[None] < least else None
    return Feature(source, (), edges, baseline, code)


def _roomy(edges: Sequence[float], numbers: Sequence[float], least: int) -> Iterator[float]:
    """Yield the edges that have enough of the (sorted) numbers on either side, up to their neighbors."""
    below = 0
    for edge in edges:
        at = bisect_left(numbers, edge)
        if at - below >= least and len(numbers) - at >= least:
            yield edge
            below = at


def _readable(number: float) -> float:
    """Return a number near this one that people would write: two digits that count."""
    if number == 0:
        return 0.0
    return round(number, 1 - math.floor(math.log10(abs(number))))
