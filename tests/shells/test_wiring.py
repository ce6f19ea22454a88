"""What sending is put together from: the providers that are configured, links that lead somewhere, the safety rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from nurture import deciding
from nurture.db import instance, tables
from nurture.errors import ProviderError, SuppressionKeyError
from nurture.postroom import Postroom
from nurture.settings import load_settings
from nurture.wiring import LOCAL_URL, close_postroom, open_postroom
from tests.processes import working_folder
from tests.programs import HOUSE
from tests.world import World

SMTP = '\n[providers.smtp]\nhost = "127.0.0.1"\nsecurity = "none"\n'
WEB = '\n[web]\npublic_url = "https://news.example"\n'


def opened(world: World, more: str = "", *, provider: str = "outbox") -> Postroom:
    """Open the postroom of a folder whose settings say `more`, for senders that use `provider`."""
    url = world.database.url.render_as_string(hide_password=False)
    folder = working_folder(world.folder / "folder", url, {"nurture.toml": HOUSE + more})
    with world.database.write() as connection:
        connection.execute(update(tables.Sender).values(provider=provider))
    postroom = open_postroom(load_settings(folder, {}), world.database, owner="x")
    close_postroom(postroom)
    return postroom


def test_by_default_mail_becomes_files_in_the_folder(world: World) -> None:
    postroom = opened(world)
    world.postroom = postroom
    world.contact("ann@example.com")
    assert world.work().accepted == 1
    assert len(list((world.folder / "folder" / "outbox").rglob("*.eml"))) == 1
    assert not postroom.policy.real_providers


def test_links_lead_to_this_machine_only_while_no_mail_leaves_it(world: World) -> None:
    assert opened(world).links.public_url == LOCAL_URL


@pytest.mark.parametrize(
    ("more", "provider", "url"),
    [
        (SMTP, "outbox", LOCAL_URL),  # configured, but nobody uses it yet
        (SMTP, "smtp", ""),  # held: "set public_url"
        (SMTP + WEB, "smtp", "https://news.example"),
        (WEB, "outbox", "https://news.example"),
    ],
)
def test_real_mail_never_links_to_this_machine_by_accident(world: World, more: str, provider: str, url: str) -> None:
    assert opened(world, more, provider=provider).links.public_url == url


def test_safety_rules_come_from_the_settings(world: World) -> None:
    rules = (
        '\n[safety]\nredirect_all_to = "me@northwind.example"\nallow_domains = ["northwind.example"]\nlaunch_cap = 7\n'
    )
    postroom = opened(world, rules)
    assert postroom.redirect_all_to == "me@northwind.example"
    assert postroom.allow_domains == {"northwind.example"}
    assert postroom.launch_cap == 7


def test_the_cap_that_was_set_for_this_database_wins_in_a_process_that_runs(world: World) -> None:
    policy = opened(world, "\n[safety]\nlaunch_cap = 7\n").policy
    for cap, left in ((None, 7), (9000, 9000), (3, 3), (None, 7)):
        with world.database.write() as connection:
            instance.set_launch_cap(connection, cap)
            assert deciding.budget(connection, policy, world.now) == left


def test_a_provider_that_nobody_uses_may_be_incomplete(world: World) -> None:
    assert "smtp" not in opened(world, "\n[providers.smtp]\n").providers


def test_a_provider_that_a_sender_uses_may_not(world: World) -> None:
    with pytest.raises(ProviderError, match="host"):
        opened(world, "\n[providers.smtp]\n", provider="smtp")


def test_nothing_opens_without_the_key(world: World) -> None:
    url = world.database.url.render_as_string(hide_password=False)
    folder = working_folder(world.folder / "folder", url)
    Path(folder, ".nurture", "keys").unlink()
    with pytest.raises(SuppressionKeyError):
        open_postroom(load_settings(folder, {}), world.database, owner="x")
