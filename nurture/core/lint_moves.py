"""Mistakes of a lifecycle's conditions against each other: moves that flap, rules that never hold, stages off reach."""

from __future__ import annotations

from collections.abc import Iterator

from nurture.core.conditions import All, Any, Compare, Condition, Idle, Not, Op, leaves, mentions
from nurture.core.findings import Texts
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.possible import alternatives, never_held, possible
from nurture.errors import Problem


def move_problems(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    """Yield what cannot be, or cannot stop, in a lifecycle's own conditions."""
    yield from _flapping(lifecycle, texts)
    yield from _impossible(lifecycle, texts)
    yield from _levels(lifecycle, texts)
    yield from _grades(lifecycle, texts)
    yield from _slots(lifecycle, texts)
    yield from _caps(lifecycle, texts)


def out_of_reach(lifecycle: Lifecycle, entered: set[str]) -> list[str]:
    """Return the stages to which no moves lead from the first one; those in `entered` are entered some other way."""
    reached, ahead = set(entered), [lifecycle.start, *entered]
    while ahead:
        stage = ahead.pop()
        reached.add(stage)
        ahead += {
            move.to_stage for move in lifecycle.moves if move.from_stage == stage and move.to_stage not in reached
        }
    return [stage.name for stage in lifecycle.stages if stage.name not in reached]


# --- moves that flap --------------------------------------------------------------------------------------------------


def _flapping(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    """Yield pairs of moves, there and back, that hold for the same contact while nothing holds them back."""
    for place, there in enumerate(lifecycle.moves):
        for back in lifecycle.moves[place + 1 :]:
            if (there.from_stage, there.to_stage) != (back.to_stage, back.from_stage):
                continue
            if there.when is None or back.when is None or _rests(there) or _rests(back):
                continue
            if possible([_elsewhere(there.when), _elsewhere(back.when)], lifecycle):
                what = (
                    f"contacts flap between {there.from_stage!r} and {there.to_stage!r}: this move and the one of "
                    f"line {there.line} can hold for the same person"
                )
                hint = "let their thresholds differ, or give one of them `dwell` or `cool_off`"
                yield texts.problem(lifecycle.file, back.line, what, hint)


def _rests(move: Move) -> bool:
    """Return whether a move waits before it is made: a dwell, a cool-off, or silence since the stage was entered."""
    if move.dwell is not None or move.cool_off is not None or move.cool_off_by:
        return True
    return move.when is not None and _silent(move.when)


def _silent(condition: Condition) -> bool:
    """Return whether it only ever holds after some silence, which is counted from entering the stage."""
    match condition:
        case Idle():
            return True
        case All(of):
            return any(_silent(part) for part in of)
        case Any(of):
            return bool(of) and all(_silent(part) for part in of)
        case _:
            return False


_HERE = frozenset({"stage", "role", "voice"})
"""Fields that are others once the move is made."""


def _elsewhere(condition: Condition) -> Condition:
    """Return the condition without what it asks of the stage in which it is asked."""
    match condition:
        case All(of):
            return All(tuple(_elsewhere(part) for part in of if not _of_the_stage(part)))
        case _:
            return All(()) if _of_the_stage(condition) else condition


def _of_the_stage(condition: Condition) -> bool:
    asked = condition.of if isinstance(condition, Not) else condition
    return bool(mentions(asked)) and mentions(asked) <= _HERE


# --- what never holds -------------------------------------------------------------------------------------------------


def _impossible(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    for move in lifecycle.moves:
        if move.when is not None and _never(move.when, lifecycle):
            what = f"this move is never made: what it asks for contradicts itself ({move.from_stage} → {move.to_stage})"
            yield texts.problem(lifecycle.file, move.line, what, "no contact can meet all of it")
    for rule in (*lifecycle.fit.rules, *lifecycle.fit.disqualifiers):
        if _never(rule.when, lifecycle):
            what = f"this rule never holds: what it asks for contradicts itself ({rule.label or 'fit'})"
            yield texts.problem(lifecycle.file, rule.line, what, "no contact can meet all of it")


def _never(condition: Condition, lifecycle: Lifecycle) -> bool:
    return alternatives(condition, lifecycle) == []


def _levels(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    line = texts.line_of("levels:", lifecycle.file)
    for name, better in never_held(lifecycle):
        if better is None:
            what, hint = f"nobody ever has level {name!r}: what it asks for contradicts itself", "see its condition"
        else:
            what = f"nobody ever has level {name!r}: whoever meets it has a better one already"
            hint = "write levels best first: the first that holds is the level"
        yield texts.problem(lifecycle.file, line, what, hint, word=name)


def _grades(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    most = sum(rule.points for rule in lifecycle.fit.rules if rule.points > 0)
    asked = any("fit" in mentions(when) for when in _asked(lifecycle))
    for grade, least in lifecycle.fit.grades:
        if least > most and (lifecycle.fit.rules or asked):
            scored = f"it takes {least / 100:g} points, and at most {most / 100:g} can be scored"
            what = f"nobody ever has grade {grade!r}: {scored}"
            line = texts.line_of("grades:", lifecycle.file)
            yield texts.problem(lifecycle.file, line, what, "lower it, or give the rules more points", word=grade)


def _asked(lifecycle: Lifecycle) -> Iterator[Condition]:
    yield from (move.when for move in lifecycle.moves if move.when is not None)
    yield from (when for _, when in lifecycle.levels)


def _slots(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    for slot in lifecycle.slots:
        if slot.values and slot.against >= set(slot.values):
            what = f"slot {slot.name!r} never counts: every one of its values is `against`"
            yield texts.problem(lifecycle.file, slot.line, what, "leave out those that qualify", word="against")
    yield from _too_many(lifecycle, texts)


def _too_many(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    """Yield where more slots are asked for than there are."""
    for move in lifecycle.moves:
        for leaf in leaves(move.when) if move.when is not None else ():
            if not isinstance(leaf, Compare) or leaf.field != "slots_filled" or leaf.op not in (Op.GE, Op.GT, Op.EQ):
                continue
            value = leaf.value
            if isinstance(value, int | float) and value + (leaf.op is Op.GT) > len(lifecycle.slots):
                what = f"`slots_filled` never reaches {value:g}: there are {len(lifecycle.slots)} slots"
                yield texts.problem(lifecycle.file, move.line, what, "ask for fewer", word="slots_filled")


def _caps(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    for category in lifecycle.categories:
        if category.account_cap > category.cap:
            what = f"`account_cap` of category {category.name!r} is above its cap, which holds for both together"
            yield texts.problem(lifecycle.file, category.line, what, "lower it", word="account_cap")
