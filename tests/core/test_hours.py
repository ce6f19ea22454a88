from __future__ import annotations

import pytest

from nurture.core.hours import parse_hours, say_hours


@pytest.mark.parametrize(
    "text",
    [
        "mon-fri 09:00-17:00",
        "mon-thu 08:00-12:00, 13:00-17:00; fri 08:00-13:00",
        "sat, sun 10:00-24:00",
    ],
)
def test_hours_are_read_as_they_are_said(text: str) -> None:
    assert say_hours(parse_hours(text)) == text


def test_days_may_be_written_out_and_go_round_the_weekend() -> None:
    (window,) = parse_hours("Friday-Monday 9:00-12:00")
    assert window.days == {4, 5, 6, 0}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no hours are given"),
        ("09:00-17:00", "write days and times"),
        ("mon 9-17", "are no hours"),
        ("mon 17:00-09:00", "ends before it begins"),
        ("moon 09:00-17:00", "'moon' is no day"),
        ("mon 24:00-12:00", "are no hours"),
    ],
)
def test_what_are_no_hours_says_so(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_hours(text)
