"""YAML that remembers where everything stood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.schema.document import parse
from nurture.errors import Problem, ProgramError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: 17:00", {"on": "17:00"}),
        ("a: yes", {"a": "yes"}),
        ("a: true", {"a": True}),
        ("a: 2026-03-01", {"a": "2026-03-01"}),
        ("a: 010", {"a": 10}),
        ("a: 0x1F", {"a": 31}),
        ("a: 1.5e3", {"a": 1500.0}),
        ("a: ~", {"a": None}),
        ("a: '3'", {"a": "3"}),
        ("[1, {b: c}]", [1, {"b": "c"}]),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert parse(text, "f.yaml").value == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml:1:1: this file is empty, begin it with a line such as `kind: sequence`"),
        ("# only a comment\n", "f.yaml:1:1: this file is empty, begin it with a line such as `kind: sequence`"),
        ("a:\n\t- b", "f.yaml:2:1: a tab, indent with spaces: YAML allows no tabs"),
        ("a: b: c", "f.yaml:1:5: a colon where none can stand, put the text in quotes, or indent the line"),
        ("a: @x", "f.yaml:1:4: text cannot begin with this character, put it in quotes"),
        ("a: *x", "f.yaml:1:4: text cannot begin with *, put it in quotes"),
        ("a: {b: x(1, 'c')}", "put text that has a comma in quotes"),
        ("a: 'x", "f.yaml:1:6: the file ends inside quotes, close the quotes"),
        ("- a\nb: c", "f.yaml:2:1: this line does not fit the indentation above it, indent it like its neighbors"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document begins here, write it into a file of its own"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: `a` stands here twice, first on line 1"),
        ("a: &x 1\nb: *x", "f.yaml:1:4: anchors and aliases (& and *) cannot be used here, write the value out"),
        ("a: !!python/object x", "tags (tag:yaml.org,2002:python/object) cannot be used here"),
        ("? [a]\n: b", "f.yaml:1:3: a key must be text"),
        ("ä: 1\nb: \x01", "f.yaml:2:4: this is no YAML"),
        ("[" * 60 + "]" * 60, "values are nested deeper than 40 levels"),
        ("[" * 1_500, "f.yaml:1:1: values are nested deeper than 40 levels"),
    ],
)
def test_bad_yaml_is_pointed_at(text: str, problem: str) -> None:
    with pytest.raises(ProgramError) as error:
        parse(text, "f.yaml")
    assert problem in str(error.value)


def test_every_duplicate_key_is_told() -> None:
    with pytest.raises(ProgramError) as error:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}", "f.yaml")
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: one two", (1, 8)),
        ("a: 'one two'", (1, 9)),
        ("a: 'o''ne two'", (1, 11)),
        ('a: "one two"', (1, 9)),
        ("a: one\n   two", (2, 4)),
        ("a: >\n  one\n  two\n", (3, 3)),
        ("a: |\n  one\n\n  two\n", (4, 3)),
        ("a: >-\n    one two\n", (2, 9)),
    ],
)
def test_a_place_inside_text_is_found_in_the_file(text: str, place: tuple[int, int]) -> None:
    document = parse(text, "f.yaml")
    problem = document.problem(("a",), "here", offset=document.value["a"].index("two"))
    assert (problem.line, problem.column) == place


def test_a_path_without_a_place_points_at_what_is_around_it() -> None:
    document = parse("a:\n  b: 1\n", "f.yaml")
    assert document.problem(("a", "b", "missing", 3), "here").line == 2
    assert str(document.key_problem(("a", "b"), "here")) == "f.yaml:2:3: here"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str) -> None:
    lines = sum(text.count(end) for end in "\n\r\x85\u2028\u2029") + 2
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in _problems(text))


def _problems(text: str) -> tuple[Problem, ...]:
    try:
        parse(text, "f.yaml")
    except ProgramError as error:
        return error.problems
    return ()
