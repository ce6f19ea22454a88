"""Rehearsals: a whole copy across databases, fenced for ever, in which time goes forward only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from nurture import drafts, rehearsal
from nurture.db import instance, tables
from nurture.db.session import Database
from nurture.db.tables import Base
from nurture.errors import DatabaseError, Fenced, Refused
from nurture.settings import load_settings
from nurture.wiring import open_postroom
from tests import databases
from tests.processes import working_folder
from tests.world import MONDAY, World

LATER = MONDAY + timedelta(days=400)
BEFORE = MONDAY - timedelta(days=1)


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def rows(database: Database, table: Any) -> list[dict[str, Any]]:
    with database.read() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in found]


@pytest.fixture
def lived(world: World) -> World:
    """A world in which much happened: mail sent, a draft approved, one merged contact without runs, suppressions."""
    rita = world.rep()
    ann, bob, cleo, _ = world.contacts((f"{name}@example.com" for name in ("ann", "bob", "cleo", "dan")), owner=rita)
    world.work()
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.advance(days=1)
    draft = world.row(tables.Message, voice="personal")
    world.record(bob, "unsubscribed")
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, "rita", world.now)
        merged = update(tables.Contact).where(tables.Contact.id == bob).values(merged_into=cleo)
        connection.execute(merged)
    world.record(cleo, "unsubscribed")
    return world


@pytest.fixture
def target_url(tmp_path: Path) -> str:
    """Where a rehearsal may be made: the tables are there already, which takes longer than the rest."""
    return databases.sqlite_url(tmp_path)


@pytest.fixture
def copied(lived: World, target_url: str) -> Iterator[Database]:
    """A rehearsal of it."""
    rehearsal.rehearse(lived.database, target_url, lived.now)
    opened = Database(target_url)
    yield opened
    opened.dispose()


# --- the copy ---------------------------------------------------------------------------------------------------------


def test_between_any_two_databases_every_table_is_the_same_and_goes_on(
    lived: World, empty_url: str, tmp_path: Path
) -> None:
    """New keys do not meet copied ones, and the approved draft goes out."""
    rehearsal.rehearse(lived.database, empty_url, lived.now)
    copied = Database(empty_url)
    for table in Base.metadata.sorted_tables:
        if table.name not in ("instance", "leases"):
            assert rows(copied, table) == rows(lived.database, table), table.name
    assert rows(copied, tables.Approval.__table__)
    assert rows(copied, tables.Suppression.__table__)
    folder = working_folder(tmp_path / "folder", empty_url)
    postroom = open_postroom(load_settings(folder, {}), copied, owner="x")
    done = rehearsal.advance(copied, postroom, lived.now + timedelta(days=2))
    assert done.sent.accepted == 2
    copied.dispose()


def test_a_rehearsal_knows_what_it_is_and_the_source_stays_what_it_was(lived: World, copied: Database) -> None:
    with copied.read() as connection:
        home = instance.read(connection)
    assert (home.rehearsal, home.rehearsal_now) == (True, lived.now)
    with lived.database.read() as connection:
        assert not instance.read(connection).rehearsal


def test_claims_are_not_copied(lived: World, target_url: str) -> None:
    with lived.database.write() as connection:
        connection.execute(update(tables.Timer).values(owner="somebody", lease_until=LATER))
    rehearsal.rehearse(lived.database, target_url, lived.now)
    target = Database(target_url)
    found = rows(target, tables.Timer.__table__)
    target.dispose()
    assert found
    assert {(timer["owner"], timer["lease_until"]) for timer in found} == {(None, None)}


def test_a_target_with_contacts_is_refused(lived: World, copied: Database) -> None:
    with pytest.raises(Refused, match="has contacts already"):
        rehearsal.rehearse(lived.database, url_of(copied), lived.now)


def test_an_empty_rehearsal_is_filled(lived: World, target_url: str) -> None:
    target = Database(target_url)
    with target.write() as connection:
        instance.create(connection, "other", lived.postroom.links.ring, MONDAY, rehearsal=True)
    assert rehearsal.rehearse(lived.database, target_url, lived.now)["contacts"] == 4
    assert rows(target, tables.Instance.__table__)[0]["instance_id"] == "test-instance"
    target.dispose()


def test_a_real_database_never_becomes_a_rehearsal(lived: World, target_url: str) -> None:
    target = Database(target_url)
    with target.write() as connection:
        instance.create(connection, "other", lived.postroom.links.ring, MONDAY)
    with pytest.raises(Fenced, match="real database"):
        rehearsal.rehearse(lived.database, target_url, lived.now)
    with target.read() as connection:
        assert not instance.read(connection).rehearsal
    target.dispose()


def test_a_database_of_others_is_refused(lived: World, tmp_path: Path) -> None:
    target_url = databases.sqlite_url(tmp_path, empty=True)
    target = Database(target_url, create=True)
    with target.write() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (id INTEGER)")
    target.dispose()
    with pytest.raises(Refused, match="other tables"):
        rehearsal.rehearse(lived.database, target_url, lived.now)


def test_a_database_is_not_copied_into_itself(world: World) -> None:
    with pytest.raises(Refused, match="into itself"):
        rehearsal.rehearse(world.database, url_of(world.database), world.now)


def test_what_is_copied_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no database"):
        rehearsal.rehearse(Database(f"sqlite:///{tmp_path / 'no.db'}"), f"sqlite:///{tmp_path / 'to.db'}", MONDAY)
    assert not (tmp_path / "to.db").exists()


# --- the fence --------------------------------------------------------------------------------------------------------


def test_whatever_the_settings_say_a_rehearsal_has_outboxes_only(
    lived: World, copied: Database, tmp_path: Path
) -> None:
    folder = working_folder(tmp_path / "folder", url_of(copied))
    house = (folder / "nurture.toml").read_text() + (
        '\n[web]\npublic_url = "https://news.example"\n[providers.smtp]\nhost = "mail.example"\n'
        '[safety]\nallow_domains = ["nobody.example"]\nredirect_all_to = "me@example.com"\n'
    )
    (folder / "nurture.toml").write_text(house)
    postroom = open_postroom(load_settings(folder, {}), copied, owner="x")
    assert {provider.name for provider in postroom.providers.values()} == {"outbox"}
    assert {"smtp", "postmark", "outbox"} <= postroom.providers.keys()
    assert postroom.links.public_url == "http://127.0.0.1:8000"
    rehearsal.advance(copied, postroom, lived.now + timedelta(days=2))
    (mails,) = (folder / "outbox").iterdir()
    assert mails.name.startswith("rehearsal-")
    assert list(mails.rglob("*.eml"))


def test_only_a_rehearsal_pretends_a_moment(world: World) -> None:
    with pytest.raises(Fenced, match="nurture rehearse"):
        rehearsal.pretend(world.database, LATER)
    with pytest.raises(Fenced):
        rehearsal.advance(world.database, world.postroom, LATER)
    assert world.work().accepted == 0


def test_time_never_goes_back(copied: Database, lived: World) -> None:
    rehearsal.pretend(copied, LATER)
    for goes_back in (
        lambda: rehearsal.pretend(copied, LATER - timedelta(seconds=1)),
        lambda: rehearsal.advance(copied, lived.postroom, LATER - timedelta(seconds=1)),
    ):
        with pytest.raises(Refused, match="never goes back"):
            goes_back()
    with copied.read() as connection:
        assert instance.read(connection).rehearsal_now == LATER


def test_a_rehearsal_does_not_begin_before_the_last_thing_that_happened(lived: World, target_url: str) -> None:
    with pytest.raises(Refused, match="never goes back"):
        rehearsal.rehearse(lived.database, target_url, LATER, begin=BEFORE)
    rehearsal.rehearse(lived.database, target_url, LATER, begin=lived.now)  # what was refused can be tried again
    target = Database(target_url)
    with target.read() as connection:
        assert instance.read(connection).rehearsal_now == lived.now
    target.dispose()


def test_where_nothing_happened_yet_any_moment_may_be_the_first(world: World, target_url: str) -> None:
    rehearsal.rehearse(world.database, target_url, LATER)
    target = Database(target_url)
    rehearsal.pretend(target, BEFORE)
    with pytest.raises(Refused):
        rehearsal.pretend(target, BEFORE - timedelta(days=1))
    target.dispose()


# --- living in it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(world: World) -> World:
    """A rehearsal with one contact who is due."""
    with world.database.write() as connection:
        instance.make_rehearsal(connection, world.now)
    world.contact("ann@example.com")
    return world


def test_time_passes_from_one_due_moment_to_the_next(stage: World) -> None:
    heard: list[datetime] = []
    done = rehearsal.advance(stage.database, stage.postroom, MONDAY + timedelta(days=30), hook=heard.append)  # type: ignore[arg-type, func-returns-value]
    assert done.sent.accepted == 2
    assert [mail["Subject"] for mail in stage.mails()] == ["Hello & welcome", "More for you"]
    assert stage.mails()[1]["Date"].datetime == MONDAY + timedelta(days=3)
    assert heard[0] == MONDAY
    assert heard[-1] == MONDAY + timedelta(days=30)
    assert len(heard) < 20
    with stage.database.read() as connection:
        assert instance.read(connection).rehearsal_now == MONDAY + timedelta(days=30)


def test_moments_lie_on_a_grid_so_that_pages_stay_full(stage: World) -> None:
    stage.now = MONDAY + timedelta(minutes=1)
    stage.contact("bob@example.com")
    stage.now = MONDAY + timedelta(minutes=7)
    stage.contact("cleo@example.com")
    heard: list[datetime] = []
    rehearsal.advance(stage.database, stage.postroom, MONDAY + timedelta(hours=1), hook=heard.append)  # type: ignore[arg-type, func-returns-value]
    assert heard == [MONDAY, MONDAY + timedelta(minutes=10), MONDAY + timedelta(hours=1)]
    assert len(stage.mails()) == 3


def test_people_behave_between_the_moments(stage: World) -> None:
    (ann,) = (row.id for row in stage.rows(tables.Contact))

    def behave(now: datetime) -> datetime | None:
        stage.now = now
        if now == MONDAY + timedelta(days=1):
            stage.record(ann, "replied")
        return MONDAY + timedelta(days=1) if now < MONDAY + timedelta(days=1) else None

    rehearsal.advance(stage.database, stage.postroom, MONDAY + timedelta(days=30), hook=behave)
    assert len(stage.mails()) == 1
    assert stage.row(tables.Enrollment).reason == "replied"


def test_it_can_be_stopped_between_moments_and_goes_on_later(stage: World) -> None:
    end = MONDAY + timedelta(days=30)
    rehearsal.advance(stage.database, stage.postroom, end, stopping=lambda: bool(stage.mails()))
    assert len(stage.mails()) == 1
    rehearsal.advance(stage.database, stage.postroom, end)
    assert len(stage.mails()) == 2


def test_the_last_moment_is_that_of_the_last_thing_that_happened(world: World) -> None:
    with world.database.read() as connection:
        assert rehearsal.last_moment(connection) is None
    world.contact("ann@example.com")
    world.advance(hours=1)
    with world.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.Message)) == 1
        assert rehearsal.last_moment(connection) == MONDAY
