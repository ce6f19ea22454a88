"""A lifecycle as an outline for the terminal: stages with owner, role and voice, and where each leads, and when."""

from __future__ import annotations

from collections.abc import Iterator

from nurture.core.conditions import say
from nurture.core.definition import Stage
from nurture.core.lifecycle import Lifecycle, Move


def outline(lifecycle: Lifecycle) -> Iterator[str]:
    """Yield the lines."""
    yield f"{lifecycle.name} ({lifecycle.file})"
    if lifecycle.description:
        yield " ".join(lifecycle.description.split())
    for stage in lifecycle.stages:
        yield ""
        yield from _stage(stage, lifecycle)
    yield ""
    yield from _beside(lifecycle)


def _stage(stage: Stage, lifecycle: Lifecycle) -> Iterator[str]:
    begins = " · everybody begins here" if stage.name == lifecycle.start else ""
    yield f"● {stage.label} [{stage.name}]  {stage.role} · {stage.voice} voice · owned by {stage.owner}{begins}"
    if stage.content:
        yield f"  │ content: {', '.join(sorted(stage.content))}"
    leaving = [move for move in lifecycle.moves if move.from_stage == stage.name]
    for place, move in enumerate(leaving):
        last = place == len(leaving) - 1
        yield f"  {'└' if last else '├'}─▶ {move.to_stage}: {move.reason}"
        yield from (f"  {' ' if last else '│'}     {line}" for line in move_details(move, lifecycle))


def move_details(move: Move, lifecycle: Lifecycle) -> Iterator[str]:
    """Yield what has to hold for a move, and what holds it back."""
    yield f"when {say(move.when)}" if move.when is not None else "only by hand"
    bars = []
    if move.dwell:
        bars.append(f"after {move.dwell} in the stage")
    if move.cool_off:
        bars.append(f"{move.cool_off} after leaving {move.to_stage}")
    bars += [
        f"after {reason!r}: " + ("never again" if length is None else f"{length} later")
        for reason, length in move.cool_off_by
    ]
    if move.at_most:
        bars.append(f"at most {move.at_most} times")
    if bars:
        yield f"not before: {'; '.join(bars)}"
    yield f"{lifecycle.file}:{move.line}"


def _beside(lifecycle: Lifecycle) -> Iterator[str]:
    if lifecycle.levels:
        yield "Levels, best first"
        yield from (f"  {name}: {say(when)}" for name, when in lifecycle.levels)
    if lifecycle.slots:
        yield "Qualification slots"
        for slot in lifecycle.slots:
            words = f": {', '.join(slot.values)}" if slot.values else ""
            yield f"  {slot.label} [{slot.name}]{words} (fresh for {slot.fresh_for})"
    if lifecycle.recycles is not None:
        yield f"Nobody goes back from sales to marketing more than {lifecycle.recycles} times by themselves."
