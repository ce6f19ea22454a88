"""Jobs that only one process may do at a time. Time is the database's own."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

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


def drop(connection: Connection, name: str, holder: str) -> None:
    """Give the lease back, if nobody but `holder` has it, and forget it: nobody else will ask for one of this name."""
    mine = sa.or_(_LEASES.c.holder == holder, _LEASES.c.holder.is_(None))
    connection.execute(sa.delete(_LEASES).where(_LEASES.c.name == name, mine))


def abandoned(connection: Connection, prefix: str, seconds: float) -> bool:
    """Tell whether a lease whose name begins with `prefix` ran out without being given back.

    Its holder was killed, or is stuck. It counts for `seconds` after somebody found it, however long nobody looked, and
    is forgotten then.
    """
    held = _LEASES.c
    found = connection.execute(_out(prefix, seconds)).all()
    new = [row.name for row in found if row.age == "new"]
    old = [row.name for row in found if row.age == "old"]
    if new:  # from now on it has no holder, and ran out a moment ago
        now = {"holder": None, "expires_at": database_clock(-1)}
        connection.execute(sa.update(_LEASES).where(held.name.in_(new)).values(now))
    if old:
        connection.execute(sa.delete(_LEASES).where(held.name.in_(old)))
    return len(found) > len(old)


def ran_out(connection: Connection, prefix: str) -> datetime | None:
    """Return when the last of such leases ran out that `abandoned` still counts, and change nothing."""
    held = _LEASES.c
    out = (held.name.startswith(prefix, autoescape=True), held.expires_at < database_clock())
    moment: datetime | None = connection.scalar(sa.select(held.expires_at).where(*out).order_by(held.expires_at.desc()))
    return moment


@lru_cache(maxsize=8)
def _out(prefix: str, seconds: float) -> sa.Select[Any]:
    """Return what asks for the leases that ran out, made once: it is asked for every page."""
    held = _LEASES.c
    out = sa.and_(held.name.startswith(prefix, autoescape=True), held.expires_at < database_clock())
    age = sa.case((held.holder.is_not(None), "new"), (held.expires_at < database_clock(-seconds), "old"), else_="found")
    return sa.select(held.name, age.label("age")).where(out)
