"""Rehearsals: a fenced copy of a database, outbox only, for ever, in which a moment may be pretended, never backwards.

The copy is one transaction on either side: it shows one moment of the source, and is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, Connection, func, inspect, select

from nurture.db import copying, instance, migrate, tables, timers
from nurture.db.session import Database, is_sqlite, place, read_url
from nurture.errors import Fenced, Refused
from nurture.postroom import Postroom, never
from nurture.scheduler import Done, run_once

GRID = timedelta(minutes=10)
"""Pretended time goes forward in steps of this, so that pages stay full."""

Hook = Callable[[datetime], datetime | None]
"""Hears every moment that was worked at; may return when it wants to be called next at the latest."""


def rehearse(source: Database, target_url: str, now: datetime, *, begin: datetime | None = None) -> dict[str, int]:
    """Copy `source` into a new rehearsal at `target_url` and return how many rows each table has.

    The rehearsal begins at `begin`, by default at `now`, or wherever it is first moved to when nothing happened yet.

    Raises:
        Refused: there is something at `target_url` already, or something happened after `begin`.
    """
    migrate.check(source)
    if _where(source.url) == _where(read_url(target_url)):
        raise Refused(f"a rehearsal is a copy: {place(source.url)} cannot be copied into itself, name another --to")
    _refuse_used(target_url)
    migrate.upgrade(target_url)
    target = Database(target_url)
    try:
        with source.read() as reading, target.write() as writing:
            moment = _beginning(last_moment(reading), begin, now)
            copying.clear(writing)
            counts = copying.copy(reading, writing)
            instance.make_rehearsal(writing, moment)
    finally:
        target.dispose()
    return counts


def require(database: Database) -> None:
    """Raise Fenced unless this is a rehearsal."""
    with database.read() as connection:
        instance.require_rehearsal(connection)


def pretend(database: Database, now: datetime) -> None:
    """Move a rehearsal to `now`.

    Raises:
        Fenced: this is a real database.
        Refused: that would be backwards.
    """
    with database.write() as connection:
        home = instance.require_rehearsal(connection)
        if home.rehearsal_now is None:
            _beginning(last_moment(connection), now, now)
        instance.advance_rehearsal(connection, now)


def advance(
    database: Database,
    postroom: Postroom,
    until: datetime,
    *,
    hook: Hook | None = None,
    grid: timedelta = GRID,
    stopping: Callable[[], bool] = never,
) -> Done:
    """Live in a rehearsal until `until`, from one due moment to the next; return what was handled.

    After every moment `hook` hears it, and may let people behave: what follows is done at the next one. With a coarser
    `grid` than the default there is less to do, and mail lies up to so long after it is due (`Postroom.patience`).

    Raises:
        Fenced: this is a real database.
        Refused: `until` is in the rehearsal's past.
    """
    done = Done()
    for moment in _moments(database, until, hook, grid):
        if stopping():
            break
        pretend(database, moment)
        done += run_once(database, postroom, moment, stopping=stopping)
    return done


def last_moment(connection: Connection) -> datetime | None:
    """Return the last moment at which something happened in a database, None where nothing ever did."""
    columns = (
        tables.Event.__table__.c.recorded_at,
        tables.Contact.__table__.c.updated_at,
        tables.Message.__table__.c.updated_at,
    )
    moments = [connection.scalar(select(func.max(column))) for column in columns]
    return max((moment for moment in moments if moment is not None), default=None)


# --- time -------------------------------------------------------------------------------------------------------------


def _beginning(last: datetime | None, begin: datetime | None, now: datetime) -> datetime | None:
    """Return where a rehearsal begins whose last moment was `last`; None: wherever it is first moved to."""
    if last is None:
        return begin
    if begin is None:
        return max(now, last)
    if begin < last:
        raise Refused(
            f"something happened here at {last:%Y-%m-%dT%H:%M:%SZ}, and a rehearsal never goes back: "
            "pretend a later moment"
        )
    return begin


def _moments(database: Database, until: datetime, hook: Hook | None, grid: timedelta) -> Iterator[datetime]:
    """Yield the moments at which there is something to do, on the grid, and `until` at the end (twice for a hook)."""
    moment = _reached(database, until)
    while moment < until:
        yield moment
        wanted = hook(moment) if hook else None
        coming = [known for known in (_next_due(database), wanted) if known is not None]
        moment = min(until, max(_on_grid(min(coming, default=until), grid), moment + grid))
    yield until
    if hook:
        hook(until)
        yield until


def _reached(database: Database, until: datetime) -> datetime:
    with database.read() as connection:
        reached = instance.require_rehearsal(connection).rehearsal_now
        due = timers.next_due(connection)
    if reached is not None:
        return reached
    return until if due is None else min(until, due)


def _next_due(database: Database) -> datetime | None:
    with database.read() as connection:
        return timers.next_due(connection)


def _on_grid(moment: datetime, grid: timedelta) -> datetime:
    """Return the first moment of the grid that is not before `moment`."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return start - ((start - moment) // grid) * grid


# --- the target -------------------------------------------------------------------------------------------------------


def _refuse_used(url: str) -> None:
    """Refuse a target with anything in it but an empty rehearsal."""
    target = Database(url, create=True)
    try:
        if is_sqlite(target.url) and not Path(str(target.url.database)).exists():
            return
        with target.read() as connection:
            _check_empty(connection, place(target.url))
    finally:
        target.dispose()


def _check_empty(connection: Connection, where: str) -> None:
    names = set(inspect(connection).get_table_names())
    if not names:
        return
    if migrate.current(connection) is None:
        raise Refused(f"{where} holds other tables: a rehearsal needs a database of its own, name another --to")
    home = connection.execute(select(tables.Instance.__table__.c.rehearsal)).first()
    if home is not None and not home.rehearsal:
        raise Fenced(f"{where} is a real database: it can never become a rehearsal, name another --to")
    if connection.execute(select(tables.Contact.__table__.c.id).limit(1)).first() is not None:
        raise Refused(f"{where} has contacts already: remove it, or name another --to")


def _where(url: URL) -> str:
    """Return what makes a database the same one, however its URL is written."""
    if is_sqlite(url):
        return str(Path(str(url.database)).resolve())
    return url.set(password=None).render_as_string()
