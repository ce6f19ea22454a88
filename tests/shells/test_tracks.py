"""The tracks of a process: two on PostgreSQL, one on SQLite, and never two at a provider."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nurture import deciding, direct, failpoints
from nurture.db import instance, tables, timers
from nurture.db.session import Database
from nurture.direct import Direct
from nurture.errors import DatabaseError
from nurture.mail.wire import Outgoing
from nurture.postroom import Turn
from nurture.providers.base import Receipt
from nurture.scheduler import run_once
from nurture.tracks import TRACKS, Tracks
from tests.world import LINKS, Ledger, World

SECONDS = 20
"""How long a track waits for what another has to do, before the test fails."""


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


@dataclass
class Jealous(Ledger):
    """A ledger that does not answer its first group before `entered` says that another one waits for its turn."""

    batch: int = direct.LEAST
    entered: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    sizes: list[int] = field(default_factory=list)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        assert self.busy.acquire(blocking=False), "two tracks speak to it at once"
        try:
            if not self.sizes:
                assert self.entered.wait(SECONDS), "no other page has entered dispatching meanwhile"
            self.sizes.append(len(group))
            return super().send(group, seconds=seconds)
        finally:
            self.busy.release()


def test_while_one_track_is_at_the_provider_the_other_goes_on_and_waits_for_its_turn(world: World) -> None:
    ledger, pages = Jealous(), 0
    world.use(ledger)
    world.contacts(f"c{number}@example.com" for number in range(direct.LEAST * 4))

    def dispatching() -> None:
        nonlocal pages
        pages += 1
        if pages >= TRACKS[world.database.dialect]:
            ledger.entered.set()

    with Tracks(world.database, world.postroom) as tracks:
        first: list[Direct] = []

        def page(track: Direct) -> bool:
            if not first:  # found that there is more
                first.append(track)
                return True
            return track.page(world.now).due >= track.most

        failpoints.armed[failpoints.DISPATCHING] = dispatching
        try:
            tracks.work(page)
        finally:
            failpoints.armed.clear()
    assert sum(ledger.sizes) == len({mail.to_address for mail in ledger.taken}) == direct.LEAST * 4
    assert {row.state for row in world.rows(tables.Message)} == {"accepted"}
    assert not world.rows(tables.Lease), "both took their words back"


def test_what_is_switched_off_while_it_waits_for_its_turn_is_not_sent(world: World) -> None:
    """`nurture pause` holds within one group: the one on the wire."""
    world.use(ledger := Ledger())
    world.contacts(["ann@example.com", "bob@example.com"])
    always_late = Turn(stale_seconds=-1)

    def dispatching() -> None:
        with world.database.write() as connection:
            instance.pause_sending(connection, "enough")

    failpoints.armed[failpoints.DISPATCHING] = dispatching
    try:
        sent = Direct(world.database, replace(world.postroom, turn=always_late)).page(world.now)
    finally:
        failpoints.armed.clear()
    assert (sent.accepted, sent.ambiguous, ledger.taken) == (0, 0, [])
    assert {row.state for row in world.rows(tables.Message)} == {"ready"}
    with world.database.write() as connection:
        instance.resume_sending(connection)
        assert not timers.lost(connection)
    world.advance(hours=1)
    assert len(ledger.taken) == 2


def test_what_cannot_be_asked_about_after_it_waited_has_not_left(world: World) -> None:
    """The database was away for that moment: the mail is tried again, and nobody has to wonder."""

    class Away(Direct):
        def _still(self, *_: object) -> Sequence[Outgoing]:
            raise DatabaseError("the database is away")

    world.use(ledger := Ledger())
    world.contact("ann@example.com")
    sent = Away(world.database, replace(world.postroom, turn=Turn(stale_seconds=-1))).page(world.now)
    assert (sent.retrying, sent.ambiguous, ledger.taken) == (1, 0, [])
    assert world.row(tables.Message).reason == "the database is away"
    world.advance(minutes=10)
    assert len(ledger.taken) == 1


def test_tracks_work_at_the_same_time_and_as_many_as_the_database_bears(database: Database, world: World) -> None:
    tracks = TRACKS[database.dialect]
    together, seen = threading.Barrier(tracks, timeout=SECONDS), []

    def page(track: Direct) -> bool:
        seen.append(track)
        if len(seen) > 1:
            together.wait()
        return len(seen) == 1

    Tracks(database, world.postroom).work(page)
    assert len({id(track) for track in seen}) == tracks
    assert len(seen) == tracks + 1


def test_where_there_is_no_more_than_a_page_one_track_does_it(database: Database, world: World) -> None:
    seen: list[Direct] = []
    Tracks(database, world.postroom).work(lambda track: bool(seen.append(track)))
    assert len(seen) == 1


def test_a_track_that_fails_ends_the_others_and_says_so(database: Database, world: World) -> None:
    seen: list[Direct] = []

    def page(track: Direct) -> bool:
        seen.append(track)
        if len(seen) > 1 and (track is not seen[0] or TRACKS[database.dialect] == 1):
            raise DatabaseError("the disk is full")
        return True  # for ever

    with pytest.raises(DatabaseError, match="disk is full"):
        Tracks(database, world.postroom).work(page)


def test_few_mails_left_for_today_are_counted_by_one_track_after_the_other(world: World) -> None:
    """Both could think otherwise that what is left is for them."""
    asked: list[str] = []
    one_writer = world.database.dialect == "sqlite"

    def decided() -> None:
        asked.append("by one" if one_writer or _is_locked(world.database) else "by all")

    world.use(Ledger(real=True))
    with world.database.write() as connection:
        instance.record_unsubscribe_test(connection, LINKS.public_url, world.now)
    for cap in (deciding.FEW + 1_000, 30):
        world.postroom = replace(world.postroom, launch_cap=cap)
        world.contacts(f"c{cap}-{number}@example.com" for number in range(10))
        failpoints.armed[failpoints.DECIDED] = decided
        try:
            run_once(world.database, world.postroom, world.now)
        finally:
            failpoints.armed.clear()
    assert asked == ["by one" if one_writer else "by all", "by one"]
    assert len(world.rows(tables.Message, state="accepted")) == 20


def _is_locked(database: Database) -> bool:
    try:
        with database.write() as connection:
            connection.execute(text("SELECT id FROM instance FOR UPDATE NOWAIT"))
    except DBAPIError:
        return True
    return False
