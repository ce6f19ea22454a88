"""The table of faults names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_test_that_the_table_of_faults_names_exists() -> None:
    table = (Path(__file__).parent / "README.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", table)
    assert len(named) > 40
    missing = [f"{file}::{name}" for file, name in named if f"def {name}" not in (ROOT / file).read_text("utf-8")]
    assert missing == []
