"""The heartbeat: everything due is done once, by however many; an end that loses nothing; trouble that passes."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from nurture.db import instance, migrate, tables
from nurture.db.session import Database
from nurture.scheduler import Scheduler, program_time, run_once
from nurture.sending import send_due
from tests.processes import PATIENCE, started, working_folder
from tests.programs import HOUSE
from tests.world import MONDAY, Ledger, World


def rehearsing(world: World) -> World:
    with world.database.write() as connection:
        instance.make_rehearsal(connection, world.now)
    return world


def states(world: World) -> Counter[str]:
    return Counter(message.state for message in world.rows(tables.Message))


# --- one moment -------------------------------------------------------------------------------------------------------


def test_everything_due_is_done_and_what_follows_from_it(world: World) -> None:
    world.contacts(f"c{number}@example.com" for number in range(3))
    done = run_once(world.database, world.postroom, world.now)
    assert done.sent.accepted == 3
    assert len(world.mails()) == 3
    assert run_once(world.database, world.postroom, world.now).handled == 0


def test_more_than_a_page_is_done_at_once(world: World) -> None:
    world.use(ledger := Ledger())
    world.contacts(f"c{number}@example.com" for number in range(620))
    assert run_once(world.database, world.postroom, world.now).sent.accepted == 620
    assert len({mail.to_address for mail in ledger.taken}) == 620


def test_nothing_that_is_not_due_is_touched(world: World) -> None:
    world.contact("ann@example.com")
    assert run_once(world.database, world.postroom, world.now - timedelta(minutes=1)).handled == 0
    assert world.rows(tables.Message) == []


def test_two_processes_at_the_same_moment_send_every_message_once(world: World, tmp_path: Path) -> None:
    rehearsing(world)
    world.contacts(f"c{number}@example.com" for number in range(300))
    folder = working_folder(tmp_path / "folder", world.database.url.render_as_string(hide_password=False))
    with ExitStack() as stack:
        both = [stack.enter_context(started("run", "--once", "--json", folder=folder)) for _ in range(2)]
        for running in both:
            running.go()
        ends = [running.end() for running in both]
    assert [code for code, _ in ends] == [0, 0], [running.heard for running in both]
    assert sum(json.loads(printed)["accepted"] for _, printed in ends) == 300
    assert len(list((folder / "outbox").rglob("*.eml"))) == 300
    assert states(world) == {"accepted": 300}
    assert len(world.rows(tables.Event, kind="sent")) == 300
    assert {message.attempts for message in world.rows(tables.Message)} == {1}


# --- ending -----------------------------------------------------------------------------------------------------------


def test_the_group_in_flight_is_finished_and_the_rest_is_given_back(world: World) -> None:
    class Bell(Ledger):
        def send(self, group: Any, *, seconds: float) -> Any:
            rung.append(len(group))
            return super().send(group, seconds=seconds)

    rung: list[int] = []
    world.use(Bell(batch=2))
    world.contacts(f"c{number}@example.com" for number in range(5))
    stopping = lambda: bool(rung)  # noqa: E731
    run_once(world.database, world.postroom, world.now, stopping=stopping)
    assert rung == [2]
    assert states(world) == {"accepted": 2, "ready": 3}
    rung.clear()
    assert send_due(world.database, world.postroom, world.now).accepted == 3


def test_sigterm_ends_after_the_mail_in_flight(database: Database, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    house = HOUSE.replace('provider = "outbox"', 'provider = "tests.patient"')
    house += f'\n[providers."tests.patient"]\ngate = "{gate}"\n'
    url = database.url.render_as_string(hide_password=False)
    folder = working_folder(tmp_path / "folder", url, {"nurture.toml": house})
    world = World(database, tmp_path, changes={"nurture.toml": house})
    world.now = datetime.now(UTC) - timedelta(seconds=1)
    world.contacts(f"c{number}@example.com" for number in range(3))
    with started("run", folder=folder) as running:
        running.go()
        running.wait_for("3 contacts")
        running.wait_for("in flight")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("stopping")
        gate.write_text("go\n")
        code, _ = running.end()
    assert code == 0, running.heard
    assert states(world) == {"accepted": 1, "ready": 2}
    assert {message.owner for message in world.rows(tables.Message)} == {None}


# --- the heartbeat ----------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[queue.Queue[dict[str, Any]]]:
    """What is logged, as it comes."""
    entries: queue.Queue[dict[str, Any]] = queue.Queue()

    def keep(logger: Any, method: str, entry: Any) -> Any:
        entries.put(dict(entry))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    yield entries
    structlog.configure(**before)


def wait_for(log: queue.Queue[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    while True:
        entry = log.get(timeout=PATIENCE)
        if wanted.items() <= entry.items():
            return entry


def test_the_heartbeat_sends_what_is_due(world: World, log: queue.Queue[dict[str, Any]]) -> None:
    rehearsing(world)
    world.contacts(["ann@example.com", "bob@example.com"])
    scheduler = Scheduler(world.database, world.postroom)
    scheduler.start()
    try:
        assert wait_for(log, event="direct")["accepted"] == 2
    finally:
        scheduler.stop()
    assert len(world.mails()) == 2


def test_a_database_that_fails_is_tried_again_and_nothing_is_sent_before_it_works(
    tmp_path: Path, log: queue.Queue[dict[str, Any]]
) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path / 'here.db'}")
    here = Database(f"sqlite:///{tmp_path / 'here.db'}")
    world = rehearsing(World(here, tmp_path))
    world.contact("ann@example.com")
    here.dispose()
    away = Database(f"sqlite:///{tmp_path / 'away.db'}")
    scheduler = Scheduler(away, world.postroom)
    scheduler.start()
    try:
        failed = wait_for(log, event="failed, tries again", job="tick")
        assert "There is no database at" in failed["reason"]
        shutil.copyfile(tmp_path / "here.db", tmp_path / "away.db")
        wait_for(log, event="works again", job="tick")
        wait_for(log, event="send")
    finally:
        scheduler.stop()
        away.dispose()
    assert len(world.mails()) == 1


def test_a_stopped_heartbeat_begins_nothing(world: World) -> None:
    rehearsing(world)
    scheduler = Scheduler(world.database, world.postroom)
    scheduler.begin_to_stop()
    world.contact("ann@example.com")
    scheduler.tick()
    scheduler.send()
    assert world.rows(tables.Message) == []
    scheduler.stop()


def test_old_answers_are_forgotten(world: World) -> None:
    world.contact("ann@example.com")
    world.work()
    assert world.rows(tables.Decision)
    world.now = MONDAY + timedelta(days=200)
    rehearsing(world)
    Scheduler(world.database, world.postroom).forget()
    assert world.rows(tables.Decision) == []


def test_the_time_of_a_rehearsal_stands_still(world: World) -> None:
    rehearsing(world)
    assert program_time(world.database) == MONDAY
