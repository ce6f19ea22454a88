"""The key ring: the newest key writes, every key reads, and no key shows."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.errors import SuppressionKeyError
from nurture.mail.keys import KeyRing, format_keys, parse_keys

OLD, NEW = ("k1", b"a" * 32), ("k2", b"b" * 32)


def test_newest_key_hashes_addresses() -> None:
    ring = KeyRing((NEW, OLD))
    assert ring.address_hash("ann@example.com").startswith("k2:")
    assert len(ring.address_hash("ann@example.com")) == len("k2:") + 64
    assert ring.address_hash("ann@example.com") != ring.address_hash("bob@example.com")


def test_older_key_still_finds_its_suppressions() -> None:
    before = KeyRing((OLD,)).address_hash("ann@example.com")
    after = KeyRing((NEW, OLD))
    assert before in after.address_hashes("ann@example.com")
    assert after.address_hash("ann@example.com", "k1") == before


def test_links_signed_with_an_older_key_verify() -> None:
    signature = KeyRing((OLD,)).sign("unsubscribe", b"7")
    ring = KeyRing((NEW, OLD))
    assert ring.verify("unsubscribe", b"7", signature)
    assert not ring.verify("unsubscribe", b"8", signature)
    assert not ring.verify("preferences", b"7", signature)
    assert not KeyRing((NEW,)).verify("unsubscribe", b"7", signature)


def test_purpose_and_data_cannot_be_shifted_into_each_other() -> None:
    ring = KeyRing((OLD,))
    assert ring.sign("a", b"b") != ring.sign("ab", b"")


@given(st.binary(min_size=32, max_size=130), st.text(max_size=20), st.binary(max_size=200))
def test_a_signature_is_the_hmac_of_the_standard_library(key: bytes, purpose: str, data: bytes) -> None:
    expected = hmac.digest(key, purpose.encode() + b"\0" + data, "sha256")
    assert [KeyRing((("k1", key),)).sign(purpose, data) for _ in range(2)] == [expected, expected]


def test_check_value_recognizes_the_key_of_a_database() -> None:
    assert KeyRing((NEW, OLD)).check_value("i", "k1") == KeyRing((OLD,)).check_value("i")
    assert KeyRing((OLD,)).check_value("i") != KeyRing((("k1", b"c" * 32),)).check_value("i")
    assert KeyRing((OLD,)).check_value("i") != KeyRing((OLD,)).check_value("j")


def test_unknown_key_id_says_what_to_do() -> None:
    with pytest.raises(SuppressionKeyError, match="'k9' is not in the ring"):
        KeyRing((OLD,)).address_hash("ann@example.com", "k9")


def test_key_file_round_trip() -> None:
    ring = KeyRing((NEW, OLD))
    assert parse_keys("# newest first\n\n" + format_keys(ring)) == ring


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no suppression key"),
        ("# nothing\n", "no suppression key"),
        ("k1", "line 1"),
        ("K 1:" + "YQ" * 30, "line 1"),
        ("\nk1:***", "line 2"),
        ("k1:" + base64.b64encode(b"hushhush").decode(), "too short"),
        (format_keys(KeyRing((OLD,))) * 2, "repeats"),
    ],
)
def test_bad_key_file_names_the_line_and_never_the_key(text: str, message: str) -> None:
    with pytest.raises(SuppressionKeyError, match=message) as caught:
        parse_keys(text)
    assert base64.b64encode(b"hushhush").decode() not in str(caught.value)


def test_ring_never_shows_a_key() -> None:
    shown = repr(KeyRing((NEW, OLD)))
    assert shown == "KeyRing(k2, k1)"


def test_empty_ring_is_refused() -> None:
    with pytest.raises(SuppressionKeyError):
        KeyRing(())
