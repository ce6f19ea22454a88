"""The tracks of a process that sends directly: while one waits for the database, the other decides and writes.

On PostgreSQL a page costs the server as much time as it costs us, and that is where two tracks send half as much again
as one. SQLite works in our own process and has one writer, so there is one. Providers are spoken to by one track at a
time; while they are slow, only one goes on, so that nothing waits in `dispatching` for long.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from nurture.db.session import Database
from nurture.direct import Direct
from nurture.postroom import Postroom

TRACKS = {"sqlite": 1, "postgresql": 2}
"""More than two gain nothing: two keep one interpreter busy."""


class Tracks:
    """Send directly with one postroom. Use as a context manager: each track leaves word and takes it back."""

    def __init__(self, database: Database, postroom: Postroom) -> None:
        """Touch nothing yet."""
        self._turn = postroom.turn
        self._first, *self._others = (Direct(database, postroom) for _ in range(TRACKS[database.dialect]))

    def __enter__(self) -> Tracks:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the words back."""
        self.close()

    def close(self) -> None:
        """Take the words back: this process ended well."""
        with ExitStack() as stack:
            for track in (self._first, *self._others):
                stack.callback(track.close)

    def work(self, page: Callable[[Direct], bool]) -> None:
        """Let `page` do a page of a track, again and again until it says that there is no more.

        The first track works in the thread of the caller; the others join in once it found that there is more. When one
        fails, the others end their page, and it is raised.
        """
        if not page(self._first):
            return
        if not self._others:
            self._go_on(self._first, page)
            return
        failed: list[bool] = []

        def track(direct: Direct) -> None:
            try:
                self._go_on(direct, lambda each: not failed and page(each))
            except BaseException:
                failed.append(True)
                raise

        with ThreadPoolExecutor(len(self._others), thread_name_prefix="track") as threads:
            others = [threads.submit(track, direct) for direct in self._others]
            track(self._first)
        for other in others:
            other.result()

    def _go_on(self, direct: Direct, page: Callable[[Direct], bool]) -> None:
        while (direct is self._first or self._turn.quick) and page(direct):
            pass
