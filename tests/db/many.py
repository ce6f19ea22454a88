"""Tables with some rows, of which PostgreSQL knows: which index it takes is certain then, if it has to take one.

What it plans for empty tables hangs on what they held before.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, cast, literal, select, text, true

from nurture.db import tables
from tests import factories

ROWS = 3_000


def people_with_mail(connection: Connection) -> None:
    """Insert `ROWS` contacts, each with a run and a planned message."""
    contact = factories.contact(connection)
    run = factories.enrollment(connection, contact, factories.version(connection))
    sender = factories.sender(connection)
    message = factories.message(connection, contact, sender, enrollment_id=run, origin_key="1")
    _repeat(connection, tables.Contact.__table__, contact, "id")
    _repeat(connection, tables.Enrollment.__table__, run, "id", "contact_id")
    own = ("id", "origin_key", "message_id_header", "contact_id", "enrollment_id")
    _repeat(connection, tables.Message.__table__, message, *own)
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE contacts, enrollments, messages"))


def _repeat(connection: Connection, table: Table, key: int, *numbered: str) -> None:
    """Repeat the row `key`, with the next numbers in the columns `numbered`."""
    numbers = select(literal(1).label("number")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < ROWS))
    values = [cast(numbers.c.number + key, each.type) if each.name in numbered else each for each in table.c]
    rows = select(*values).select_from(table.join(numbers, true())).where(table.c.id == key)
    connection.execute(table.insert().from_select(list(table.c), rows))
