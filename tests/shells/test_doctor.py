"""The doctor names what is late, stuck, lost or switched off, and is silent otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from nurture import engine
from nurture.db import leases, senders, tables
from nurture.db.session import Database
from nurture.doctor import Finding, State, examine
from nurture.mail.keys import KeyRing
from nurture.providers.base import Outcome, Receipt
from nurture.settings import Settings, load_settings
from tests.processes import working_folder
from tests.world import Ledger, World


@pytest.fixture
def settings(world: World, tmp_path: Path) -> Settings:
    """The settings of a folder whose database is the world's."""
    url = world.database.url.render_as_string(hide_password=False)
    return load_settings(working_folder(tmp_path / "company", url), {})


def wrong(world: World, settings: Settings, **later: float) -> dict[str, Finding]:
    """Return what is wrong at the world's moment; the clocks' check is about the real one."""
    found = examine(settings, world.database, lambda: world.now + timedelta(**later))
    return {finding.name: finding for finding in found if finding.state is State.WRONG and finding.name != "clock"}


def test_a_healthy_installation_has_nothing_wrong(world: World, settings: Settings) -> None:
    world.contact("ann@example.com")
    world.work()
    assert wrong(world, settings) == {}
    assert len(examine(settings, world.database, lambda: world.now)) >= 10


def test_missing_and_wrong_keys_are_told_with_what_to_do(world: World, settings: Settings) -> None:
    for ring in (None, KeyRing((("k1", bytes(32)),))):
        found = wrong(world, replace(settings, ring=ring))["suppression keys"]
        assert "bring back the keys" in (found.todo or "")


def test_what_is_late_is_told_by_kind(world: World, settings: Settings) -> None:
    world.contact("ann@example.com")
    assert wrong(world, settings, minutes=9) == {}
    late = wrong(world, settings, minutes=45)["work"]
    assert late.what.startswith("late by 45 minutes")
    assert "1 runs (0 in work)" in late.what
    assert "nurture run" in (late.todo or "")


def test_what_is_being_sent_is_told_with_the_end_of_its_lease(world: World, settings: Settings) -> None:
    world.contact("ann@example.com")
    engine.tick(world.database, "tester", world.now)
    with world.database.write() as connection:
        connection.execute(update(tables.Message).values(state="dispatching", owner="gone"))
        lease = world.now.replace(hour=9, minute=5)
        sending = update(tables.Timer).where(tables.Timer.kind == "message")
        connection.execute(sending.values(owner="gone", lease_until=lease))
    found = {finding.name: finding for finding in examine(settings, world.database, lambda: world.now)}
    assert found["in flight"].what.startswith("1 messages are claimed or being sent")
    assert "after 09:05:00 UTC" in found["in flight"].what


def test_a_process_that_did_not_survive_direct_sending_is_told_for_an_hour(world: World, settings: Settings) -> None:
    def told() -> str:
        return {each.name: each for each in examine(settings, world.database, lambda: world.now)}["direct sending"].what

    with world.database.write() as connection:
        leases.acquire(connection, "direct:gone", "gone", 60)
    assert "ended well, or is at work" in told()
    with world.database.write() as connection:
        moment = world.now.replace(hour=9, minute=5)
        connection.execute(update(tables.Lease).values(expires_at=moment))
    assert "until 10:05 UTC all go the plain way" in told()


def test_what_nothing_will_wake_is_told(world: World, settings: Settings) -> None:
    world.contact("ann@example.com")
    with world.database.write() as connection:
        connection.execute(delete(tables.Timer).where(tables.Timer.kind == "enrollment"))
    assert "1 unfinished things will never be woken: enrollment" in wrong(world, settings)["timers"].what


def test_what_kills_its_process_again_and_again_is_told(world: World, settings: Settings) -> None:
    world.contact("ann@example.com")
    with world.database.write() as connection:
        connection.execute(update(tables.Timer).values(attempts=6))
    assert "(6 times)" in wrong(world, settings)["tries"].what


def test_ambiguous_messages_are_told_after_an_hour(world: World, settings: Settings) -> None:
    world.contact("ann@example.com")
    world.use(Ledger(answers={"ann@example.com": Receipt(0, Outcome.AMBIGUOUS, detail="timeout")}))
    world.work()
    assert wrong(world, settings, minutes=50) == {}
    found = wrong(world, settings, hours=3)["ambiguous messages"]
    assert found.what == "of 1 messages nobody knows whether they were sent (newsletter 1), the oldest for 3 hours"


def test_a_sender_that_its_provider_refused_is_told(world: World, settings: Settings) -> None:
    with world.database.write() as connection:
        (sender,) = senders.every(connection)
        senders.pause(connection, sender.id, "401 bad token", world.now)
    assert wrong(world, settings)["sender newsletter"].what == "paused: 401 bad token"


def test_missing_keys_are_told(world: World, settings: Settings) -> None:
    assert "missing" in wrong(world, replace(settings, ring=None))["suppression keys"].what


def test_a_clock_that_is_not_the_databases_is_told(world: World, settings: Settings) -> None:
    found = {finding.name: finding for finding in examine(settings, world.database, lambda: world.now)}
    assert "seconds apart" in found["clock"].what  # the world lives in March 2026


def test_pages_that_do_not_answer_are_told_where_marketing_mail_leaves(world: World, settings: Settings) -> None:
    with world.database.write() as connection:
        connection.execute(update(tables.Sender).values(provider="smtp"))
    found = wrong(world, replace(settings, public_url="https://news.northwind.example"))["unsubscribe pages"]
    assert "has not answered its self-test" in found.what


def test_an_older_schema_is_told_and_nothing_else_is_asked(empty_url: str, settings: Settings, world: World) -> None:
    database = Database(empty_url, create=True)
    (found,) = examine(settings, database, lambda: world.now)
    database.dispose()
    assert (found.state, "nurture db upgrade" in found.what) == (State.WRONG, True)
