"""Promise 7: a database that was restored or copied does not send until a person has confirmed it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from nurture import failpoints
from nurture.db import instance, quotas, tables
from nurture.db.session import Database
from nurture.errors import Fenced
from nurture.mail.wire import Outgoing
from nurture.providers.base import Receipt
from nurture.scheduler import run_once
from nurture.witness import FILE, Witness
from tests.faults.conftest import url_of
from tests.faults.copies import copied
from tests.world import LINKS, Ledger, World


@pytest.fixture
def ledger(world: World, tmp_path: Path) -> Ledger:
    """A provider that is real, and a world that sends through it under the eyes of its witness."""
    ledger = Ledger(real=True)
    world.use(ledger, witness=Witness(tmp_path / FILE))
    with world.database.write() as connection:
        tested = {"unsubscribe_tested_url": LINKS.public_url, "unsubscribe_tested_at": world.now}
        connection.execute(update(tables.Instance).values(tested))
    return ledger


@pytest.fixture
def witness(world: World, ledger: Ledger) -> Witness:
    """A witness that has seen a mail leave."""
    world.contact("ann@example.com")
    world.work()
    assert len(ledger.taken) == 1
    assert world.postroom.witness is not None
    return world.postroom.witness


def restore(world: World) -> None:
    """Make the database forget what left today."""
    with world.database.write() as connection:
        connection.execute(delete(tables.SendCount))


def test_a_new_database_sends_and_gets_its_witness(world: World, witness: Witness) -> None:
    with world.database.read() as connection:
        assert witness.problem(connection) is None
        assert quotas.total(connection) == 1
    world.contact("bob@example.com")
    assert world.work().accepted == 1


def test_a_restored_database_sends_nothing_until_it_is_confirmed(
    world: World, witness: Witness, ledger: Ledger
) -> None:
    restore(world)
    world.contact("bob@example.com")
    with pytest.raises(Fenced, match=r"does not know of 1 messages.*nurture db confirm"):
        world.work()
    assert len(ledger.taken) == 1
    assert [row.state for row in world.rows(tables.Message)] == ["accepted", "ready"]
    with world.database.read() as connection:
        witness.confirm(connection)
    assert world.work().accepted == 1
    assert len(ledger.taken) == 2


@pytest.mark.parametrize("batch", [1, 500], ids=["plain", "direct"])
def test_what_left_before_its_process_was_killed_is_known(world: World, ledger: Ledger, batch: int) -> None:
    class Killed(Ledger):
        def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
            super().send(group, seconds=seconds)
            raise KeyboardInterrupt

    witness = world.postroom.witness
    world.use(taking := Killed(real=True, batch=batch), witness=witness)
    world.contact("ann@example.com")
    with pytest.raises(KeyboardInterrupt):
        run_once(world.database, world.postroom, world.now)
    assert len(taking.taken) == 1
    restore(world)
    world.use(ledger, witness=witness)
    with pytest.raises(Fenced, match=r"does not know of 1 messages"):
        world.work()


def test_what_no_witness_can_see_does_not_leave(world: World, witness: Witness, ledger: Ledger) -> None:
    """It was seen when the page began, and cannot be written when its mail is about to go."""
    world.contact("bob@example.com")
    failpoints.armed[failpoints.DISPATCHING] = lambda: witness.path.write_bytes(b"{")
    try:
        with pytest.raises(Fenced, match="cannot be read"):
            run_once(world.database, world.postroom, world.now)
    finally:
        failpoints.armed.clear()
    assert [row.state for row in world.rows(tables.Message)] == ["accepted", "retry_wait"]
    assert len(ledger.taken) == 1


def test_a_copy_of_the_database_beside_it_sends_nothing(world: World, witness: Witness, ledger: Ledger) -> None:
    world.contact("bob@example.com")
    with copied(url_of(world)) as url:
        clone = Database(url)
        try:
            with pytest.raises(Fenced, match="may be a copy"):
                run_once(clone, world.postroom, world.now)
        finally:
            clone.dispose()
    assert len(ledger.taken) == 1
    assert world.work().accepted == 1


def test_a_copy_from_before_the_first_mail_sends_nothing(world: World, ledger: Ledger, tmp_path: Path) -> None:
    witness, copy = world.postroom.witness, tmp_path / "copy" / FILE
    assert witness is not None
    with world.database.write() as connection:
        witness.begin(connection)
    copy.parent.mkdir(parents=True)
    shutil.copy2(witness.path, copy)
    world.contact("bob@example.com")
    world.use(ledger, witness=Witness(copy))
    with pytest.raises(Fenced, match="copy of another one"):
        world.work()
    world.use(ledger, witness=witness)
    assert world.work().accepted == 1


def test_what_an_older_version_wrote_down_is_enough(world: World, witness: Witness) -> None:
    written = json.loads(witness.path.read_bytes())
    del written["place"]
    witness.path.write_text(json.dumps(written))
    world.contact("bob@example.com")
    assert world.work().accepted == 1
    assert json.loads(witness.path.read_bytes())["place"]


def test_nobody_writes_less_than_another_has(world: World, witness: Witness, ledger: Ledger) -> None:
    """One process reads its count, another sends and writes, and the first one writes what it read."""
    with world.database.read() as connection:
        read = witness._now(connection)
    world.contact("bob@example.com")
    world.work()
    witness._write(read)
    restore(world)
    with world.database.read() as connection:
        assert "2 messages" in (witness.problem(connection) or "")


def test_a_copy_of_database_and_folder_sends_nothing(world: World, witness: Witness, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / FILE
    copy.parent.mkdir(parents=True)
    shutil.copy2(witness.path, copy)
    world.contact("bob@example.com")
    world.postroom = replace(world.postroom, witness=Witness(copy))
    with pytest.raises(Fenced, match="copy of another one"):
        world.work()


def test_a_copy_of_the_database_alone_sends_nothing(world: World, witness: Witness, tmp_path: Path) -> None:
    world.contact("bob@example.com")
    world.postroom = replace(world.postroom, witness=Witness(tmp_path / "elsewhere" / FILE))
    with pytest.raises(Fenced, match="never sent from this database"):
        world.work()


def test_a_folder_that_is_moved_goes_on(world: World, witness: Witness, tmp_path: Path) -> None:
    (tmp_path / ".nurture").rename(tmp_path / "moved")
    world.contact("bob@example.com")
    world.postroom = replace(world.postroom, witness=Witness(tmp_path / "moved" / FILE.name))
    assert world.work().accepted == 1


def test_another_database_in_the_same_folder_sends_nothing(world: World, witness: Witness) -> None:
    world.contact("bob@example.com")
    with world.database.write() as connection:
        name = "another-instance"
        values = {"instance_id": name, "key_check": LINKS.ring.check_value(name)}
        connection.execute(update(tables.Instance).values(values))
    with pytest.raises(Fenced, match="another database"):
        world.work()


def test_a_witness_that_cannot_be_read_fences(world: World, witness: Witness) -> None:
    witness.path.write_bytes(b"{")
    with pytest.raises(Fenced, match="cannot be read"):
        world.work()
    with world.database.read() as connection:
        witness.confirm(connection)
    world.work()


def test_an_installation_without_a_disk_names_its_database(world: World, witness: Witness) -> None:
    world.contact("bob@example.com")
    nowhere = Path("/dev/null") / FILE
    world.postroom = replace(world.postroom, witness=Witness(nowhere, trusted="test-instance"))
    assert world.work().accepted == 1


def test_an_outbox_needs_no_witness(world: World, witness: Witness) -> None:
    restore(world)
    world.contact("bob@example.com")
    world.use(Ledger(), witness=witness)
    assert world.work().accepted == 1


def test_a_rehearsal_never_asks_the_witness(world: World, witness: Witness) -> None:
    with world.database.write() as connection:
        instance.make_rehearsal(connection, world.now)
    with pytest.raises(Fenced, match="rehearsal"):
        world.work()
