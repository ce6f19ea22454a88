"""Addresses: the fast path answers what email-validator answers, and nothing adds a header."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from nurture.mail.address import clean_header, domain, normalize, wire_address

CHARACTERS = "abzABZ019.-_+@!#$%&'*/=?^`{|}~ xn\"(),:;<>[]\\éßk\n\t"
ADDRESSES = st.one_of(
    st.text(alphabet=CHARACTERS, max_size=30),
    st.builds(
        "{}@{}.{}".format,
        st.text(alphabet="abzABZ019.-_+!'", min_size=1, max_size=70),
        st.lists(st.text(alphabet="abzAZ019-xn", min_size=1, max_size=66), min_size=1, max_size=3).map(".".join),
        st.sampled_from(["com", "test", "local", "c", "co.uk", "1a", "a1", "xn--p1ai", "invalid", "arpa", "COM"]),
    ),
)


def by_the_library(text: str) -> str | None:
    try:
        valid = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return f"{valid.local_part.lower()}@{valid.ascii_domain.lower()}"


@given(ADDRESSES)
@example("a@xn--p1ai.com")
@example("a@ab--c.com")
@example("a@-ab.com")
@example("a@localhost")
@example("a@b.local")
@example("a" * 65 + "@b.com")
@example("a@" + "b" * 64 + ".com")
@example("a@" + ".".join(["b" * 63] * 4) + ".com")
@example("\u212a@example.com")
def test_fast_path_answers_what_email_validator_answers(text: str) -> None:
    try:
        answer: str | None = normalize(text)
    except ValueError:
        answer = None
    assert answer == by_the_library(text)


@given(ADDRESSES)
def test_normalizing_twice_changes_nothing(text: str) -> None:
    try:
        once = normalize(text)
    except ValueError:
        return
    assert normalize(once) == once


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("ann+tag@example.com", "ann+tag@example.com"),
        ("a.n.n@gmail.com", "a.n.n@gmail.com"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("jürgen@example.com", "jürgen@example.com"),
        ("ann@acme.test", "ann@acme.test"),
    ],
)
def test_normal_form(text: str, key: str) -> None:
    assert normalize(text) == key


@pytest.mark.parametrize("text", ["", "ann", "ann@", "@example.com", "ann@example", "a b@example.com", "a@b@c.com"])
def test_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        normalize(text)


def test_domain() -> None:
    assert domain("ann@example.com") == "example.com"


def test_wire_address_keeps_the_case_of_the_local_part() -> None:
    assert wire_address("Ann.B@example.com") == "Ann.B@example.com"
    assert wire_address(" Ann@bücher.example") == "Ann@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "text", ["ann@example.com\nBcc: eve@example.com", "ann@example.com>", "ann", "a@b.com, c@d.com", "a\r\n@b.com"]
)
def test_wire_address_refuses_what_could_add_a_recipient(text: str) -> None:
    with pytest.raises(ValueError, match="e-mail address"):
        wire_address(text)


@given(st.text(max_size=40))
def test_wire_address_holds_no_control_character(text: str) -> None:
    try:
        written = wire_address(text + "@example.com\n")
    except ValueError:
        return
    assert written == written.strip()
    assert "\n" not in written
    assert "\r" not in written


@pytest.mark.parametrize(
    "value",
    [
        "Hi\nBcc: eve@example.com",
        "Hi\rBcc: x",
        "tab\there",
        "nul\0",
        "\u2028",
        "\x85",
        "\ud800",
        "=?UTF-8?Q?=0A?=Bcc: x",
        "=?utf-8?b?Cg==?= Bcc: x",
        "=?utf-8?q?a=0D=0AX?=",
    ],
)
def test_control_characters_are_refused_also_behind_encoded_words(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        clean_header(value)


@pytest.mark.parametrize("value", ["Hi", "Grüße – 50 %", "a =?b", "=?utf-8?q?fine?=", "=?nonsense?q?x?=", "👩‍💻 new"])
def test_other_values_stay_as_they_are(value: str) -> None:
    assert clean_header(f" {value} ") == value
