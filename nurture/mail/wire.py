"""A mail as a value, and as the bytes that go over the wire. Nothing here sends.

RFC 5322 (format), 2045–2047 (MIME, encoded words), 6532 (internationalized headers), 2369 and 8058 (unsubscribe).
Bytes are joined, not built with `EmailMessage`, which costs a hundred times more; the tests hold both against each
other. The same mail gives the same bytes every time: the boundary is a hash of the Message-ID.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from nurture.core.words import Voice
from nurture.mail.address import clean_header, wire_address

MAX_LINE = 998
"""Octets in a line without its CRLF (RFC 5322, 2.1.1)."""

FOLD_AT = 76
"""Octets after which a header is folded where it can be (RFC 2047, 2)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail to one person, ready to be written. `id` is ours (a message's key) and comes back in its receipt.

    `message_id`, `in_reply_to` and `references` are written with their angle brackets; `date` is aware and set once,
    at first dispatch. `unsubscribe_url` (https) and `feedback_id` are for the marketing voice only. `metadata` goes to
    providers that keep it, so that a message can be found there again; it is no part of the mail.
    """

    id: int
    voice: Voice
    from_address: str
    from_name: str
    to_address: str
    to_name: str
    subject: str
    text: str
    html: str | None
    message_id: str
    date: datetime
    reply_to: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    unsubscribe_url: str | None = None
    feedback_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def to_bytes(outgoing: Outgoing, *, eight_bit: bool = True) -> bytes:
    """Return the mail as it goes over the wire: CRLF only, no line above 998 octets, not dot-stuffed.

    Without `eight_bit` the bodies are 7-bit (quoted-printable or base64), for servers that lack 8BITMIME. Raises
    ValueError when an address, an id or a header value cannot be written.
    """
    lines = [
        _address_line(b"From", outgoing.from_name, outgoing.from_address),
        _write_address(b"To", outgoing.to_name, outgoing.to_address),
    ]
    if outgoing.reply_to:
        lines.append(_address_line(b"Reply-To", "", outgoing.reply_to))
    lines += [
        _text_line(b"Subject", clean_header(outgoing.subject)),
        b"Date: " + _date(outgoing.date),
        *(_token_line(name.encode(), value) for name, value in header_pairs(outgoing)),
        b"MIME-Version: 1.0",
    ]
    return b"\r\n".join(lines) + b"\r\n" + _content(outgoing, eight_bit)


def header_pairs(outgoing: Outgoing) -> tuple[tuple[str, str], ...]:
    """Return the headers beside From, To, Reply-To, Subject and Date, checked, for providers that take JSON.

    Those are Message-ID, In-Reply-To, References and, in the marketing voice only, List-Unsubscribe,
    List-Unsubscribe-Post and Feedback-ID. Raises ValueError.
    """
    pairs = [("Message-ID", _id(outgoing.message_id))]
    if outgoing.in_reply_to:
        pairs.append(("In-Reply-To", _id(outgoing.in_reply_to)))
    if outgoing.references:
        pairs.append(("References", " ".join(map(_id, outgoing.references))))
    if outgoing.voice is not Voice.MARKETING:
        return tuple(pairs)
    if outgoing.unsubscribe_url:
        pairs.append(("List-Unsubscribe", f"<{_url(outgoing.unsubscribe_url)}>"))
        pairs.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if outgoing.feedback_id:
        pairs.append(("Feedback-ID", _visible("Feedback-ID", outgoing.feedback_id)))
    return tuple(pairs)


def mailbox(name: str, address: str) -> str:
    """Return `"Name" <address>` in Unicode, quoted, for providers that encode headers themselves. Raises ValueError."""
    cleaned = clean_header(name)
    return f"{_quoted(cleaned)} <{wire_address(address)}>" if cleaned else wire_address(address)


def needs_smtputf8(outgoing: Outgoing) -> bool:
    """Tell whether an address has a non-ASCII local part, which only SMTPUTF8 can carry (RFC 6531)."""
    addresses = (outgoing.from_address, outgoing.to_address, outgoing.reply_to or "")
    return not all(wire_address(address).isascii() for address in addresses if address)


# --- headers ----------------------------------------------------------------------------------------------------------

_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,240}@[!-;=?A-~]{1,255}>")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _write_address(header: bytes, name: str, address: str) -> bytes:
    bare = wire_address(address).encode()
    cleaned = clean_header(name)
    if not cleaned:
        return header + b": " + bare
    if not cleaned.isascii() or "=?" in cleaned or len(cleaned) > FOLD_AT:
        return header + b": " + _encoded_words(cleaned, len(header) + 2) + b"\r\n <" + bare + b">"
    phrase = cleaned if _PHRASE.fullmatch(cleaned) else _quoted(cleaned)
    gap = b" " if len(header) + len(phrase) + len(bare) + 5 <= FOLD_AT else b"\r\n "
    return header + b": " + phrase.encode() + gap + b"<" + bare + b">"


_address_line = lru_cache(maxsize=1024)(_write_address)
"""The same for addresses that come back: senders."""


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text_line(header: bytes, value: str) -> bytes:
    """Write free text: as it is while it is short ASCII, else folded, else as encoded words."""
    if value.isascii() and "=?" not in value:
        if len(header) + 2 + len(value) <= FOLD_AT:
            return header + b": " + value.encode()
        folded = _fold(header + b": " + value.encode())
        if max(map(len, folded.split(b"\r\n"))) <= FOLD_AT:
            return folded
    return header + b": " + _encoded_words(value, len(header) + 2)


def _fold(line: bytes) -> bytes:
    """Break a line before single blanks, so that what is unfolded is what was written."""
    parts: list[bytes] = []
    while len(line) > FOLD_AT:
        cut = line.rfind(b" ", 1, FOLD_AT)
        while cut > 0 and (line[cut - 1 : cut] in (b" ", b":") or line[cut + 1 : cut + 2] == b" "):
            cut = line.rfind(b" ", 1, cut)
        if cut <= 0:
            break
        parts.append(line[:cut])
        line = line[cut:]
    return b"\r\n".join((*parts, line))


def _encoded_words(value: str, used: int) -> bytes:
    """Write RFC 2047 encoded words, none longer than 75 octets, no character split; `used` are octets before them."""
    return b"\r\n ".join(b"=?utf-8?b?" + b64encode(chunk) + b"?=" for chunk in _chunks(value, used))


def _chunks(value: str, used: int) -> Iterator[bytes]:
    room = (FOLD_AT - used - 12) // 4 * 3
    chunk = bytearray()
    for character in value:
        octets = character.encode()
        if len(chunk) + len(octets) > room:
            yield bytes(chunk)
            chunk.clear()
            room = 45
        chunk += octets
    yield bytes(chunk)


def _token_line(header: bytes, value: str) -> bytes:
    """Write tokens that must stay whole, a line for each where they do not fit in one."""
    octets = value.encode("ascii")
    if len(header) + 2 + len(octets) > FOLD_AT:
        octets = octets.replace(b" ", b"\r\n ")
    return header + b": " + octets


def _id(value: str) -> str:
    if not _MESSAGE_ID.fullmatch(value):
        raise ValueError(f"{value[:80]!r} is not a Message-ID of the form <left@right>")
    return value


def _url(value: str) -> str:
    if not value.startswith(("https://", "http://")) or "<" in value or ">" in value:
        raise ValueError("the unsubscribe URL does not begin with https:// or holds angle brackets")
    return _visible("List-Unsubscribe", value)


def _visible(header: str, value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value or len(value) > MAX_LINE - len(header) - 4:
        raise ValueError(f"the value of {header} is too long, or is not visible ASCII without blanks")
    return value


def _date(moment: datetime) -> bytes:
    at = moment.astimezone(UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} +0000"
    ).encode()


# --- bodies -----------------------------------------------------------------------------------------------------------


def _content(outgoing: Outgoing, eight_bit: bool) -> bytes:
    text = _part(b"plain", outgoing.text, eight_bit)
    if outgoing.html is None:
        return text if text.endswith(b"\r\n") else text + b"\r\n"
    html = _part(b"html", outgoing.html, eight_bit)
    boundary = _boundary(outgoing.message_id, text, html)
    return b"".join(
        (
            b'Content-Type: multipart/alternative;\r\n boundary="',
            boundary,
            b'"\r\n\r\n--',
            boundary,
            b"\r\n",
            text,
            b"\r\n--",
            boundary,
            b"\r\n",
            html,
            b"\r\n--",
            boundary,
            b"--\r\n",
        )
    )


def _part(subtype: bytes, body: str, eight_bit: bool) -> bytes:
    encoding, octets = _encode(_crlf(body), eight_bit)
    return b"".join(
        (
            b"Content-Type: text/",
            subtype,
            b"; charset=utf-8\r\nContent-Transfer-Encoding: ",
            encoding,
            b"\r\n\r\n",
            octets,
        )
    )


def _crlf(body: str) -> bytes:
    """Return UTF-8 with every line end (CRLF, CR or LF) as CRLF. Raises ValueError for half a surrogate pair."""
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    return body.replace("\n", "\r\n").encode()


def _encode(octets: bytes, eight_bit: bool) -> tuple[bytes, bytes]:
    """Choose the plainest transfer encoding that can carry the octets (RFC 2045, 6)."""
    plain = octets.isascii()
    if (plain or eight_bit) and b"\0" not in octets and max(map(len, octets.split(b"\r\n"))) <= MAX_LINE:
        return (b"7bit" if plain else b"8bit"), octets
    if len(octets.translate(None, _ASCII)) * 6 > len(octets):
        return b"base64", _base64(octets)
    return b"quoted-printable", _quoted_printable(octets)


_ASCII = bytes(range(128))


def _base64(octets: bytes) -> bytes:
    encoded = b64encode(octets)
    return b"\r\n".join(encoded[start : start + FOLD_AT] for start in range(0, len(encoded), FOLD_AT))


def _quoted_printable(octets: bytes) -> bytes:
    return b"\r\n".join(binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in octets.split(b"\r\n"))


def _boundary(message_id: str, *parts: bytes) -> bytes:
    """Return a boundary that stands in no part; the same for the same mail."""
    seed = message_id
    while True:
        boundary = b"=_" + hashlib.sha256(seed.encode()).hexdigest()[:32].encode()
        if not any(boundary in part for part in parts):
            return boundary
        seed += "+"
