"""The scoring of the shipped example, against what became of real leads."""

from __future__ import annotations

import pytest

from nurture.core.ranking import ranked
from nurture.program.lifecycle import load_lifecycle
from nurture.program.load import load
from tests.leads import EXAMPLE, NOW, Lead, auc, csv_path, read_leads

PROGRAM = load(EXAMPLE).program


@pytest.fixture(scope="module")
def leads() -> list[Lead]:
    """Every real lead."""
    return read_leads(csv_path(), PROGRAM)


def scores(leads: list[Lead], file: str) -> list[float]:
    """Return what `nurture score export` calls rank_score, by a lifecycle of the example."""
    rules = load_lifecycle(EXAMPLE / "sequences" / file, PROGRAM)
    return [ranked(lead.situation, rules, NOW)[1] for lead in leads]


def test_weights_that_were_written_by_hand_find_four_of_five(leads: list[Lead]) -> None:
    assert auc(leads, scores(leads, "by-hand.yaml")) >= 0.80


def test_no_shipped_rule_reads_what_knows_the_outcome() -> None:
    told_later = ("Tags", "Lead Quality", "Lead Profile", "Asymmetrique", "Converted")
    mapping = (EXAMPLE / "mapping.yaml").read_text("utf-8")
    assert not [column for column in told_later if column in mapping]
