"""What was measured, by name and round, and what could not be: a part that fails takes no other's figures with it."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.goals import Reached


class Figures(NamedTuple):
    """Mails (or rows) a second, our CPU microseconds for each, and peak memory in MB; 0 where it is not measured."""

    rate: float
    cpu_us: float = 0.0
    peak_mb: float = 0.0


@dataclass
class Results:
    """All figures so far; each is printed as a line for programs as soon as it is there."""

    rounds: dict[str, dict[int, Figures]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    reached: list[Reached] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    round: int = 0

    def begin_round(self) -> None:
        """Let what follows be compared with one another."""
        self.round += 1

    def add(self, name: str, *figures: float, unit: str = "mails") -> None:
        """Take down what a round gave."""
        found = Figures(*figures)
        self.rounds.setdefault(name, {})[self.round] = found
        self.units[name] = unit
        told = {"cpu_us": round(found.cpu_us, 1) or None, "peak_mb": round(found.peak_mb, 1) or None}
        print(json.dumps({"measured": name, "unit": f"{unit}/s", "rate": round(found.rate, 1), **told}), flush=True)

    def take(self, name: str, measure: Callable[[], Sequence[float]], *, unit: str = "mails") -> None:
        """Take down what a part gives, or that it failed."""
        with self.part(name):
            self.add(name, *measure(), unit=unit)

    def reach(self, figures: Iterator[Reached]) -> None:
        """Take down figures that have a goal."""
        for found in figures:
            print(found.line(), flush=True)
            self.reached.append(found)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Go on after the block when it fails, and say so."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it was, the figures of half an hour are worth more
            self.failed.append(name)
            self.note(f"{name} was not measured: {str(error).strip() or type(error).__name__}")

    def note(self, words: str) -> None:
        """Tell whoever watches, and keep the first and the last line of it for below the tables."""
        lines = words.splitlines()
        brief = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"
        if brief not in self.notes:
            self.notes.append(brief)
            print(f"NOTE: {words}", file=sys.stderr, flush=True)

    def median(self, name: str) -> Figures:
        """Return the median of each figure."""
        return Figures(*(statistics.median(each) for each in zip(*self.rounds[name].values(), strict=True)))

    def ratio(self, name: str, of: Sequence[str]) -> float | None:
        """Return the median of what `name` is of all of `of` one after the other, compared round by round.

        None where no round has them all.
        """
        rates = self.rounds.get(name, {})
        floors = [self.rounds.get(other, {}) for other in of]
        whole = [number for number in rates if all(number in each for each in floors)]
        ratios = [rates[number].rate * sum(1 / each[number].rate for each in floors) for number in whole]
        return float(statistics.median(ratios)) if ratios else None
