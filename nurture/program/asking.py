"""Reads a condition that somebody asks about the live program, such as `nurture segments count --when "…"`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nurture.core.conditions import Condition
from nurture.core.events import KINDS
from nurture.core.facts import FIELDS, SLOTS
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import Program
from nurture.core.schema import Flaw, Flaws, Vocabulary, look, parse_condition
from nurture.core.segments import written_out
from nurture.core.words import FieldType, Role, Voice
from nurture.errors import UsageError


def read_condition(text: str, program: Program) -> Condition:
    """Return the condition, with the rules of segments in place of their names; raise UsageError pointing at mistakes.

    Every name must be one that the program has.
    """
    try:
        condition = parse_condition(text, _known(program))
    except Flaws as found:
        raise UsageError("\n".join(_pointed(text, flaw) for flaw in found.flaws)) from None
    return written_out(condition, program.segments.rules)


def remembering(lifecycle: Lifecycle, condition: Condition) -> Lifecycle:
    """Return the lifecycle with a memory as long as the condition looks back."""
    memory = max(lifecycle.memory, look(condition))
    return lifecycle if memory == lifecycle.memory else replace(lifecycle, memory=memory)


def _known(program: Program) -> Vocabulary:
    lifecycle = program.lifecycle
    known = Vocabulary().with_fields({name: info.type for name, info in FIELDS.items()}, program.fields)
    slots = {f"{SLOTS}{slot.name}": slot.values for slot in lifecycle.slots}
    stages = [stage.name for stage in lifecycle.stages]
    words: dict[str, Collection[str]] = {
        "stage": stages,
        "role": list(Role),
        "voice": list(Voice),
        "level": [name for name, _ in lifecycle.levels],
        "fit": [grade for grade, _ in lifecycle.fit.grades],
    }
    return Vocabulary(
        fields={**(known.fields or {}), **dict.fromkeys(slots, FieldType.TEXT)},
        values={**known.values, **words, **{name: values for name, values in slots.items() if values}},
        events={*KINDS, *lifecycle.event_kinds},
        stages=stages,
        segments=tuple(program.segments.by_name),
    )


def _pointed(text: str, flaw: Flaw) -> str:
    hint = f" ({flaw.hint})" if flaw.hint else ""
    return f"--when: {flaw.what}{hint}\n  {text}\n  {' ' * flaw.offset}^"
