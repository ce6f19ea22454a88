from __future__ import annotations

from datetime import timedelta

import pytest

from nurture.core.conditions import InSegment, leaves, say
from nurture.core.program import Program
from nurture.errors import ProgramError
from nurture.program.load import build, rebuild
from tests.programs import NURTURE, small

GOOD = """\
kind: segments
segments:
  readers: {when: "did('clicked', within='900 days')", description: Who reads}
  big: {when: {all: [{field: account.employees, op: ">=", value: 50}, {not: {segment: readers}}]}, exclude: suppressed}
"""


def built(segments: str, **others: str) -> Program:
    return build({**small(), "segments.yaml": segments, **others}).program


def mistakes(segments: str, **others: str) -> list[str]:
    with pytest.raises(ProgramError) as found:
        built(segments, **others)
    return [f"{each.file}:{each.line}:{each.column} {each.what}" for each in found.value.problems]


def test_segments_are_part_of_the_program() -> None:
    program = built(GOOD)
    assert [each.name for each in program.segments] == ["big", "readers"]
    assert program.segments.by_name["readers"].description == "Who reads"
    assert program.hash != build(small()).program.hash
    assert program.lifecycle.memory >= timedelta(days=900)


def test_what_was_applied_is_read_again() -> None:
    program = build({**small(), "segments.yaml": GOOD})
    again = rebuild(program.files, {}, program.program.hash)
    assert again.segments == program.program.segments


def test_a_rule_is_written_out_with_what_it_is_built_on_and_whom_it_excludes() -> None:
    rule = built(GOOD).segments.rules["big"]
    assert say(rule) == (
        "(employees is at least 50 and not (clicked a link within 900 days)) and suppressed for any mail is not yes"
    )
    assert not [leaf for leaf in leaves(rule) if isinstance(leaf, InSegment)]


def test_a_segment_means_something_else_when_what_it_is_built_on_changes() -> None:
    before, after = built(GOOD), built(GOOD.replace("900 days", "800 days"))
    for name in ("readers", "big"):
        meanings = {each.segments.meaning(name, each.lifecycle) for each in (before, after)}
        assert len(meanings) == 2


@pytest.mark.parametrize(
    ("segments", "what"),
    [
        ("kind: segments\nsegments: {a: {when: \"contry == 'DE'\"}}", "segments.yaml:2:23 unknown field `contry`"),
        ("kind: segments\nsegments:\n  a: {when: \"in_segment('b')\"}", "segments.yaml:3:25 unknown segment `b`"),
        ("kind: segments\nsegments:\n  a: {when: stage == 'lead', exclude: [b]}", "unknown segment `b`"),
        ("kind: segments\nsegments:\n  suppressed: {when: stage == 'lead'}", "no segment can be named suppressed"),
        ("kind: segments\nsegments:\n  a: {when: engagement >= 5000}", "`engagement` never reaches 5000"),
        (
            "kind: segments\nsegments:\n  a: {when: {segment: b}}\n  b: {when: stage == 'lead', exclude: [a]}",
            "segments.yaml:3:3 segment 'a' is built on itself: a → b → a",
        ),
    ],
)
def test_mistakes_are_pointed_at(segments: str, what: str) -> None:
    assert any(what in found for found in mistakes(segments)), mistakes(segments)


def test_sequences_may_only_name_segments_that_there_are() -> None:
    wrong = NURTURE.replace("audience: {role: nurture}", "audience: {role: nurture, segment: reader}")
    wrong = wrong.replace("enroll_when: [", "enroll_when: [{segment_entered: reader}, ")
    found = mistakes(GOOD, **{"sequences/nurture.yaml": wrong})
    assert len([each for each in found if "unknown segment 'reader'" in each]) == 2


def test_a_lifecycle_cannot_ask_for_segments() -> None:
    lifecycle = small()["sequences/lifecycle.yaml"].replace("level == 'MQL'", "in_segment('readers')")
    found = mistakes(GOOD, **{"sequences/lifecycle.yaml": lifecycle})
    assert any("unknown segment `readers`" in each for each in found)
