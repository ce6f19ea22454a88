"""The fleet's measurement at its smallest: every mail arrives, by real workers that a real scheduler called."""

from __future__ import annotations

import pytest

from bench.fleet import measure
from tests import databases


@pytest.mark.soak
@pytest.mark.pg
def test_a_fleet_of_two_sends_every_mail_of_a_measurement() -> None:
    with databases.postgresql_url(empty=True) as url:
        found = measure(2, 520, url)  # more than one request carries
    assert (found["workers"], found["messages"]) == (2, 520)
    assert found["rate"] > 0
