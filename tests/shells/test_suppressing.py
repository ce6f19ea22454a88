"""Whose address a wish means: found by the plain address where that is known, else by its keyed hash."""

from __future__ import annotations

from sqlalchemy import update

from nurture.core.words import Scope
from nurture.db import suppressions, tables
from nurture.db.suppressions import Wish
from nurture.mail.keys import KeyRing
from tests.world import RING, World

TWO = KeyRing((("k2", bytes(range(32, 64))), *RING.keys))


def test_a_wish_finds_its_contact_by_address_or_by_hash(world: World) -> None:
    ann, bob = world.contacts(["ann@acme.example", "bob@acme.example"])
    told = [*suppressions.wishes(RING, "ann@acme.example", Scope.ALL, "asked")]
    untold = [Wish(RING.address_hash(f"{name}@acme.example"), Scope.ALL, "asked") for name in ("bob", "nobody")]
    with world.database.read() as connection:
        found = suppressions.contacts_of(connection, [*told, *untold])
        assert found == {told[0].address_hash: ann, untold[0].address_hash: bob}
        assert suppressions.contacts_of(connection, told) == {told[0].address_hash: ann}
        assert suppressions.contacts_of(connection, []) == {}


def test_of_the_wishes_under_several_keys_one_finds_the_contact(world: World) -> None:
    ann = world.contact("ann@acme.example")
    under_both = [*suppressions.wishes(TWO, "ann@acme.example", Scope.ALL, "asked")]
    assert len(under_both) == 2
    for key in ("k2", RING.newest):
        hashed = TWO.address_hash("ann@acme.example", key)
        with world.database.write() as connection:
            connection.execute(update(tables.Address).values(address_hash=hashed))
            assert suppressions.contacts_of(connection, under_both) == {hashed: ann}
