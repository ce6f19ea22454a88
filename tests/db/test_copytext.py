"""The text of COPY. That any values arrive is tested with the other ways of writing a page (`test_bulk`)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from nurture.core.words import Voice
from nurture.db import copytext
from nurture.db.values import Same


def test_a_column_that_is_the_same_everywhere_is_in_every_row() -> None:
    assert (
        copytext.text({"a": [1, None, 3], "b": Same("x"), "c": Same(None)}, 3) == "1\tx\t\\N\n\\N\tx\t\\N\n3\tx\t\\N\n"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\tb\nc\rd\\e", r"a\tb\nc\rd\\e"),
        (r"\N", r"\\N"),
        ("", ""),
        (Voice.PERSONAL, "personal"),
        (True, "True"),
        (0.5, "0.5"),
        (b"\x00\\", r"\\x005c"),
        (date(2026, 3, 2), "2026-03-02"),
        (datetime(2026, 3, 2, 9, 0, 0, 5, UTC), "2026-03-02T09:00:00.000005+00:00"),
    ],
)
def test_values_are_written_as_copy_reads_them(value: Any, written: str) -> None:
    assert copytext.text({"a": [value]}, 1) == f"{written}\n"


def test_what_is_of_another_kind_is_left_to_the_driver() -> None:
    assert copytext.text({"a": [1], "b": [object()]}, 1) is None
