"""What is written is what every parser reads back. `EmailMessage` is the oracle."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nurture.core.words import Voice
from nurture.mail.wire import Outgoing, header_pairs, mailbox, needs_smtputf8, tamed, to_bytes

MAIL = Outgoing(
    id=1,
    voice=Voice.MARKETING,
    from_address="news@acme.example",
    from_name="Acme",
    to_address="ann@example.com",
    to_name="Ann",
    subject="Hello",
    text="Hello Ann,\n\nhow are you?\n",
    html="<p>Hello Ann</p>\n",
    message_id="<0123456789abcdef@acme.example>",
    date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    unsubscribe_url="https://mail.acme.example/u/token",
    feedback_id="welcome:hello:marketing:acme",
)

HEADER_TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200)
ASCII_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)
BODIES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=80),
        st.sampled_from(
            ["\n", "\r\n", "\r", ".", "..", "From x", " ", "\t", "x" * 1200, "é" * 700, "--=_", "=20", "\0"]
        ),
    ),
    max_size=12,
).map("".join)


def parse(octets: bytes) -> EmailMessage:
    message = message_from_bytes(octets, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def lines_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def assert_wire_rules(octets: bytes) -> None:
    assert octets.endswith(b"\r\n")
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert b"\0" not in octets
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    head = octets.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert all(len(line) <= 76 or b" " not in line.strip().partition(b": ")[2] for line in head.split(b"\r\n"))


@given(HEADER_TEXT)
@example("=?utf-8?q?x?=")
@example("a  b   c " * 20)
@example("x" * 300)
@example("ü" * 100)
@example("👩‍💻" * 30)
def test_subject_comes_back_as_it_was(subject: str) -> None:
    octets = to_bytes(replace(MAIL, subject=subject))
    assert_wire_rules(octets)
    assert str(parse(octets)["Subject"]) == subject.strip(" ")


@given(ASCII_TEXT)
def test_ascii_subject_comes_back_as_it_was(subject: str) -> None:
    assume("=?" not in subject)
    octets = to_bytes(replace(MAIL, subject=subject))
    assert_wire_rules(octets)
    assert str(parse(octets)["Subject"]) == subject.strip(" ")


@given(st.one_of(HEADER_TEXT, ASCII_TEXT))
@example('O\'Neil, Ann \\ "x"')
@example("Ann <eve@example.com>")
@example("  x  ")
def test_name_comes_back_and_adds_no_recipient(name: str) -> None:
    octets = to_bytes(replace(MAIL, to_name=name, from_name=name))
    assert_wire_rules(octets)
    message = parse(octets)
    for header, address in (("To", "ann@example.com"), ("From", "news@acme.example")):
        (read,) = message[header].addresses
        assert read.addr_spec == address
        # This parser puts a blank between two encoded words of a phrase, where RFC 2047, 6.2 has none.
        assert "".join(read.display_name.split()) == "".join(name.split())


@given(HEADER_TEXT)
@example("000\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0𐀀𐀀𐀀𐀀𐀀𐀀")
def test_name_in_encoded_words_comes_back_exactly(name: str) -> None:
    assume(not name.isascii())
    raw = message_from_bytes(to_bytes(replace(MAIL, to_name=name)), policy=policy.compat32)["To"]
    phrase, _, address = raw.rpartition("<")
    assert address == "ann@example.com>"
    assert str(make_header(decode_header(phrase.strip()))) == name.strip(" ")


@given(BODIES, st.one_of(st.none(), BODIES), st.booleans())
def test_bodies_come_back_to_the_byte(text: str, html: str | None, eight_bit: bool) -> None:
    octets = to_bytes(replace(MAIL, text=text, html=html), eight_bit=eight_bit)
    assert_wire_rules(octets)
    if not eight_bit:
        assert octets.isascii()
    message = parse(octets)
    assert not message.defects
    if html is None:
        assert body(message, "plain").removesuffix("\r\n") == lines_end(text).removesuffix("\r\n")
    else:
        assert body(message, "plain") == lines_end(text)
        assert body(message, "html") == lines_end(html)


@given(HEADER_TEXT, BODIES, BODIES)
def test_email_message_is_the_oracle(subject: str, text: str, html: str) -> None:
    assume("\0" not in text + html)  # EmailMessage writes it as it is
    oracle = EmailMessage()
    oracle["From"] = Address("Acme", addr_spec="news@acme.example")
    oracle["To"] = Address("Ann", addr_spec="ann@example.com")
    oracle["Message-ID"] = MAIL.message_id
    oracle.set_content(lines_end(text).replace("\r\n", "\n"), cte="base64")
    oracle.add_alternative(lines_end(html).replace("\r\n", "\n"), subtype="html", cte="base64")
    theirs = parse(oracle.as_bytes(policy=policy.SMTP))
    ours = parse(to_bytes(replace(MAIL, subject=subject, text=text, html=html)))
    for header in ("From", "To", "Message-ID", "MIME-Version"):
        assert str(ours[header]) == str(theirs[header])
    assert [part.get_content_type() for part in ours.walk()] == [part.get_content_type() for part in theirs.walk()]
    for kind in ("plain", "html"):
        assert lines_end(body(ours, kind)).rstrip("\r\n") == lines_end(body(theirs, kind)).rstrip("\r\n")


def test_each_header_stands_once_and_text_before_html() -> None:
    message = parse(to_bytes(MAIL))
    for header in ("From", "To", "Date", "Message-ID", "Subject", "MIME-Version"):
        assert len(message.get_all(header, [])) == 1
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_unsubscribe_headers_stand_on_marketing_mail() -> None:
    message = parse(to_bytes(MAIL))
    assert message["List-Unsubscribe"] == "<https://mail.acme.example/u/token>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Feedback-ID"] == "welcome:hello:marketing:acme"


def test_personal_mail_never_carries_bulk_headers() -> None:
    personal = replace(MAIL, voice=Voice.PERSONAL)
    message = parse(to_bytes(personal))
    for header in ("List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Precedence"):
        assert message[header] is None
    assert [name for name, _ in header_pairs(personal)] == ["Message-ID"]


def test_answer_names_its_thread() -> None:
    chain = tuple(f"<{number:032}@acme.example>" for number in range(20))
    answer = replace(MAIL, in_reply_to=chain[-1], references=chain)
    octets = to_bytes(answer)
    assert_wire_rules(octets)
    message = parse(octets)
    assert message["In-Reply-To"] == chain[-1]
    assert message["References"].split() == list(chain)


@pytest.mark.parametrize("voice", Voice)
@pytest.mark.parametrize("url", [None, MAIL.unsubscribe_url, f"https://acme.example/{'t' * 120}"])
@pytest.mark.parametrize("thread", [(), ("<first@acme.example>", f"<{'n' * 80}@acme.example>")])
def test_on_the_wire_stand_the_headers_that_providers_are_told(
    voice: Voice, url: str | None, thread: tuple[str, ...]
) -> None:
    answered = thread[-1] if thread else None
    mail = replace(MAIL, voice=voice, unsubscribe_url=url, in_reply_to=answered, references=thread)
    written = [line.split(": ", 1) for line in to_bytes(mail).decode().replace("\r\n ", " ").split("\r\n")]
    pairs = [list(pair) for pair in header_pairs(mail)]
    place = next(number for number, line in enumerate(written) if line[0] == "Message-ID")
    assert written[place : place + len(pairs)] == pairs


def test_same_mail_gives_the_same_bytes() -> None:
    assert to_bytes(MAIL) == to_bytes(replace(MAIL))


def test_mail_is_written_once_and_anew_when_it_changes() -> None:
    mail = replace(MAIL)
    assert to_bytes(mail) is to_bytes(mail)
    assert mail == replace(MAIL)
    assert b"Subject: Other" in to_bytes(replace(mail, subject="Other"))
    assert to_bytes(replace(MAIL, text="ü"), eight_bit=False).isascii()


TAME = BODIES.map(lambda text: re.sub(r"[\0\r]|=_", "", text))


@given(TAME, TAME, st.booleans())
@example("x", "é" * 700, True)
@example("x", "é", False)
def test_a_tame_mail_is_written_as_any_other(text: str, html: str, eight_bit: bool) -> None:
    plain = replace(MAIL, text=text, html=html)
    tame = tamed(replace(plain), undotted="\n." not in f"\n{text}\n{html}")
    expected = to_bytes(plain, eight_bit=eight_bit)
    assert to_bytes(tame, eight_bit=eight_bit) == expected
    if tame.undotted and eight_bit:
        assert b"\n." not in expected


def test_a_promise_does_not_outlast_a_change() -> None:
    altered = replace(tamed(replace(MAIL), undotted=True), text="=_\r.")
    assert not altered.tame
    assert not altered.undotted


@given(st.lists(st.integers(990, 1002), max_size=4), st.integers(0, 1500))
@example([998, 998], 998)
@example([999], 0)
def test_long_lines_are_found_wherever_they_stand(lengths: list[int], last: int) -> None:
    text = "".join("x" * length + "\n" for length in lengths) + "y" * last
    octets = to_bytes(replace(MAIL, text=text, html=None))
    assert_wire_rules(octets)
    fits = max([*lengths, last]) <= 998
    assert (b"Content-Transfer-Encoding: 7bit" in octets) is fits


def test_boundary_stands_in_no_body() -> None:
    boundary = parse(to_bytes(MAIL)).get_boundary()
    hostile = replace(MAIL, text=f"--{boundary}\nContent-Type: text/html\n\nboo\n--{boundary}--\n")
    message = parse(to_bytes(hostile))
    assert message.get_boundary() != boundary
    assert body(message, "plain") == lines_end(hostile.text)


@given(st.integers(600_000_000, 3_800_000_000), st.integers(-720, 840))
def test_date_is_what_the_library_writes(seconds: int, minutes: int) -> None:
    at = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    written = parse(to_bytes(replace(MAIL, date=at)))["Date"]
    assert str(written) == format_datetime(at.astimezone(UTC))


def test_idn_domain_is_written_as_a_labels() -> None:
    assert b"ann@xn--bcher-kva.example" in to_bytes(replace(MAIL, to_address="ann@bücher.example"))


def test_non_ascii_local_part_needs_smtputf8() -> None:
    assert not needs_smtputf8(MAIL)
    assert not needs_smtputf8(replace(MAIL, to_address="ann@bücher.example"))
    assert needs_smtputf8(replace(MAIL, to_address="jürgen@example.com"))
    assert "jürgen@example.com".encode() in to_bytes(replace(MAIL, to_address="jürgen@example.com"))


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Hi\nBcc: eve@example.com"},
        {"subject": "=?UTF-8?Q?=0A?=Bcc: eve@example.com"},
        {"to_name": "Ann\r\nBcc: eve@example.com"},
        {"from_name": "=?utf-8?b?Cg==?="},
        {"to_address": "ann@example.com\nBcc: eve@example.com"},
        {"to_address": "ann@example.com, eve@example.com"},
        {"reply_to": "a@example.com>\r\nBcc: <eve@example.com"},
        {"message_id": "<a@b>\r\nBcc: eve@example.com"},
        {"in_reply_to": "no brackets"},
        {"references": ("<a b@c>",)},
        {"unsubscribe_url": "https://a.example/\r\nBcc: eve@example.com"},
        {"unsubscribe_url": "javascript:alert(1)"},
        {"unsubscribe_url": "https://a.example/" + "x" * 1000},
        {"feedback_id": "a\nb"},
        {"text": "\ud800"},
    ],
)
def test_no_value_adds_a_header_or_a_recipient(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        to_bytes(replace(MAIL, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "ann@example.com"),
        ("Ann", '"Ann" <ann@example.com>'),
        ("Müller, Ann", '"Müller, Ann" <ann@example.com>'),
        ('The "A"', '"The \\"A\\"" <ann@example.com>'),
    ],
)
def test_mailbox_for_json_providers_is_quoted(name: str, written: str) -> None:
    assert mailbox(name, "ann@example.com") == written
