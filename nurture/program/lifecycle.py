"""Reading one lifecycle file that need not be part of the program: to compare with what is live, or to score by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nurture.core.conditions import Condition
from nurture.core.events import KINDS
from nurture.core.findings import Texts
from nurture.core.lifecycle import Lifecycle
from nurture.core.lint_lifecycle import lifecycle_problems
from nurture.core.program import Program
from nurture.core.schema import Flaws, parse, parse_condition, read_lifecycle
from nurture.errors import Problem, ProgramError, UsageError
from nurture.program.reading import fields_known, text_hash


def load_lifecycle(path: Path, program: Program) -> Lifecycle:
    """Read a `kind: lifecycle` file that speaks of the fields of `program`.

    Raises:
        UsageError: it cannot be read.
        ProgramError: it has mistakes, those that only show in the whole included; every one is listed.
    """
    lifecycle, problems = check_lifecycle(lifecycle_text(path), str(path), program)
    if problems:
        raise ProgramError(problems)
    return lifecycle


def check_lifecycle(text: str, file: str, program: Program) -> tuple[Lifecycle, list[Problem]]:
    """Return the lifecycle of a text, and what is wrong with it as a whole; raise ProgramError when it has no form."""
    lifecycle = replace(read_lifecycle(text, file, fields_known(program.fields)), hash=text_hash(text))
    alone = replace(program, lifecycle=lifecycle, sequences={})
    problems = lifecycle_problems(alone, Texts({file: text}))
    return lifecycle, sorted(problems, key=lambda each: (each.line, each.column))


def read_condition(text: str, program: Program) -> Condition:
    """Read a condition that speaks of the program's fields, stages and events; raise UsageError with every mistake."""
    rules = program.lifecycle
    stages = [stage.name for stage in rules.stages]
    known = replace(
        fields_known(program.fields).with_values(stage=stages), stages=stages, events=[*KINDS, *rules.event_kinds]
    )
    try:
        return parse_condition(text, known)
    except Flaws as wrong:
        said = (flaw.what + (f", {flaw.hint}" if flaw.hint else "") for flaw in wrong.flaws)
        raise UsageError(f"{text!r}: {'; '.join(said)}") from None


def scoring_of(text: str, file: str) -> Mapping[str, Any]:
    """Return what a lifecycle file says under `scoring`, as it stands there; raise ProgramError when it is no YAML."""
    value = parse(text, file).value
    scoring = value.get("scoring") if isinstance(value, dict) else None
    return scoring if isinstance(scoring, dict) else {}


def lifecycle_text(path: Path) -> str:
    """Return the text of a lifecycle file; raise UsageError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"the lifecycle {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the lifecycle {path} is not UTF-8 text: save it as UTF-8") from None
