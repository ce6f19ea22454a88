"""Every definition pack is a complete program with all shipped sequences, and a life in it goes both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from nurture.core.words import Role, Voice
from nurture.program.definitions import packs, shipped_lifecycles
from nurture.program.folder import read_folder
from nurture.program.load import build

ROOT = Path(__file__).parent.parent
NAMES = ["bant", "champ", "icp-intent", "interest-first", "scored", "two-way"]


def program_of(pack: str) -> dict[str, str]:
    """Return the files of the shipped folder with another definition named."""
    files, problems = read_folder(ROOT)
    assert not problems
    house = files["nurture.toml"].replace('lifecycle = "scored"', f'lifecycle = "{pack}"')
    return {**files, "nurture.toml": house}


def test_these_packs_are_shipped() -> None:
    assert sorted(packs()) == NAMES
    assert [each.name for each in shipped_lifecycles()] == NAMES


@pytest.mark.parametrize("pack", NAMES)
def test_a_pack_is_complete_and_all_shipped_sequences_run_under_it(pack: str) -> None:
    program = build(program_of(pack)).program
    assert program.lifecycle.name == pack
    assert len(program.sequences) == 5
    roles = {stage.role for stage in program.lifecycle.stages}
    assert roles == set(Role)
    voices = {(stage.role, stage.voice) for stage in program.lifecycle.stages}
    assert {(Role.NURTURE, Voice.MARKETING), (Role.ENGAGE, Voice.PERSONAL)} <= voices
