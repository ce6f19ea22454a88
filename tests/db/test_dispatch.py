"""How both databases carry out the statements of a page: each row by its key, never page times page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from nurture.db import dispatching, events
from nurture.db.session import Database
from tests.db.many import people_with_mail
from tests.factories import NOW


def test_the_dispatch_looks_each_message_up_by_its_key(database: Database) -> None:
    kept = [{"id": key, "subject": "s", "variables": {}, "wire_hash": "h"} for key in range(500)]
    with database.write() as connection:
        people_with_mail(connection)
    with explained(database) as plans, database.write() as connection:
        assert dispatching.dispatch(connection, kept, "owner", "outbox", NOW) == set()
    (plan,) = plans
    assert "ix_messages_state" not in plan
    assert "Join Filter: (messages" not in plan
    assert _BY_KEY[database.dialect] in plan


def test_what_is_accepted_is_found_by_its_key(database: Database) -> None:
    taken = [{"id": key, "provider_id": "p", "wire_id": None} for key in range(500)]
    with database.write() as connection:
        people_with_mail(connection)
    with explained(database) as plans, database.write() as connection:
        assert dispatching.accept(connection, taken, NOW) == []
        events.add_sent(connection, range(500), NOW)
    accepting, telling = plans
    assert "ix_messages_state" not in accepting
    assert "Join Filter" not in accepting
    assert _CONTACT_BY_KEY[database.dialect] in telling


@contextmanager
def explained(database: Database) -> Iterator[list[str]]:
    """Note how the database is going to carry out each statement."""
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("BEGIN", "PRAGMA")):
            return
        asking = connection.connection.cursor()
        if database.dialect == "postgresql":
            asking.execute("SET LOCAL enable_seqscan = off")  # the tables are small
        asking.execute(f"{_EXPLAIN[database.dialect]} {statement}", parameters)
        plans.append("\n".join(str(row) for row in asking.fetchall()))

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)


_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
_BY_KEY = {"sqlite": "SEARCH messages USING INTEGER PRIMARY KEY", "postgresql": "Index Cond: (id = page.id)"}
_CONTACT_BY_KEY = {"sqlite": "SEARCH contacts USING INTEGER PRIMARY KEY", "postgresql": "Index Scan using pk_contacts"}
