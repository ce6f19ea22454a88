"""Reading one lifecycle file that need not be part of the program: to compare with what is live, or to score by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nurture.core.findings import Texts
from nurture.core.lifecycle import Lifecycle
from nurture.core.lint_lifecycle import lifecycle_problems
from nurture.core.program import Program
from nurture.core.schema import read_lifecycle
from nurture.errors import Problem, ProgramError, UsageError
from nurture.program.reading import fields_known, text_hash


def load_lifecycle(path: Path, program: Program) -> Lifecycle:
    """Read a `kind: lifecycle` file that speaks of the fields of `program`.

    Raises:
        UsageError: it cannot be read.
        ProgramError: it has mistakes, those that only show in the whole included; every one is listed.
    """
    text = lifecycle_text(path)
    lifecycle = replace(read_lifecycle(text, str(path), fields_known(program.fields)), hash=text_hash(text))
    if problems := misfits(lifecycle, text, program):
        raise ProgramError(problems)
    return lifecycle


def lifecycle_text(path: Path) -> str:
    """Return the text of a lifecycle file; raise UsageError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"the lifecycle {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the lifecycle {path} is not UTF-8 text: save it as UTF-8") from None


def misfits(lifecycle: Lifecycle, text: str, program: Program) -> list[Problem]:
    """Return what is wrong with a lifecycle as a whole: stages, moves and thresholds, without the sequences."""
    alone = replace(program, lifecycle=lifecycle, sequences={})
    return sorted(lifecycle_problems(alone, Texts({lifecycle.file: text})), key=lambda each: (each.line, each.column))
