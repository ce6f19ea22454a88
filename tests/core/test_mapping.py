"""Expressions of a mapping: columns, templates and constants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.mapping import Column, parse_expression


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Lead Number", (Column("Lead Number"),)),
        ("lead-{Lead Number}@leads.example", ("lead-", Column("Lead Number"), "@leads.example")),
        ("{First} {Last}", (Column("First"), " ", Column("Last"))),
        ("=Germany", ("Germany",)),
        ("'two words'", ("two words",)),
        ('"{not a column}"', ("{not a column}",)),
        ("{{literal}} {Column}", ("{", "literal", "}", " ", Column("Column"))),
    ],
)
def test_expressions_are_columns_templates_or_constants(text: str, parts: tuple[str | Column, ...]) -> None:
    assert parse_expression(text).parts == parts


@pytest.mark.parametrize("text", ["", "  ", "lead-{Number", "Number}", "{}", "{ }", "{a{b}}"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"nothing is given|has a single"):
        parse_expression(text)


@given(st.text())
def test_an_expression_is_read_or_refused_and_names_its_columns(text: str) -> None:
    try:
        expression = parse_expression(text)
    except ValueError:
        return
    assert expression.columns == tuple(part.name for part in expression.parts if isinstance(part, Column))
    assert all(expression.parts) or text.strip() in ("=", "''", '""')
