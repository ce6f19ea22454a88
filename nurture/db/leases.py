"""Jobs that only one process may do at a time. Time is the database's own."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from nurture.db.clock import database_clock
from nurture.db.tables import Lease

_LEASES = Lease.__table__


def acquire(connection: Connection, name: str, holder: str, seconds: float) -> int | None:
    """Take or keep the lease for `seconds`. Return its term, or None when somebody else holds it.

    The term grows with every new holder, so that one that was stopped and woke up can be told from its successor.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    until = database_clock(seconds)
    statement = insert(_LEASES).values(name=name, holder=holder, term=1, expires_at=until)
    held, mine = _LEASES.c, _LEASES.c.holder == holder
    taken = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": holder, "term": held.term + sa.case((mine, 0), else_=1), "expires_at": until},
        where=sa.or_(mine, held.holder.is_(None), held.expires_at < database_clock()),
    )
    term: int | None = connection.scalar(taken.returning(held.term))
    return term


def release(connection: Connection, name: str, holder: str) -> None:
    """Give the lease back, if `holder` has it; the next one need not wait for its end."""
    mine = (_LEASES.c.name == name, _LEASES.c.holder == holder)
    connection.execute(sa.update(_LEASES).where(*mine).values(holder=None, expires_at=None))
