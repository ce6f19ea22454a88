"""The measurement of imports imports what it says, in every kind."""

from __future__ import annotations

import json

import pytest

from bench import importing


@pytest.mark.parametrize("name", importing.KINDS)
def test_every_kind_of_import_is_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    importing.main(["--one", name, "--rows", "30"])
    found = json.loads(capsys.readouterr().out)
    assert found["measured"] == name
    assert min(found["rate"], found["cpu_us"], found["peak_mb"]) > 0
