"""Mistakes in a lifecycle as a whole: dead ends, stages that nobody enters, thresholds that nobody can reach."""

from __future__ import annotations

from collections.abc import Iterator

from nurture.core.conditions import Compare, Condition, Op, leaves, mentions, say
from nurture.core.definition import Stage
from nurture.core.facts import is_scored
from nurture.core.findings import Texts
from nurture.core.lifecycle import Lifecycle
from nurture.core.lint_handoff import handoff_problems
from nurture.core.lint_moves import move_problems, out_of_reach
from nurture.core.possible import alternatives
from nurture.core.program import Program
from nurture.core.sequence import Sequence
from nurture.core.words import Role
from nurture.errors import Problem

_REACHING = (Op.GT, Op.GE, Op.EQ)
_LOWER = "lower it, or raise a cap"


def lifecycle_problems(program: Program, texts: Texts) -> Iterator[Problem]:
    """Yield the mistakes of the program's lifecycle, and of every condition that asks for too many points."""
    lifecycle = program.lifecycle
    for stage in lifecycle.stages:
        yield from _dead_ends(stage, program, texts)
    for move in lifecycle.moves:
        if move.from_stage == move.to_stage:
            what = f"this move leads from {move.from_stage!r} to itself"
            yield texts.problem(lifecycle.file, move.line, what, "name another stage")
    yield from _circular(lifecycle, texts)
    yield from handoff_problems(lifecycle, texts)
    yield from move_problems(lifecycle, texts)
    for condition, file, line in _conditions(program):
        for field, what in _unreachable(condition, lifecycle):
            yield texts.problem(file, line, what, _LOWER, word=field)
        if file != lifecycle.file and alternatives(condition, lifecycle) == []:
            what = f"this never holds, what it asks for contradicts itself: {say(condition)}"
            yield texts.problem(file, line, what, "no contact can meet all of it")
    line = texts.line_of("levels:", lifecycle.file)
    for level, condition in lifecycle.levels:
        for _, what in _unreachable(condition, lifecycle):
            yield texts.problem(lifecycle.file, line, f"level {level!r}: {what}", _LOWER, word=level)


def _dead_ends(stage: Stage, program: Program, texts: Texts) -> Iterator[Problem]:
    """Yield that nobody enters or leaves a stage.

    People may stay customers, end in an `out` stage, and be put there by hand.
    """
    lifecycle = program.lifecycle
    if stage.role is Role.OUT:
        return
    entered = {move.to_stage for move in lifecycle.moves} | _updated(program) | {lifecycle.start}
    if stage.name not in entered:
        what, hint = f"nobody can enter stage {stage.name!r}", f"write a move with `to: {stage.name}`"
        yield texts.problem(lifecycle.file, stage.line, what, hint, word=stage.name)
    elif stage.name in out_of_reach(lifecycle, _updated(program)):
        what = f"nobody can enter stage {stage.name!r}: no moves lead there from {lifecycle.start!r}"
        yield texts.problem(lifecycle.file, stage.line, what, "connect it with the first stage", word=stage.name)
    if stage.role is Role.CUSTOMER or len(lifecycle.stages) == 1:
        return
    if stage.name not in {move.from_stage for move in lifecycle.moves}:
        what, hint = f"nobody can leave stage {stage.name!r}", f"write a move with `from: {stage.name}`"
        yield texts.problem(lifecycle.file, stage.line, what, hint, word=stage.name)


def _circular(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    """Yield that a rule reads the score which it is part of: there it is always unknown."""
    for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers):
        for field in sorted(filter(is_scored, mentions(rule.when))):
            what = f"fit cannot depend on `{field}`: it is computed first"
            yield texts.problem(lifecycle.file, rule.line, what, "ask for facts about the contact", word=field)
    for level, condition in lifecycle.levels:
        if "level" in mentions(condition):
            what, hint = f"level {level!r} cannot depend on `level`", "ask for fit and engagement"
            yield texts.problem(lifecycle.file, 1, what, hint, word="levels")


def _updated(program: Program) -> set[str]:
    """Return the stages that steps move contacts into."""
    steps = (step for sequence in program.sequences.values() for step in sequence.steps)
    return {str(step.params["stage"]) for step in steps if step.params.get("stage")}


def _unreachable(condition: Condition, lifecycle: Lifecycle) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) for every threshold that no score can reach."""
    most = {"engagement": most_engagement(lifecycle), "fit_points": most_fit(lifecycle)}
    for leaf in leaves(condition):
        if not isinstance(leaf, Compare) or leaf.field not in most or leaf.op not in _REACHING:
            continue
        limit = most[leaf.field]
        if isinstance(leaf.value, int | float) and (leaf.value > limit or (leaf.op is Op.GT and leaf.value >= limit)):
            yield leaf.field, f"`{leaf.field}` never reaches {leaf.value:g}: at most {limit:g} points can be scored"


def most_engagement(lifecycle: Lifecycle) -> float:
    """Return the most points that engagement can have: the sum of the caps."""
    return sum(category.cap for category in lifecycle.categories) / 100


def most_fit(lifecycle: Lifecycle) -> float:
    """Return the most points that fit can have."""
    return sum(rule.points for rule in lifecycle.fit.rules if rule.points > 0) / 100


def _conditions(program: Program) -> Iterator[tuple[Condition, str, int]]:
    lifecycle = program.lifecycle
    for move in lifecycle.moves:
        if move.when:
            yield move.when, lifecycle.file, move.line
    for segment in program.segments:
        yield segment.when, segment.file, segment.line
    for sequence in program.sequences.values():
        yield from ((condition, sequence.file, line) for condition, line in _of_sequence(sequence))


def _of_sequence(sequence: Sequence) -> Iterator[tuple[Condition, int]]:
    if sequence.audience.when:
        yield sequence.audience.when, 1
    for exit_ in sequence.exits:
        if exit_.when:
            yield exit_.when, exit_.line
    for step in sequence.steps:
        yield from ((arm.when, step.line) for arm in step.arms if arm.when)
