"""Mistakes in how a lifecycle hands over: rules that are never reached, answers that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from nurture.core.bars import crosses
from nurture.core.findings import Texts
from nurture.core.handoff import EVERYONE, By, Handoff
from nurture.core.lifecycle import Lifecycle
from nurture.core.words import Role, Team
from nurture.errors import Problem


def handoff_problems(lifecycle: Lifecycle, texts: Texts) -> Iterator[Problem]:
    """Yield the mistakes of the `handoff` section, if the file has one."""
    rules, file = lifecycle.handoff, lifecycle.file
    if not rules.line:
        return
    entered = {move.to_stage for move in lifecycle.moves if crosses(move.from_stage, move.to_stage, lifecycle)}
    if not entered:
        what = "nobody is ever handed over: no move leads from a stage of marketing into one of sales"
        yield texts.problem(file, rules.line, what, "give a stage `owner: sales`", word="handoff")
    for line, what in _unreachable(rules):
        yield texts.problem(file, line, what, "put it above, or remove it")
    used = {rule.pool for rule in rules.rules}
    for pool in sorted(rules.pools.keys() - used):
        what = f"no routing rule takes from the pool {pool!r}"
        yield texts.problem(file, rules.line, what, "remove it, or write a rule", word="handoff")
    yield from _answers(lifecycle, entered, texts)
    yield from _clock(rules, file, texts)


def _unreachable(rules: Handoff) -> Iterator[tuple[int, str]]:
    """Yield (line, what) for rules that come after one which has asked all of their reps already."""
    asked: list[tuple[str, frozenset[str] | None]] = []
    for rule in rules.rules:
        mine = rules.members(rule.pool)
        open_ended = rule.by in (By.CONTACT_OWNER, By.ACCOUNT_OWNER) or rule.own is not None
        for pool, members in asked:
            if members is None or (not open_ended and mine is not None and mine <= members):
                yield rule.line, f"this rule is never reached: `round_robin: {pool}` above asks all of its reps already"
                break
        if rule.by is By.ROUND_ROBIN:
            asked.append((rule.pool or EVERYONE, mine))


def _answers(lifecycle: Lifecycle, entered: set[str], texts: Texts) -> Iterator[Problem]:
    """Yield that sales could not give somebody back, or not to where a reason says. Customers are not given back."""
    entered = {stage for stage in entered if lifecycle.stage(stage).role is not Role.CUSTOMER}
    ways = {(move.from_stage, move.to_stage) for move in lifecycle.moves}
    for stage in sorted(entered):
        if not any(start == stage and lifecycle.stage(to).owner is Team.MARKETING for start, to in ways):
            what = f"sales cannot give anybody back: no move leads from {stage!r} to a stage of marketing"
            yield texts.problem(lifecycle.file, lifecycle.handoff.line, what, "write one", word="handoff")
    for reason, rejection in lifecycle.handoff.rejections.items():
        to, line = rejection.to, rejection.line
        if to is None:
            continue
        if lifecycle.stage(to).owner is not Team.MARKETING:
            what = f"who is rejected as {reason} would stay with sales: {to!r} is a stage of sales"
            yield texts.problem(lifecycle.file, line, what, "name a stage of marketing", word=to)
            continue
        for stage in sorted(entered):
            if (stage, to) not in ways:
                what = f"who is rejected as {reason} cannot go from {stage!r} to {to!r}: there is no such move"
                yield texts.problem(lifecycle.file, line, what, "write the move", word=to)


def _clock(rules: Handoff, file: str, texts: Texts) -> Iterator[Problem]:
    """Yield that the clock asks for something before the rep's time is over."""
    if rules.sla is None:
        return
    for word, after in (("escalate_after", rules.sla.escalate_after), ("reassign_after", rules.sla.reassign_after)):
        if after is not None and after < rules.sla.accept_within:
            what = f"`{word}` comes before the rep has had the time that `accept_within` gives"
            yield texts.problem(file, rules.line, what, "make it longer", word=word)
