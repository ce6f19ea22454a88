"""`nurture score train`: propose weights from what became of contacts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, note, print_json, print_table, say
from nurture.errors import UsageError
from nurture.training.measure import Auc
from nurture.training.run import Proposal, Question, propose_scoring
from nurture.training.train import Split


def train(
    ctx: typer.Context,
    outcome: Annotated[str, typer.Option(help="What is to be predicted, as a condition.")],
    without: Annotated[
        list[str] | None, typer.Option(help="Fields and kinds of events to leave out: those that know the outcome.")
    ] = None,
    lifecycle: Annotated[
        Path | None, typer.Option(help="The lifecycle file to give other scoring; by default the live one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The lifecycle file to write. It is never applied by itself.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
    hold_out: Annotated[
        float, typer.Option(help="The share of contacts to measure on, never learned from.", min=0.1, max=0.5)
    ] = 0.3,
    split: Annotated[Split, typer.Option(help="Whom: by a hash of who they are, or those known last.")] = Split.ID,
    seed: Annotated[str, typer.Option(help="Another seed draws others.")] = "nurture",
    as_json: JsonOption = False,
) -> None:
    """Learn points from what became of contacts, measure them on others, and propose a lifecycle file. Changes nothing.

    Needs the extra `train`: `pip install 'nurture[train]'`.

    Example: `nurture score train --outcome "did('purchased')" --without meeting_held --out sequences/proposed.yaml`
    """
    name = _name(out, force)
    left_out = tuple(word for each in without or () for word in re.split(r"[\s,]+", each.strip()) if word)
    question = Question(outcome, left_out, hold_out, split, seed)
    with opened(ctx) as context:
        file = out or Path(name)
        proposal = propose_scoring(context.database, question, lifecycle, file, name, now_of(context))
    if out is not None:
        _write(out, proposal.text)
    if as_json:
        print_json(_value(proposal, out))
    else:
        _print(proposal, out)


def _name(out: Path | None, force: bool) -> str:
    """Return the name of the lifecycle that the file will hold."""
    if out is None:
        return "proposed"
    if out.exists() and not force:
        raise UsageError(f"{out} is there already: name another file, or add --force to replace it")
    name = re.sub(r"[^a-z0-9_-]+", "-", out.stem.lower()).strip("-_")[:64]
    if not name:
        raise UsageError(f"{out}: the file's name names the lifecycle; write small letters and digits")
    return name


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}") from None


def _print(proposal: Proposal, out: Path | None) -> None:
    trained = proposal.trained
    share = trained.came_true / trained.people
    say(f"{proposal.outcome}: true of {trained.came_true:,} of {trained.people:,} contacts ({share:.0%}).")
    say(f"Learned from {trained.learned:,}; measured on the other {trained.auc.people:,}:")
    say(f"  AUC {_auc(trained.auc)} by these points")
    say(f"  AUC {_auc(trained.today)} by the scoring so far")
    rows = [[r.label, r.when, f"{r.points:+}", r.people, f"{r.came_true:.0%}"] for r in trained.rules]
    print_table("Points: ten double the odds", ("about", "who", "points", "people", "came true"), rows)
    groups = [
        [f"{g.low} to {g.high}", g.people, f"{g.predicted:.0%}", f"{g.came_true:.0%}"] for g in trained.calibration
    ]
    print_table("Those measured on, in ten groups", ("points", "people", "predicted", "came true"), groups)
    for line in _warnings(proposal):
        note(line)
    if out is not None:
        say(f"Proposed: {out}. It is not applied: read it, try it with `nurture score export --lifecycle {out}`,")
        say("then name it in nurture.toml (`lifecycle = …`) and run `nurture apply`.")


def _auc(auc: Auc) -> str:
    return f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"


def _warnings(proposal: Proposal) -> Iterator[str]:
    for each in proposal.trained.suspicions:
        yield (
            f"warning: {each.name} alone predicts it with AUC {each.auc:.2f}. Was it written after the outcome? "
            f"Then leave it out: --without {each.name}"
        )
    for problem in proposal.problems:
        yield f"to do: {problem}"


def _value(proposal: Proposal, out: Path | None) -> dict[str, object]:
    trained = proposal.trained
    return {
        "outcome": proposal.outcome,
        "contacts": trained.people,
        "came_true": trained.came_true,
        "learned_from": trained.learned,
        "auc": _measured(trained.auc),
        "auc_so_far": _measured(trained.today),
        "rules": [
            {"about": r.label, "when": r.when, "points": r.points, "people": r.people, "came_true": r.came_true}
            for r in trained.rules
        ],
        "calibration": [
            {"from": g.low, "to": g.high, "people": g.people, "predicted": g.predicted, "came_true": g.came_true}
            for g in trained.calibration
        ],
        "grades": dict(trained.grades),
        "suspicious": {each.name: each.auc for each in trained.suspicions},
        "to_do": [str(problem) for problem in proposal.problems],
        "file": out,
    }


def _measured(auc: Auc) -> dict[str, float]:
    return {"value": auc.value, "low": auc.low, "high": auc.high, "contacts": auc.people}
