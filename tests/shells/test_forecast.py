"""How many people would get mail within a day: everybody who could, nobody twice, nobody who must not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import update

from nurture import drafts
from nurture.core.words import Scope
from nurture.db import tables
from nurture.looking.forecast import Forecast, forecast
from nurture.people import suppress_address
from nurture.program.load import build
from tests.programs import HOUSE, NURTURE, small
from tests.world import RING, World

SMTP = '\n[providers.smtp]\nhost = "127.0.0.1"\n'
REAL = {"nurture.toml": HOUSE.replace('provider = "outbox"', 'provider = "smtp"') + SMTP}


def test_there_is_nothing_to_ask_while_nothing_leaves_this_machine(world: World) -> None:
    world.contact("ann@example.com")
    assert _forecast(world, {}) == Forecast(())
    assert _forecast(world, REAL, real=()) == Forecast(())


def test_a_provider_that_carries_mail_already_is_not_asked_about(world: World) -> None:
    world.apply(REAL)
    world.contact("ann@example.com")
    assert _forecast(world, {**REAL, "sequences/nurture.yaml": NURTURE + "\n"}) == Forecast(())


def test_people_with_mail_due_are_counted_once(world: World) -> None:
    world.contacts(["ann@example.com", "bob@example.com"])
    found = _forecast(world, REAL)
    assert (found.providers, found.people, found.due, found.newcomers) == (("smtp",), 2, 2, 0)
    world.work()
    assert _forecast(world, REAL).people == 0
    world.advance(days=2, hours=1)
    assert (_forecast(world, REAL).due, _forecast(world, REAL).people) == (2, 2)


def test_people_whom_a_new_sequence_addresses_may_be_written_to(world: World) -> None:
    world.apply({"sequences/nurture.yaml": ""})
    world.contacts(["ann@example.com", "bob@example.com", "cy@example.com"])
    with world.database.write() as connection:
        suppress_address(connection, world.program, RING, "cy@example.com", Scope.MARKETING, "asked", "x", world.now)
    found = _forecast(world, REAL)
    assert (found.due, found.newcomers, found.people) == (0, 2, 2)


@pytest.mark.parametrize(
    ("old", "new", "people"),
    [
        ("[{stage_entered: {role: nurture}}, {event: created}, manual]", "[manual]", 0),
        (
            "  - {id: hello, email: leads/hello}",
            "  - {id: first, wait: 2 days}\n  - {id: hello, email: leads/hello}",
            0,
        ),
        ("audience: {role: nurture}", "audience: {role: nurture, stage: lead}", 1),
    ],
    ids=["by hand only", "after a longer wait", "by stage"],
)
def test_who_is_not_written_to_within_a_day_is_not_counted(world: World, old: str, new: str, people: int) -> None:
    world.apply({"sequences/nurture.yaml": ""})
    world.contact("ann@example.com")
    assert old in NURTURE
    assert _forecast(world, {**REAL, "sequences/nurture.yaml": NURTURE.replace(old, new)}).people == people


def test_a_personal_mail_counts_once_it_is_approved_and_its_mailbox_is_real(world: World) -> None:
    rita = world.rep()
    ann = world.contact("ann@example.com", owner=rita)
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.advance(days=1)
    with world.database.write() as connection:
        connection.execute(update(tables.Sender).where(tables.Sender.rep_id == rita.id).values(provider="smtp"))
        connection.execute(tables.Live.__table__.delete())
    changed = {"sequences/nurture.yaml": NURTURE + "\n"}
    assert (_forecast(world, changed).providers, _forecast(world, changed).people) == (("smtp",), 0)
    world.apply({})
    draft = world.row(tables.Message, voice="personal")
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, rita.email, world.now)
        connection.execute(tables.Live.__table__.delete())
    assert _forecast(world, changed).people == 1


def _forecast(world: World, changes: Mapping[str, str], real: tuple[str, ...] = ("smtp",)) -> Forecast:
    loaded = build({**small(), **changes})
    with world.database.read() as connection:
        return forecast(connection, loaded.program, real, world.now)
