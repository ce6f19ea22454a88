"""Unsubscribing by link: POST means it, GET never does, and nobody learns anything from a guess."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import delete, update

from nurture.core.model import ContactId
from nurture.core.words import Scope
from nurture.db import tables
from nurture.db.session import Database
from nurture.mail.keys import KeyRing
from nurture.program.links import unsubscribe_url
from nurture.web.app import create_app
from tests.programs import HOUSE
from tests.world import MONDAY, RING, World

ADDRESS = "ann@example.com"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(contact_id: int, address: str = ADDRESS, ring: KeyRing = RING, scope: Scope = Scope.MARKETING) -> str:
    """Return the path of the link that mail to a contact carries."""
    url = unsubscribe_url("https://x", ring, ContactId(contact_id), ring.address_hash(address), scope)
    return url.removeprefix("https://x")


def suppressed(world: World) -> set[tuple[str, str]]:
    return {(row.address_hash, row.scope) for row in world.rows(tables.Suppression)}


# --- POST -------------------------------------------------------------------------------------------------------------


def test_one_click_stops_marketing_mail_at_once(world: World, client: TestClient) -> None:
    ann = world.contact(ADDRESS)
    world.work()
    answer = client.post(link(ann), data=ONE_CLICK)
    assert (answer.status_code, answer.history) == (200, [])
    assert suppressed(world) == {(RING.address_hash(ADDRESS), "marketing")}
    assert [run.reason for run in world.rows(tables.Enrollment)] == ["unsubscribed"]
    assert [event.kind for event in world.rows(tables.Event, kind="unsubscribed")] == ["unsubscribed"]
    world.advance(days=30)
    assert len(world.mails()) == 1


def test_mail_that_waits_is_cancelled(world: World, client: TestClient) -> None:
    world.use(world.outbox, allow_domains=frozenset({"nobody.example"}))
    ann = world.contact(ADDRESS)
    world.work()
    assert world.row(tables.Message).state == "ready"
    client.post(link(ann), data=ONE_CLICK)
    assert world.row(tables.Message).state == "cancelled"


@pytest.mark.parametrize(
    "body",
    [
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b""},
        {"content": b"\xff\x00", "headers": {"Content-Type": "multipart/form-data; boundary=broken"}},
    ],
    ids=["urlencoded", "multipart", "empty", "broken"],
)
def test_whatever_the_body_a_post_means_it(world: World, client: TestClient, body: dict[str, object]) -> None:
    ann = world.contact(ADDRESS)
    answer: Response = client.post(link(ann), **body)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert len(suppressed(world)) == 1


def test_twice_is_as_once(world: World, client: TestClient) -> None:
    ann = world.contact(ADDRESS)
    first, second = (client.post(link(ann), data=ONE_CLICK) for _ in range(2))
    assert (first.status_code, first.text) == (second.status_code, second.text)
    assert len(suppressed(world)) == 1
    assert len(world.rows(tables.Event, kind="unsubscribed")) == 1


def test_a_link_acts_on_its_own_scope_only(world: World, client: TestClient) -> None:
    ann = world.contact(ADDRESS)
    client.post(link(ann, scope=Scope.PERSONAL), data=ONE_CLICK)
    assert suppressed(world) == {(RING.address_hash(ADDRESS), "personal")}


def test_the_link_of_an_old_mail_never_expires(world: World, client: TestClient) -> None:
    ann = world.contact(ADDRESS)
    world.now = MONDAY + timedelta(days=3650)
    client.post(link(ann), data=ONE_CLICK)
    assert len(suppressed(world)) == 1


def test_it_works_after_the_contact_was_merged(world: World, client: TestClient) -> None:
    ann, other = world.contacts([ADDRESS, "ann@other.example"])
    world.work()
    with world.database.write() as connection:
        moved = update(tables.Address).where(tables.Address.contact_id == ann)
        connection.execute(moved.values(contact_id=other, is_primary=False))
        connection.execute(update(tables.Contact).where(tables.Contact.id == ann).values(merged_into=other))
    client.post(link(ann), data=ONE_CLICK)
    assert (RING.address_hash(ADDRESS), "marketing") in suppressed(world)
    assert world.row(tables.Enrollment, contact_id=other).reason == "unsubscribed"


def test_it_works_after_the_address_was_erased(world: World, client: TestClient) -> None:
    ann = world.contact(ADDRESS)
    with world.database.write() as connection:
        connection.execute(delete(tables.Address).where(tables.Address.contact_id == ann))
        connection.execute(update(tables.Contact).where(tables.Contact.id == ann).values(erased_at=world.now))
    assert client.post(link(ann), data=ONE_CLICK).status_code == 200
    assert suppressed(world) == {(RING.address_hash(ADDRESS), "marketing")}


def test_it_works_for_whoever_has_the_address_now(world: World, client: TestClient) -> None:
    ann, other = world.contacts([ADDRESS, "ann@other.example"])
    world.work()
    with world.database.write() as connection:
        moved = update(tables.Address).where(tables.Address.contact_id == ann)
        connection.execute(moved.values(contact_id=other, is_primary=False))
    for _ in range(2):
        client.post(link(ann), data=ONE_CLICK)
    assert (RING.address_hash(ADDRESS), "marketing") in suppressed(world)
    assert world.row(tables.Enrollment, contact_id=other).reason == "unsubscribed"
    assert world.row(tables.Enrollment, contact_id=ann).reason is None


def test_a_link_of_an_older_key_stops_mail_under_the_newer_one(world: World) -> None:
    newer = KeyRing((("k2", bytes(range(32, 64))), *RING.keys))
    ann = world.contact(ADDRESS)
    with world.database.write() as connection:
        stored = update(tables.Address).values(address_hash=newer.address_hash(ADDRESS))
        connection.execute(stored)
    with TestClient(create_app(world.database, newer, clock=lambda: world.now)) as client:
        client.post(link(ann, ring=RING), data=ONE_CLICK)
    assert {hashed for hashed, _ in suppressed(world)} == {RING.address_hash(ADDRESS), newer.address_hash(ADDRESS)}
    assert world.row(tables.Enrollment, contact_id=ann).reason == "unsubscribed"


def test_a_wish_is_kept_where_no_program_is_applied(world: World, client: TestClient) -> None:
    ann = world.contact(ADDRESS)
    with world.database.write() as connection:
        connection.execute(delete(tables.Live))
    assert client.post(link(ann), data=ONE_CLICK).status_code == 200
    assert len(suppressed(world)) == 1


# --- GET --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_a_link_changes_nothing(world: World, client: TestClient, method: str) -> None:
    ann = world.contact(ADDRESS)
    answer = client.request(method, link(ann), params=ONE_CLICK)
    assert answer.status_code == 200
    assert suppressed(world) == set()
    assert [run.state for run in world.rows(tables.Enrollment)] == ["active"]


def test_the_form_posts_what_mail_programs_post(world: World, client: TestClient) -> None:
    page = client.get(link(world.contact(ADDRESS))).text
    assert '<form method="post">' in page
    assert '<input type="hidden" name="List-Unsubscribe" value="One-Click">' in page
    assert "Northwind Analytics" in page
    assert '<html lang="en">' in page
    assert "color-scheme: light dark" in page


def test_pages_are_private_and_not_indexed(world: World, client: TestClient) -> None:
    answer = client.get(link(world.contact(ADDRESS)))
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    assert ADDRESS not in answer.text


def test_the_name_of_the_company_is_text(world: World, client: TestClient) -> None:
    world.apply({"nurture.toml": _house('<script>alert("1")</script>')})
    page = client.get("/u/x").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def _house(name: str) -> str:
    return HOUSE.replace('"Northwind Analytics"', f"'{name}'", 1)


# --- guesses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["x", "", "a/b", "%00", "ÄÖ", "A" * 500, "tampered"])
def test_a_guess_looks_like_any_other_link(world: World, client: TestClient, method: str, token: str) -> None:
    ann = world.contact(ADDRESS)
    genuine = link(ann)
    guess = genuine[:-2] + ("AA" if not genuine.endswith("AA") else "BB") if token == "tampered" else f"/u/{token}"
    wrong = client.request(method, guess)
    assert suppressed(world) == set()
    right = client.request(method, genuine)
    assert (wrong.status_code, wrong.text, wrong.headers) == (right.status_code, right.text, right.headers)


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_a_wish_that_cannot_be_saved_is_not_confirmed(world: World, tmp_path: object) -> None:
    ann = world.contact(ADDRESS)
    gone = Database(f"sqlite:///{tmp_path}/gone.db")
    with TestClient(create_app(gone, RING, clock=lambda: MONDAY)) as client:
        assert client.get(link(ann)).status_code == 200
        answer = client.post(link(ann), data=ONE_CLICK)
    gone.dispose()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "Try again" in answer.text
