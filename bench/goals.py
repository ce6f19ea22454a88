"""What is to be reached, and whether it was: ratios of figures of one run, and a few absolute figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

AFTER, BEHIND = "pipelined smtp, envelope after the answer", "pipelined smtp, envelope behind the body"


@dataclass(frozen=True)
class Goal:
    """A figure to reach: at least (or, with `most`, at most) `floor`, better `goal`; neither where it only explains."""

    number: int
    what: str
    floor: float | None = None
    goal: float | None = None
    most: bool = False
    unit: str = ""

    def verdict(self, value: float) -> str | None:
        """Return `goal`, `floor` or `missed`; None where nothing is to be reached."""
        if self.floor is None:
            return None
        for name, bound in (("goal", self.goal), ("floor", self.floor)):
            if bound is not None and (value <= bound if self.most else value >= bound):
                return name
        return "missed"

    def said(self, value: float) -> str:
        """Return a figure as people read it."""
        if self.unit == "%":
            return f"{value * 100:.3g}%"
        return f"{value:,.0f} {self.unit}".strip() if value >= 1_000 else f"{value:.4g} {self.unit}".strip()

    def bound(self, value: float | None) -> str:
        """Return what is to be reached as people read it."""
        return "–" if value is None else f"{'≤' if self.most else '≥'} {self.said(value)}"


BESIDE_SMTP = Goal(5, "SMTP end to end ÷ django-post_office (queued and sent)", 15, 25, unit="times")
BESIDE_BATCH = Goal(5, "batches end to end ÷ django-post_office (queued and sent)", 25, 50, unit="times")
COMPOSITE = Goal(6, "end to end, of its parts one after the other (the composite floor)", 0.8, 0.9, unit="%")
OF_RAW_SMTP = Goal(7, f"SMTP end to end, of {AFTER}", 0.3, 0.5, unit="%")
OF_RAW_BEHIND = Goal(7, f"SMTP end to end, of {BEHIND}", unit="%")
OF_TIGHTEST = Goal(7, "SMTP end to end, of raw smtp (the tightest loop)", unit="%")
DUE = Goal(8, "cost of a due message among many runs ÷ among few", 1.3, 1.1, most=True, unit="times")
IDLE = {
    "sqlite": Goal(9, "a tick with nothing due", 0.2, 0.1, most=True, unit="ms"),
    "postgresql": Goal(9, "a tick with nothing due", 1.5, 0.75, most=True, unit="ms"),
}
MEMORY = Goal(10, "peak memory ÷ among 10,000", 1.2, 1.1, most=True, unit="times")
MEGABYTES = Goal(10, "peak memory", 140, 110, most=True, unit="MB")
ROWS = Goal(11, "writing message rows, of the driver's own bulk rate", 0.7, 0.85, unit="%")
IMPORT = {
    "import 8 columns": Goal(12, "contacts imported", 20_000, 50_000, unit="rows/s"),
    "import 18 columns": Goal(12, "contacts imported", 6_000, 15_000, unit="rows/s"),
}
IMPORT_MEMORY = Goal(12, "peak memory ÷ of an import of 10,000 rows", 1.2, 1.1, most=True, unit="times")
IMPORT_MEGABYTES = Goal(12, "peak memory", 140, 110, most=True, unit="MB")


def beside(goal: Goal, database: str) -> Goal:
    """Return a goal that was found on SQLite: on another database it is a figure without a verdict."""
    return goal if database == "sqlite" else replace(goal, floor=None, goal=None)


@dataclass(frozen=True)
class Reached:
    """A figure beside its goal; `about` says what it is about (a database, a kind of import)."""

    goal: Goal
    about: str
    value: float

    def line(self) -> str:
        """Return it as a JSON line."""
        goal = self.goal
        told = {"number": goal.number, "goal": f"{self.about}: {goal.what}", "value": round(self.value, 4)}
        bounds = {"floor": goal.floor, "goal_value": goal.goal, "at_most": goal.most, "unit": goal.unit}
        return json.dumps(told | bounds | {"reached": goal.verdict(self.value)}, ensure_ascii=False)


def table(reached: Iterable[Reached]) -> str:
    """Return the figures in the order of their goals, what was to be reached, and whether it was."""
    rows = [("goal", "", "measured", "floor", "goal", "reached")]
    for each in sorted(reached, key=lambda found: found.goal.number):
        goal = each.goal
        bounds = goal.bound(goal.floor), goal.bound(goal.goal)
        verdict = goal.verdict(each.value) or "–"
        rows.append((f"{goal.number:>4}", f"{each.about}: {goal.what}", goal.said(each.value), *bounds, verdict))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
