from __future__ import annotations

import pytest

from bench import segments
from nurture.db.session import Database
from nurture.looking.segments import asked, explain
from tests import databases


@pytest.mark.pg
def test_what_is_measured_finds_somebody_by_the_index_of_what_people_did() -> None:
    with databases.postgresql_url() as url:
        database = Database(url)
        segments.fill(database, 4_000)
        found = {name: segments.measure(database, name, when, 1) for name, when in segments.ASKED.items()}
        name = "field, account, did"
        with database.read() as connection:
            plan = explain(
                connection, segments.PROGRAM, asked(segments.PROGRAM, None, segments.ASKED[name]), segments.NOW
            )
        database.dispose()
    assert found[name]["contacts"]
    assert sum(int(str(each["contacts"])) > 0 for each in found.values()) >= 4
    assert any("ix_events_asked" in line for line in plan.plan)
