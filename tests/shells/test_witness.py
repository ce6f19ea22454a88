"""Promise 7: a database that was restored or copied does not send until a person has confirmed it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from nurture.db import instance, quotas, tables
from nurture.errors import Fenced
from nurture.witness import FILE, Witness
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
