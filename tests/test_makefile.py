"""What `make` offers is made whenever it is asked for, though there are folders of the same name."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = Path(__file__).parents[1] / "Makefile"


def test_everything_that_make_offers_is_done_when_it_is_asked_for() -> None:
    text = MAKEFILE.read_text("utf-8")
    offered = set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))
    always = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split())
    assert {"demo", "test", "bench"} <= offered
    assert offered <= always
