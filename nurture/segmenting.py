"""Filling segments that are new or mean something else: page by page, each set-based and in its own transaction.

Whoever was there before is put in or taken out without an event: they did not move, the segment did. From then on the
one door keeps membership up to date, contact by contact, and tells of everybody who enters or leaves.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from nurture import live
from nurture.core.program import Program
from nurture.db import members, situations
from nurture.db.session import Database
from nurture.errors import NotFound

PAGE = 2_000
"""Contacts that are looked at in one transaction."""

_SPREAD = timedelta(hours=1)
"""Over how long the first reviews after filling are spread."""


def fill(database: Database, now: datetime, *, page: int = PAGE) -> int:
    """Fill every segment that is behind; return for how many contacts one was asked."""
    with database.read() as connection:
        if not members.behind(connection):
            return 0
    asked = 0
    while (looked := _fill_page(database, now, asked, page)) is not None:
        asked += looked
    return asked


def refresh(database: Database, program: Program, names: list[str], now: datetime, *, page: int = PAGE) -> int:
    """Fill segments anew, all of them if none is named; raise NotFound for one that is not there."""
    for name in names:
        if name not in program.segments.by_name:
            known = ", ".join(sorted(program.segments.by_name)) or "none yet"
            raise NotFound(f"there is no segment {name!r}: there is {known}")
    wanted = names or list(program.segments.by_name)
    with database.write() as connection:
        meanings = {name: program.segments.meaning(name, program.lifecycle) for name in wanted}
        members.again(connection, meanings)
    return fill(database, now, page=page)


def _fill_page(database: Database, now: datetime, asked: int, limit: int) -> int | None:
    """Take the segments that have come least far one page further; return how many contacts that were, None at the end.

    The contacts are locked, so that nobody changes them between the answer and its writing.
    """
    with database.write() as connection:
        waiting = members.behind(connection)
        if not waiting:
            return None
        program, start = live.current(connection), waiting[0].filled_to
        these = [each for each in waiting if each.filled_to == start]
        ids = members.next_page(connection, start, limit)
        if not ids:
            members.complete(connection, these, now)
            return 0
        situations.lock(connection, ids)
        review_by = now + _SPREAD * ((asked // limit) % 60) / 60
        for each in these:
            if each.gone or each.segment not in program.segments.by_name:
                members.empty(connection, each.segment, (start, ids[-1]))
            else:
                every = (program.segments, program.lifecycle)
                members.fill(connection, each.segment, *every, (start, ids[-1]), now, review_by)
        members.filled(connection, [each.segment for each in these], ids[-1])
        return len(ids)
