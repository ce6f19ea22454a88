"""How both databases find the runs of a contact, and what an update of a run leaves alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from nurture.db import enrollments
from nurture.db.session import Database
from tests.db.many import people_with_mail

_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
_SEARCH = {
    "sqlite": "SEARCH enrollments USING INDEX sqlite_autoindex_enrollments_1 (contact_id=?)",
    "postgresql": "uq_enrollments_contact_id_sequence_run",
}


def test_the_runs_of_contacts_are_found_by_the_index_that_makes_them_unique(database: Database) -> None:
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asking = connection.connection.cursor()
        if database.dialect == "postgresql":
            asking.execute("SET LOCAL enable_seqscan = off")  # the table is small
        asking.execute(f"{_EXPLAIN[database.dialect]} {statement}", parameters)
        plans.append("\n".join(str(row) for row in asking.fetchall()))

    with database.write() as connection:
        people_with_mail(connection)
    with database.read() as connection:
        event.listen(connection, "before_cursor_execute", explain)
        enrollments.of_contacts(connection, list(range(500)))
    (plan,) = plans
    assert _SEARCH[database.dialect] in plan
