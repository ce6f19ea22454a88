"""From the history in a database to a proposed lifecycle file. Writes nothing to the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from nurture import live
from nurture.core.conditions import say
from nurture.core.program import Program
from nurture.db.session import Database
from nurture.errors import Problem
from nurture.program.lifecycle import check_lifecycle, lifecycle_text, load_lifecycle, read_condition, scoring_of
from nurture.training.history import read_history
from nurture.training.model import require
from nurture.training.proposal import propose
from nurture.training.rules import likelihood
from nurture.training.train import Split, Trained, sources_of, train


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be learned: which `outcome`, from everything but `without`, measured on the share `hold_out`."""

    outcome: str
    without: tuple[str, ...] = ()
    hold_out: float = 0.3
    split: Split = Split.ID
    seed: str = "nurture"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was learned, and the lifecycle file that follows. `problems` are levels and moves that it cannot reach."""

    trained: Trained
    outcome: str
    text: str
    problems: tuple[Problem, ...]


def propose_scoring(
    database: Database, question: Question, base: Path | None, out: Path, name: str, now: datetime
) -> Proposal:
    """Learn from every contact, and propose a lifecycle `name` for the file `out`.

    It is `base` (None: the live one) with what was learned as its scoring.

    Raises:
        UsageError: scikit-learn is missing, a name is unknown, or there is too little history.
        ProgramError: `base` has mistakes.
    """
    require()
    program, text = _base(database, base)
    outcome = read_condition(question.outcome, program)
    sources = sources_of(program, outcome, question.without)
    examples = read_history(database, program, outcome, sources, question.seed, now)
    grades = [grade for grade, _ in program.lifecycle.fit.grades[:-1]]
    trained = train(examples, sources, question.hold_out, question.split, grades)
    written = propose(
        text,
        scoring_of(text, program.lifecycle.file),
        program.lifecycle,
        name,
        trained.rules,
        trained.grades,
        _notes(question, trained),
    )
    _, problems = check_lifecycle(written, str(out), program)
    return Proposal(trained, say(outcome), written, tuple(problems))


def _base(database: Database, file: Path | None) -> tuple[Program, str]:
    """Return the live program with the lifecycle that is to be changed, and its text."""
    with database.read() as connection:
        program = live.current(connection)
        if file is None:
            return program, live.text(connection, program.lifecycle.file)
    return replace(program, lifecycle=load_lifecycle(file, program)), lifecycle_text(file)


def _notes(question: Question, trained: Trained) -> Sequence[str]:
    said = trained.auc
    kept = "those who became known last" if question.split is Split.TIME else f"drawn by id, seed {question.seed!r}"
    return [
        "Proposed by `nurture score train`: ten points double the odds of",
        f"  {question.outcome}",
        f"Learned from {trained.learned:,} contacts. On {said.people:,} others ({kept})",
        f"AUC {said.value:.3f} ({said.low:.3f} to {said.high:.3f}); {trained.today.value:.3f} by the scoring before.",
        f"Without: {', '.join(question.without)}." if question.without else "Nothing was left out.",
        f"Somebody of no points is {likelihood(trained.intercept, 0):.1%} likely.",
    ]
