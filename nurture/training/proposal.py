"""A proposed lifecycle file: the one that there is, with its scoring replaced. Pure text; everything else stays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from nurture.core.lifecycle import Lifecycle
from nurture.errors import UsageError
from nurture.training.rules import Rule

HALF_LIFE = timedelta(days=30)
"""How fast an event fades that scored nothing so far."""


def propose(
    text: str,
    scoring: Mapping[str, Any],
    lifecycle: Lifecycle,
    name: str,
    rules: Sequence[Rule],
    grades: Sequence[tuple[str, int]],
    notes: Sequence[str],
) -> str:
    """Return the text of a lifecycle file, named `name`, with these rules as its scoring and `notes` above them.

    `scoring` is what the text says there now: who is disqualified stays so, and so does whatever is neither fit nor
    engagement. Where nothing was learned of events, engagement stays too, and the rank is fit alone. Raises UsageError
    when the file is written in a way in which no part can be replaced.
    """
    block = [f"  # {note}" if note else "  #" for note in notes]
    signs = [rule for rule in rules if rule.kind is not None and rule.points > 0]
    engagement = _learned(lifecycle, signs) if signs else _as_it_was(scoring)
    lines = ["scoring:", *block, *_fit(scoring, lifecycle, rules, grades), *engagement]
    others = {key: value for key, value in scoring.items() if key not in ("fit", "engagement", "rank")}
    lines += [f"  {key}: {_flow(value)}" for key, value in others.items()]
    return _renamed(_replaced(text, lines), name)


def _fit(
    scoring: Mapping[str, Any], lifecycle: Lifecycle, rules: Sequence[Rule], grades: Sequence[tuple[str, int]]
) -> Iterator[str]:
    yield "  fit:"
    facts = [rule for rule in rules if rule.kind is None or rule.points < 0]
    yield "    rules:" if facts else "    rules: []"
    label = None
    for rule in facts:
        if rule.label != label:
            label = rule.label
            yield f"      # {label}"
        yield f"      - {{when: {_flow(rule.when)}, points: {rule.points}, label: {_flow(rule.label)}}}"
    yield f"    grades: {{{_grades(lifecycle, grades)}}}"
    unwanted = (scoring.get("fit") or {}).get("disqualify") or []
    if unwanted:
        yield "    disqualify:"
        yield from (f"      - {_flow(each)}" for each in unwanted)


def _grades(lifecycle: Lifecycle, grades: Sequence[tuple[str, int]]) -> str:
    last = lifecycle.fit.grades[-1][0]
    lowest = [] if last == "D" else [(last, -1_000_000)]  # D is there without a word
    return ", ".join(f"{grade}: {points}" for grade, points in [*grades, *lowest])


def _learned(lifecycle: Lifecycle, signs: Sequence[Rule]) -> Iterator[str]:
    yield "  engagement:"
    yield "    categories:"
    for rule in signs:
        fading = next((each.half_life for each in lifecycle.categories if rule.kind in each.weights), HALF_LIFE)
        points = f"cap: {rule.points}, half_life: {_length(fading)}, events: {{{rule.kind}: {rule.points}}}"
        yield f"      {rule.kind}: {{{points}}}"
    yield "  rank: {fit: 1, engagement: 1}   # both are the same points"


def _as_it_was(scoring: Mapping[str, Any]) -> Iterator[str]:
    engagement = scoring.get("engagement") or {}
    yield "  # Nothing was learned of events: they count as before, and not in the rank."
    yield "  engagement:" if engagement else "  engagement: {}"
    for key, value in engagement.items():
        if key != "categories" or not value:
            yield f"    {key}: {_flow(value)}"
            continue
        yield "    categories:"
        yield from (f"      {name}: {_flow(category)}" for name, category in value.items())
    yield "  rank: {fit: 1, engagement: 0}"


def _length(length: timedelta) -> str:
    minutes = length // timedelta(minutes=1)
    if minutes % 1440 == 0:
        return f"{minutes // 1440} days"
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} minutes"


def _flow(value: Any) -> str:
    """Return a value as YAML on one line, which JSON is."""
    return json.dumps(value, ensure_ascii=False)


def _replaced(text: str, lines: Sequence[str]) -> str:
    """Return the text with its `scoring:` replaced, or at its end where it has none."""
    old = text.splitlines()
    start = next((place for place, line in enumerate(old) if line.startswith("scoring:")), None)
    if start is None:
        return "\n".join([*old, "", *lines]) + "\n"
    end = next((place for place in range(start + 1, len(old)) if old[place][:1] not in ("", " ", "#")), len(old))
    while end > start + 1 and old[end - 1][:1] in ("", "#"):  # what stands above the next part belongs to it
        end -= 1
    return "\n".join([*old[:start], *lines, *old[end:]]) + "\n"


def _renamed(text: str, name: str) -> str:
    old = text.splitlines()
    place = next((place for place, line in enumerate(old) if line.startswith("name:")), None)
    if place is None:
        raise UsageError("the lifecycle file has no line that begins with `name:`: write its keys one below the other")
    return "\n".join([*old[:place], f"name: {name}", *old[place + 1 :]]) + "\n"
