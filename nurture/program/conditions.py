"""One condition as somebody types it, checked against the words of a lifecycle and the fields of a program."""

from __future__ import annotations

from dataclasses import replace

from nurture.core.conditions import Condition
from nurture.core.events import KINDS
from nurture.core.facts import SLOTS
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import Program
from nurture.core.schema import Flaws, Vocabulary, parse_condition
from nurture.core.words import FieldType, Role, Voice
from nurture.errors import UsageError
from nurture.program.reading import fields_known


def read_condition(text: str, lifecycle: Lifecycle, program: Program, option: str) -> Condition:
    """Return the condition; raise UsageError with every mistake, each with the place in the text."""
    try:
        return parse_condition(text, words_of(lifecycle, program))
    except Flaws as found:
        wrong = "; ".join(
            f"{flaw.what} (at {flaw.offset + 1})" + (f", {flaw.hint}" if flaw.hint else "") for flaw in found.flaws
        )
        raise UsageError(f"{option} {text!r}: {wrong}") from None


def words_of(lifecycle: Lifecycle, program: Program) -> Vocabulary:
    """Return the names that a condition may use under a lifecycle."""
    known = fields_known(program.fields)
    slots = {f"{SLOTS}{slot.name}": slot.values for slot in lifecycle.slots}
    stages = [stage.name for stage in lifecycle.stages]
    words = {name: values for name, values in slots.items() if values}
    return replace(
        known.with_values(
            stage=stages,
            role=list(Role),
            voice=list(Voice),
            level=[name for name, _ in lifecycle.levels],
            fit=[grade for grade, _ in lifecycle.fit.grades],
            **words,
        ),
        fields={**(known.fields or {}), **dict.fromkeys(slots, FieldType.TEXT)},
        stages=stages,
        events=[*KINDS, *lifecycle.event_kinds],
    )
