"""Reads conditions: a tree (`all / any / not`, `field / op / value`, `did`, `idle`, `segment`) or one line of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any as Anything

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, InSegment, Not, Op
from nurture.core.model import Value
from nurture.core.schema.comparisons import check_event, check_field, check_segment, compare
from nurture.core.schema.condition_text import MAX_DEPTH, read_length, read_text
from nurture.core.schema.flaws import Flaw, Flaws, flawed, joined, meant
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary


def parse_condition(source: object, known: Vocabulary = ANYTHING) -> Condition:
    """Read a condition from its text or its tree; raise Flaws with every mistake and where in it they stand."""
    if isinstance(source, str):
        return read_text(source, known)
    if isinstance(source, dict):
        return _tree(source, known, 0)
    raise flawed(
        f"expected a condition, not {source!r}",
        'write it as text ("engagement >= 20") or as a tree (all, any, not, field, did, idle)',
    )


def _tree(source: object, known: Vocabulary, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise flawed(f"conditions are nested deeper than {MAX_DEPTH} levels")
    if not isinstance(source, dict):
        return parse_condition(source, known)
    if "field" in source:
        return _comparison(source, known)
    if len(source) != 1 or (name := next(iter(source))) not in _BRANCHES:
        wrong = next((key for key in source if key not in _BRANCHES), None)
        if wrong is None:
            raise flawed(f"{joined(map(repr, source), 'and')} stand beside each other", "put them under `all:`")
        flaw = Flaw(f"unknown key `{wrong}` in a condition", meant(wrong, [*_BRANCHES, "field"]), (wrong,), at_key=True)
        raise Flaws([flaw])
    return _below(name, lambda: _BRANCHES[name](source[name], known, depth + 1))


def _below(key: str | int, read: Callable[[], Condition]) -> Condition:
    """Read what stands under `key`, so that its mistakes are found there."""
    try:
        return read()
    except Flaws as found:
        raise Flaws(replace(flaw, path=(key, *flaw.path)) for flaw in found.flaws) from None


def _list(source: object, known: Vocabulary, depth: int) -> tuple[Condition, ...]:
    if not isinstance(source, list) or not source:
        raise flawed("expected a list of conditions")
    found: list[Condition] = []
    flaws: list[Flaw] = []
    for place, item in enumerate(source):
        try:
            found.append(_tree(item, known, depth))
        except Flaws as wrong:
            flaws += (replace(flaw, path=(place, *flaw.path)) for flaw in wrong.flaws)
    if flaws:
        raise Flaws(flaws)
    return tuple(found)


def _comparison(source: dict[str, Anything], known: Vocabulary) -> Condition:
    flaws = [
        Flaw(f"unknown key `{key}` in a comparison", meant(key, ("field", "op", "value")), (key,), at_key=True)
        for key in source
        if key not in ("field", "op", "value")
    ]
    field, op = source["field"], source.get("op", "==")
    if op not in list(Op):
        flaws.append(Flaw(f"unknown operator {op!r}", meant(str(op), list(Op), limit=20), ("op",)))
    if not isinstance(field, str):
        flaws.append(Flaw("expected the name of a field", path=("field",)))
    elif found := check_field(field, known):
        flaws.append(replace(found, path=("field",)))
    if flaws:
        raise Flaws(flaws)
    value = source.get("value")
    given: Value = tuple(value) if isinstance(value, list) else value
    return _at_value(lambda: compare(field, Op(op), given, known))


def _at_value(read: Callable[[], Condition]) -> Condition:
    try:
        return read()
    except Flaws as found:
        raise Flaws(replace(flaw, path=("value",), offset=0) for flaw in found.flaws) from None


def _did_tree(source: object, known: Vocabulary, depth: int) -> Condition:
    given = {"event": source} if isinstance(source, str) else source
    if not isinstance(given, dict) or not isinstance(given.get("event"), str):
        raise flawed("expected an event", "write did: {event: form_submitted, within: 30 days, at_least: 1}")
    flaws = [
        Flaw(f"unknown key `{key}`", meant(key, ("event", "within", "at_least")), (key,), at_key=True)
        for key in given
        if key not in ("event", "within", "at_least")
    ]
    path = () if isinstance(source, str) else ("event",)
    if wrong := check_event(given["event"], known):
        flaws.append(replace(wrong, path=path))
    within = read_length(given["within"], flaws, ("within",)) if "within" in given else None
    at_least = given.get("at_least", 1)
    if isinstance(at_least, bool) or not isinstance(at_least, int) or at_least < 1:
        flaws.append(Flaw("expected a whole number from 1", path=("at_least",)))
    if flaws:
        raise Flaws(flaws)
    return Did(given["event"], within, at_least)


def _idle_tree(source: object, known: Vocabulary, depth: int) -> Condition:
    flaws: list[Flaw] = []
    given = source.get("for") if isinstance(source, dict) and set(source) == {"for"} else source
    length = read_length(given, flaws, ())
    if flaws or length is None:
        raise Flaws(flaws)
    return Idle(length)


def _segment_tree(source: object, known: Vocabulary, depth: int) -> Condition:
    if not isinstance(source, str):
        raise flawed("expected the name of a segment")
    if wrong := check_segment(source, known):
        raise Flaws([wrong])
    return InSegment(source)


def _known_tree(op: Op) -> Callable[[object, Vocabulary, int], Condition]:
    def read(source: object, known: Vocabulary, depth: int) -> Condition:
        if not isinstance(source, str):
            raise flawed("expected the name of a field")
        if wrong := check_field(source, known):
            raise Flaws([wrong])
        return Compare(source, op)

    return read


_BRANCHES: dict[str, Callable[[Anything, Vocabulary, int], Condition]] = {
    "all": lambda source, known, depth: All(_list(source, known, depth)),
    "any": lambda source, known, depth: Any(_list(source, known, depth)),
    "not": lambda source, known, depth: Not(_tree(source, known, depth)),
    "did": _did_tree,
    "idle": _idle_tree,
    "segment": _segment_tree,
    "known": _known_tree(Op.KNOWN),
    "unknown": _known_tree(Op.UNKNOWN),
}
