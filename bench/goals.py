"""What is to be reached, and whether it was: ratios of figures of one run, and a few absolute figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure to reach: at least (or, with `most`, at most) `floor`, better `goal`."""

    what: str
    floor: float
    goal: float
    most: bool = False
    unit: str = ""

    def verdict(self, value: float) -> str:
        """Return `goal`, `floor` or `missed`."""
        for name, bound in (("goal", self.goal), ("floor", self.floor)):
            if value <= bound if self.most else value >= bound:
                return name
        return "missed"

    def said(self, value: float) -> str:
        """Return a figure as people read it."""
        if self.unit == "%":
            return f"{value:.0%}"
        return f"{value:,.0f} {self.unit}".strip() if value >= 100 else f"{value:.3g} {self.unit}".strip()


BESIDE_SMTP = Goal("SMTP ÷ django-post_office, queued and sent", 15, 25)
BESIDE_BATCH = Goal("batches ÷ django-post_office, queued and sent", 25, 50)
COMPOSITE = Goal("of the composite floor", 0.8, 0.9, unit="%")
OF_RAW_SMTP = Goal("of raw pipelined SMTP", 0.3, 0.5, unit="%")
DUE = Goal("cost of a due message among many runs ÷ among few", 1.3, 1.1, most=True)
IDLE = {
    "sqlite": Goal("a tick with nothing due", 0.2, 0.1, most=True, unit="ms"),
    "postgresql": Goal("a tick with nothing due", 1.5, 0.75, most=True, unit="ms"),
}
MEMORY = Goal("peak memory among many contacts ÷ among few", 1.2, 1.1, most=True)
MEGABYTES = Goal("peak memory", 140, 110, most=True, unit="MB")
ROWS = Goal("writing message rows, of the driver's own bulk rate", 0.7, 0.85, unit="%")
IMPORT = {
    "import 8 columns": Goal("imported a second", 20_000, 50_000, unit="rows"),
    "import 18 columns": Goal("imported a second", 6_000, 15_000, unit="rows"),
}
IMPORT_MEMORY = Goal("peak memory of a long import ÷ of one of 10,000 rows", 1.2, 1.1, most=True)


@dataclass(frozen=True)
class Reached:
    """A figure beside its goal; `about` says what it is about (a database, a kind of import)."""

    goal: Goal
    about: str
    value: float

    def line(self) -> str:
        """Return it as a JSON line."""
        goal = self.goal
        told = {"goal": f"{self.about}: {goal.what}", "value": round(self.value, 4), "floor": goal.floor}
        bounds = {"goal_value": goal.goal, "at_most": goal.most, "unit": goal.unit, "reached": goal.verdict(self.value)}
        return json.dumps(told | bounds, ensure_ascii=False)


def table(reached: Iterable[Reached]) -> str:
    """Return the figures, what was to be reached, and whether it was."""
    rows = [("", "measured", "floor", "goal", "reached")]
    for each in reached:
        sign = "≤" if each.goal.most else "≥"
        bounds = [f"{sign} {each.goal.said(bound)}" for bound in (each.goal.floor, each.goal.goal)]
        verdict = each.goal.verdict(each.value)
        rows.append((f"{each.about}: {each.goal.what}", each.goal.said(each.value), *bounds, verdict))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
