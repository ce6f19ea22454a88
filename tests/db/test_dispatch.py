"""How both databases carry out the guarded dispatch: each message of the page by its key, never page times page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from nurture.db import messages
from nurture.db.session import Database
from tests.factories import NOW


def test_the_dispatch_looks_each_message_up_by_its_key(database: Database) -> None:
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "UPDATE messages" in statement:
            asking = connection.connection.cursor()
            asking.execute(f"{_EXPLAIN[database.dialect]} {statement}", parameters)
            plans.append("\n".join(str(row) for row in asking.fetchall()))

    event.listen(database.engine, "before_cursor_execute", explain)
    kept = [{"id": key, "subject": "s", "variables": {}, "wire_hash": "h"} for key in range(500)]
    with database.write() as connection:
        assert messages.dispatch(connection, kept, "owner", "outbox", NOW) == set()
    (plan,) = plans
    assert "ix_messages_state" not in plan
    assert "Join Filter: (messages" not in plan
    assert _BY_KEY[database.dialect] in plan


_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
_BY_KEY = {"sqlite": "SEARCH messages USING INTEGER PRIMARY KEY", "postgresql": "Index Cond: (id = page.id)"}
