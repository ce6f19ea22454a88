from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from nurture.db import instance
from nurture.db.session import Database
from nurture.errors import DatabaseError, Fenced, Refused, SuppressionKeyError
from nurture.mail.keys import KeyRing
from tests.factories import NOW

K1 = ("k1", b"1" * 32)
K2 = ("k2", b"2" * 32)
RING = KeyRing((K1,))


def create(connection: Connection, *, rehearsal: bool = False) -> instance.Instance:
    return instance.create(connection, "the-id", RING, NOW, rehearsal=rehearsal)


def test_what_a_database_is_is_said_once(database: Database) -> None:
    with database.write() as connection:
        first = create(connection)
        second = instance.create(connection, "other-id", KeyRing((K2,)), NOW, rehearsal=True)
    assert first == second
    assert (first.instance_id, first.key_id, first.rehearsal, first.created_at) == ("the-id", "k1", False, NOW)


def test_a_database_that_is_nothing_yet_says_what_to_do(database: Database) -> None:
    with database.read() as connection, pytest.raises(DatabaseError, match="nurture db upgrade"):
        instance.read(connection)
    with database.write() as connection, pytest.raises(DatabaseError, match="nurture db upgrade"):
        instance.pause_sending(connection, "why")


@pytest.mark.parametrize("ring", [RING, KeyRing((K2, K1))], ids=["its own", "a newer one before it"])
def test_the_key_of_the_database_is_accepted(database: Database, ring: KeyRing) -> None:
    with database.write() as connection:
        create(connection)
        instance.verify_keys(connection, ring)


@pytest.mark.parametrize(
    ("ring", "said"),
    [
        (None, "k1 is missing"),
        (KeyRing((K2,)), "needs the suppression key k1, and the ring has only k2"),
        (KeyRing((("k1", b"x" * 32),)), "k1 is not the one"),
    ],
    ids=["missing", "another id", "another key"],
)
def test_without_the_right_key_nothing_goes_on(database: Database, ring: KeyRing | None, said: str) -> None:
    with database.write() as connection:
        create(connection)
        with pytest.raises(SuppressionKeyError, match=said) as refused:
            instance.verify_keys(connection, ring)
    assert "nothing is sent" in str(refused.value)


def test_a_rehearsal_never_goes_back(database: Database) -> None:
    with database.write() as connection:
        create(connection, rehearsal=True)
        instance.advance_rehearsal(connection, NOW)
        instance.advance_rehearsal(connection, NOW + timedelta(hours=1))
        with pytest.raises(Refused, match="reached 2026-03-02T10:00:00Z and never goes back"):
            instance.advance_rehearsal(connection, NOW + timedelta(minutes=59))
        assert instance.read(connection).rehearsal_now == NOW + timedelta(hours=1)


def test_a_real_database_pretends_nothing(database: Database) -> None:
    with database.write() as connection:
        create(connection)
        with pytest.raises(Fenced, match="real database"):
            instance.advance_rehearsal(connection, NOW)
        assert instance.read(connection).rehearsal_now is None


def test_a_copy_becomes_a_rehearsal(database: Database) -> None:
    with database.write() as connection:
        create(connection)
        instance.make_rehearsal(connection, NOW)
        assert instance.require_rehearsal(connection).rehearsal_now == NOW


def test_what_people_set_is_kept(database: Database) -> None:
    with database.write() as connection:
        create(connection)
        instance.set_launch_cap(connection, 50)
        instance.pause_sending(connection, "the list is wrong")
        instance.record_unsubscribe_test(connection, "https://mail.company.example", NOW)
        home = instance.read(connection)
        assert (home.launch_cap, home.sending_paused) == (50, "the list is wrong")
        assert (home.unsubscribe_tested_url, home.unsubscribe_tested_at) == ("https://mail.company.example", NOW)
        instance.resume_sending(connection)
        instance.set_launch_cap(connection, None)
        assert instance.read(connection).sending_paused is None
        assert instance.read(connection).launch_cap is None
