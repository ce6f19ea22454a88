"""Mistakes of sequences against each other and against the lifecycle that they address."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from itertools import combinations

from nurture.core.definition import Stage
from nurture.core.findings import Texts
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import Program
from nurture.core.sequence import Sequence, Trigger
from nurture.core.words import Team, Voice
from nurture.errors import Problem


def sequence_problems(program: Program, texts: Texts, names: Collection[str]) -> Iterator[Problem]:
    """Yield the mistakes of every sequence, and of every pair of them; `names` are all sequences that there are."""
    for sequence in program.sequences.values():
        stages = addressed(sequence, program.lifecycle)
        yield from _unreachable_steps(sequence, texts)
        yield from _audience(sequence, stages, texts)
        yield from _contents(sequence, stages, texts)
        yield from _triggers(sequence, stages, names, texts)
    yield from _equal_priorities(program, texts)


def addressed(sequence: Sequence, lifecycle: Lifecycle) -> tuple[Stage, ...]:
    """Return the stages whose contacts a sequence addresses, whatever their voice."""
    audience = sequence.audience
    return tuple(
        stage
        for stage in lifecycle.stages
        if (not audience.roles or stage.role in audience.roles)
        and (not audience.stages or stage.name in audience.stages)
        and (audience.roles or audience.stages or stage.voice is sequence.voice)
    )


# --- one sequence -----------------------------------------------------------------------------------------------------


def _unreachable_steps(sequence: Sequence, texts: Texts) -> Iterator[Problem]:
    reached = _reached(sequence)
    for step in sequence.steps:
        if step.id not in reached:
            what = f"step {step.id!r} is never reached: the run always ends before it"
            yield texts.problem(sequence.file, step.line, what, "move it, or remove it", word=step.id)


def _reached(sequence: Sequence) -> set[str]:
    reached: set[str] = set()
    ahead: list[str | None] = [sequence.first]
    while ahead:
        step = sequence.step(ahead.pop() or "")
        if step is None or step.id in reached:
            continue
        reached.add(step.id)
        if step.kind == "exit":
            continue
        ahead += [arm.to or step.next for arm in step.arms]
        if not any(arm.when is None for arm in step.arms):
            ahead.append(step.next)
    return reached


def _audience(sequence: Sequence, stages: tuple[Stage, ...], texts: Texts) -> Iterator[Problem]:
    """Yield that a sequence addresses nobody, somebody in another voice, or somebody whom no rep owns."""
    if not stages:
        yield texts.problem(
            sequence.file, 1, "no stage of the lifecycle is addressed", "see `audience`", word="audience"
        )
    for stage in stages:
        if stage.voice is not sequence.voice:
            what = f"a {sequence.voice} sequence cannot address stage {stage.name!r}: its voice is {stage.voice}"
            yield texts.problem(sequence.file, 1, what, "narrow the audience", word="audience")
        elif sequence.voice is Voice.PERSONAL and stage.owner is Team.MARKETING:
            what = f"personal mail needs an owner, and stage {stage.name!r} is owned by marketing"
            yield texts.problem(sequence.file, 1, what, "set `owner: sales` in the lifecycle", word="audience")


def _contents(sequence: Sequence, stages: tuple[Stage, ...], texts: Texts) -> Iterator[Problem]:
    for step in sequence.steps:
        for stage in stages:
            if step.content and stage.content and step.content not in stage.content:
                what = f"stage {stage.name!r} does not allow {step.content!r} content"
                hint = f"it allows {', '.join(sorted(stage.content))}"
                yield texts.problem(sequence.file, step.line, what, hint, word=step.content)


def _triggers(sequence: Sequence, stages: tuple[Stage, ...], names: Collection[str], texts: Texts) -> Iterator[Problem]:
    for trigger in sequence.triggers:
        if trigger.kind == "stage_entered" and not any(_asks_for(trigger, stage) for stage in stages):
            what = "entering that stage enrolls nobody: the audience leaves it out"
            yield texts.problem(sequence.file, trigger.line, what, "widen `audience`, or ask for another stage")
        where = trigger.params.get("where")
        name = where.get("sequence") if isinstance(where, Mapping) else None
        if isinstance(name, str) and name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(sorted(names))}"
            yield texts.problem(sequence.file, trigger.line, f"unknown sequence {name!r}", hint, word=name)


def _asks_for(trigger: Trigger, stage: Stage) -> bool:
    return _among(stage.role, trigger.params.get("role")) and _among(stage.name, trigger.params.get("stage"))


def _among(value: str, asked: object) -> bool:
    return asked is None or (value in asked if isinstance(asked, tuple | list) else value == asked)


# --- pairs ------------------------------------------------------------------------------------------------------------


def _equal_priorities(program: Program, texts: Texts) -> Iterator[Problem]:
    """Yield that two sequences want the same person and nothing says which goes first."""
    automatic = [one for one in program.sequences.values() if any(each.kind != "manual" for each in one.triggers)]
    for first, second in combinations(sorted(automatic, key=lambda one: one.name), 2):
        if first.priority != second.priority or first.voice is not second.voice:
            continue
        shared = {stage.name for stage in addressed(first, program.lifecycle)} & {
            stage.name for stage in addressed(second, program.lifecycle)
        }
        if shared:
            what = (
                f"sequences {first.name!r} and {second.name!r} can both take a contact in stage {min(shared)!r}, "
                f"and both have priority {first.priority}"
            )
            yield texts.problem(second.file, 1, what, "give one of them another `priority`", word="priority")
