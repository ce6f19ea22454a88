"""Unsubscribe links: genuine ones say what they are about for ever, all others say nothing."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.model import ContactId
from nurture.core.words import Scope
from nurture.mail.keys import KeyRing
from nurture.program.links import UNSUBSCRIBE_PATH, UnsubscribeToken, read_unsubscribe, unsubscribe_url

RING = KeyRing((("k1", b"1" * 32),))
NEWER = KeyRing((("k2", b"2" * 32), *RING.keys))
HASH = RING.address_hash("ann@example.com")


def token(ring: KeyRing = RING, contact: int = 7, scope: Scope = Scope.MARKETING) -> str:
    url = unsubscribe_url("https://x.example", ring, ContactId(contact), HASH, scope)
    return url.removeprefix("https://x.example" + UNSUBSCRIBE_PATH)


@given(st.integers(0, 2**63 - 1), st.sampled_from(Scope), st.emails())
def test_a_link_says_contact_address_and_scope(contact: int, scope: Scope, email: str) -> None:
    address_hash = RING.address_hash(email)
    url = unsubscribe_url("https://x.example/", RING, ContactId(contact), address_hash, scope)
    read = read_unsubscribe(urlsplit(url).path.removeprefix(UNSUBSCRIBE_PATH), RING)
    assert read == UnsubscribeToken(ContactId(contact), address_hash, scope)


@given(st.integers(0, 2**63 - 1), st.sampled_from(Scope), st.emails())
def test_a_token_is_the_base64_of_what_is_signed(contact: int, scope: Scope, email: str) -> None:
    key_id, _, digest = (address_hash := NEWER.address_hash(email)).partition(":")
    payload = b"\x01" + scope.value[:1].encode() + contact.to_bytes(8, "big")
    payload += bytes((len(key_id),)) + key_id.encode() + bytes.fromhex(digest)
    plain = base64.urlsafe_b64encode(payload + NEWER.sign("unsubscribe", payload)).decode().rstrip("=")
    assert unsubscribe_url("https://x", NEWER, ContactId(contact), address_hash, scope) == f"https://x/u/{plain}"


def test_a_link_stays_valid_when_a_newer_key_signs() -> None:
    assert read_unsubscribe(token(), NEWER) == UnsubscribeToken(ContactId(7), HASH, Scope.MARKETING)


def test_a_link_of_a_newer_key_is_unknown_without_it() -> None:
    assert read_unsubscribe(token(NEWER), RING) is None


def test_a_link_is_short_and_needs_no_quoting() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,110}", token())


def test_a_link_shows_no_address() -> None:
    assert "ann" not in token()


def test_the_same_wish_gives_the_same_link() -> None:
    assert token() == token()
    assert len({token(), token(contact=8), token(scope=Scope.PERSONAL), token(NEWER)}) == 4


def test_no_character_of_a_link_can_be_changed() -> None:
    genuine = token()
    for at in range(len(genuine) - 1):
        other = "A" if genuine[at] != "A" else "B"
        assert read_unsubscribe(genuine[:at] + other + genuine[at + 1 :], RING) is None, at


@pytest.mark.parametrize(
    "text", ["", "x", "é", "\0", "a" * 5, "A" * 43, "A" * 100, token()[:-4], token() + "AAAA", " "]
)
def test_what_is_no_genuine_link_is_unknown(text: str) -> None:
    assert read_unsubscribe(text, RING) is None


@given(st.text())
def test_no_text_breaks_reading(text: str) -> None:
    assert read_unsubscribe(text, RING) is None


def test_another_signature_of_the_same_key_is_no_link() -> None:
    class Elsewhere(KeyRing):
        def sign(self, purpose: str, data: bytes) -> bytes:
            return super().sign("click", data)

    assert read_unsubscribe(token(Elsewhere(RING.keys)), RING) is None


def test_a_public_url_with_a_path_keeps_it() -> None:
    url = unsubscribe_url("https://x.example/mail/", RING, ContactId(1), HASH, Scope.ALL)
    assert url.startswith("https://x.example/mail/u/")


def test_without_a_public_url_the_link_leads_to_this_machine() -> None:
    url = unsubscribe_url("", RING, ContactId(1), HASH, Scope.ALL)
    assert url.startswith("http://localhost:8000/u/")


@pytest.mark.parametrize("address_hash", ["", "k1", "k1:xyz"])
def test_a_link_needs_a_real_address_hash(address_hash: str) -> None:
    with pytest.raises(ValueError, match=r"address hash|hexadecimal"):
        unsubscribe_url("https://x.example", RING, ContactId(1), address_hash, Scope.ALL)
