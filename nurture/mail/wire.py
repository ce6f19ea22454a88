"""A mail as a value, and as the bytes that go over the wire. Nothing here sends.

RFC 5322 (format), 2045–2047 (MIME, encoded words), 6532 (internationalized headers), 2369 and 8058 (unsubscribe).
Bytes are joined, not built with `EmailMessage`, which costs a hundred times more; the tests hold both against each
other. The same mail gives the same bytes every time: the boundary is a hash of the Message-ID.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from nurture.core.quick import quick_init
from nurture.core.words import Voice
from nurture.mail.address import clean_header, wire_address

MAX_LINE = 998
"""Octets in a line without its CRLF (RFC 5322, 2.1.1)."""

FOLD_AT = 76
"""Octets after which a header is folded where it can be (RFC 2047, 2)."""


@quick_init
@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail to one person, ready to be written. `id` is ours (a message's key) and comes back in its receipt.

    `message_id`, `in_reply_to` and `references` are written with their angle brackets; `date` is aware and set once,
    at first dispatch. `unsubscribe_url` (https) and `feedback_id` are for the marketing voice only. `metadata` goes to
    providers that keep it, so that a message can be found there again; it is no part of the mail.

    `tame` and `undotted` are set by `tamed` and lost when the mail is altered; `written` is what `to_bytes` made of it.
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
    tame: bool = field(default=False, init=False, repr=False, compare=False)
    undotted: bool = field(default=False, init=False, repr=False, compare=False)
    written: bytes | None = field(default=None, init=False, repr=False, compare=False)


def tamed(outgoing: Outgoing, *, undotted: bool) -> Outgoing:
    """Promise that text and HTML hold no CR, no NUL and no `=_`, and (`undotted`) no line that begins with a dot.

    Whoever wrote them may know; then nobody has to look for what would need encoding, a boundary or dot-stuffing.
    """
    _set_tame(outgoing, True)
    _set_undotted(outgoing, undotted)
    return outgoing


_set_tame: Callable[[Outgoing, bool], None] = vars(Outgoing)["tame"].__set__
_set_undotted: Callable[[Outgoing, bool], None] = vars(Outgoing)["undotted"].__set__
_set_written: Callable[[Outgoing, bytes], None] = vars(Outgoing)["written"].__set__
"""They are no part of the value, which stays as it is."""


def to_bytes(outgoing: Outgoing, *, eight_bit: bool = True) -> bytes:
    """Return the mail as it goes over the wire: CRLF only, no line above 998 octets, not dot-stuffed.

    Without `eight_bit` the bodies are 7-bit (quoted-printable or base64), for servers that lack 8BITMIME. Raises
    ValueError when an address, an id or a header value cannot be written.
    """
    if not eight_bit:
        return _write(outgoing, eight_bit=False)
    octets = outgoing.written
    if octets is None:  # once: the hash that is kept of a mail and the connection that carries it want the same
        octets = _write(outgoing, eight_bit=True)
        _set_written(outgoing, octets)
    return octets


def header_pairs(outgoing: Outgoing) -> tuple[tuple[str, str], ...]:
    """Return the headers beside From, To, Reply-To, Subject and Date, checked, for providers that take JSON.

    Those are Message-ID, In-Reply-To, References and, in the marketing voice only, List-Unsubscribe,
    List-Unsubscribe-Post and Feedback-ID. Raises ValueError.
    """
    return (*_own_pairs(outgoing), *_same_pairs(*_same(outgoing)))


def _own_pairs(outgoing: Outgoing) -> list[tuple[str, str]]:
    """Return the headers that each mail has for itself."""
    pairs = [("Message-ID", _id(outgoing.message_id))]
    if outgoing.in_reply_to:
        pairs.append(("In-Reply-To", _id(outgoing.in_reply_to)))
    if outgoing.references:
        pairs.append(("References", " ".join(map(_id, outgoing.references))))
    if outgoing.unsubscribe_url and outgoing.voice is Voice.MARKETING:
        pairs.append(("List-Unsubscribe", f"<{_url(outgoing.unsubscribe_url)}>"))
    return pairs


def _same(outgoing: Outgoing) -> tuple[bool, str | None]:
    """Return what the headers behind those depend on, which are the same on many mails."""
    if outgoing.voice is not Voice.MARKETING:
        return False, None
    return bool(outgoing.unsubscribe_url), outgoing.feedback_id


@lru_cache(maxsize=1024)
def _same_pairs(one_click: bool, feedback_id: str | None) -> tuple[tuple[str, str], ...]:
    pairs = [("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")] if one_click else []
    if feedback_id:
        pairs.append(("Feedback-ID", _visible("Feedback-ID", feedback_id)))
    return tuple(pairs)


def mailbox(name: str, address: str) -> str:
    """Return `"Name" <address>` in Unicode, quoted, for providers that encode headers themselves. Raises ValueError."""
    cleaned = clean_header(name)
    return f"{_quoted(cleaned)} <{wire_address(address)}>" if cleaned else wire_address(address)


def needs_smtputf8(outgoing: Outgoing) -> bool:
    """Tell whether an address has a non-ASCII local part, which only SMTPUTF8 can carry (RFC 6531)."""
    reply_to = outgoing.reply_to
    if outgoing.to_address.isascii() and outgoing.from_address.isascii() and (not reply_to or reply_to.isascii()):
        return False
    addresses = (outgoing.from_address, outgoing.to_address, reply_to)
    return not all(wire_address(address).isascii() for address in addresses if address)


# --- headers ----------------------------------------------------------------------------------------------------------


def _write(outgoing: Outgoing, *, eight_bit: bool) -> bytes:
    lines = [
        _address_line("From", outgoing.from_name, outgoing.from_address),
        _write_address("To", outgoing.to_name, outgoing.to_address),
        _text_line("Subject", clean_header(outgoing.subject)),
        _date_line(outgoing.date),
    ]
    if outgoing.reply_to:
        lines.append(_address_line("Reply-To", "", outgoing.reply_to))
    lines += (_own_lines(outgoing), _same_lines(*_same(outgoing)))
    return _with_content("\r\n".join(lines).encode(), outgoing, eight_bit)


def _own_lines(outgoing: Outgoing) -> str:
    """Write `_own_pairs`: of mail that answers no other, at once, for neither an id nor a URL has blanks to fold at."""
    if outgoing.in_reply_to or outgoing.references:
        return "\r\n".join(_pair_line(*pair) for pair in _own_pairs(outgoing))
    first = f"Message-ID: {_id(outgoing.message_id)}"
    if outgoing.unsubscribe_url and outgoing.voice is Voice.MARKETING:
        return f"{first}\r\nList-Unsubscribe: <{_url(outgoing.unsubscribe_url)}>"
    return first


@lru_cache(maxsize=1024)
def _same_lines(one_click: bool, feedback_id: str | None) -> str:
    return "\r\n".join((*(_pair_line(*pair) for pair in _same_pairs(one_click, feedback_id)), "MIME-Version: 1.0\r\n"))


def _pair_line(name: str, value: str) -> str:
    line = f"{name}: {value}"
    return line if len(line) <= FOLD_AT else f"{name}: {value.replace(' ', _FOLD)}"


_FOLD = "\r\n "
"""Tokens stay whole: a line for each where they do not fit in one."""

_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++)*+")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,240}+@[!-;=?A-~]{1,255}+>")
_UNSUBSCRIBE = re.compile(r"https?://[!-;=?-~]*+")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _write_address(header: str, name: str, address: str) -> str:
    bare = wire_address(address)
    if _PHRASE.fullmatch(name) and "=?" not in name:
        cleaned = phrase = name
    elif not (cleaned := clean_header(name)):
        return f"{header}: {bare}"
    else:
        phrase = cleaned if _PHRASE.fullmatch(cleaned) else _quoted(cleaned)
    if not cleaned.isascii() or "=?" in cleaned or len(cleaned) > FOLD_AT:
        return f"{header}: {_encoded_words(cleaned, len(header) + 2)}\r\n <{bare}>"
    gap = " " if len(header) + len(phrase) + len(bare.encode()) + 5 <= FOLD_AT else _FOLD
    return f"{header}: {phrase}{gap}<{bare}>"


_address_line = lru_cache(maxsize=1024)(_write_address)
"""The same for addresses that come back: senders."""


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text_line(header: str, value: str) -> str:
    """Write free text: as it is while it is short ASCII, else folded, else as encoded words."""
    if value.isascii() and "=?" not in value:
        line = f"{header}: {value}"
        if len(line) <= FOLD_AT:
            return line
        folded = _fold(line)
        if max(map(len, folded.split("\r\n"))) <= FOLD_AT:
            return folded
    return f"{header}: {_encoded_words(value, len(header) + 2)}"


def _fold(line: str) -> str:
    """Break a line before single blanks, so that what is unfolded is what was written."""
    parts: list[str] = []
    while len(line) > FOLD_AT:
        cut = line.rfind(" ", 1, FOLD_AT)
        while cut > 0 and (line[cut - 1 : cut] in (" ", ":") or line[cut + 1 : cut + 2] == " "):
            cut = line.rfind(" ", 1, cut)
        if cut <= 0:
            break
        parts.append(line[:cut])
        line = line[cut:]
    return "\r\n".join((*parts, line))


def _encoded_words(value: str, used: int) -> str:
    """Write RFC 2047 encoded words, none longer than 75 octets, no character split; `used` are octets before them."""
    return _FOLD.join(f"=?utf-8?b?{b64encode(chunk).decode()}?=" for chunk in _chunks(value, used))


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


def _id(value: str) -> str:
    if not _MESSAGE_ID.fullmatch(value):
        raise ValueError(f"{value[:80]!r} is not a Message-ID of the form <left@right>")
    return value


def _url(value: str) -> str:
    if not _UNSUBSCRIBE.fullmatch(value) or len(value) > MAX_LINE - len("List-Unsubscribe") - 4:
        raise ValueError(
            "the unsubscribe URL does not begin with https://, is too long, or holds more than visible ASCII"
        )
    return value


def _visible(header: str, value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value or len(value) > MAX_LINE - len(header) - 4:
        raise ValueError(f"the value of {header} is too long, or is not visible ASCII without blanks")
    return value


@lru_cache(maxsize=256)
def _date_line(moment: datetime) -> str:
    at = moment.astimezone(UTC)
    return (
        f"Date: {_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} +0000"
    )


# --- bodies -----------------------------------------------------------------------------------------------------------


def _with_content(head: bytes, outgoing: Outgoing, eight_bit: bool) -> bytes:
    if outgoing.tame and outgoing.html is not None and (octets := _with_tame_content(head, outgoing, eight_bit)):
        return octets
    _set_undotted(outgoing, False)  # what is encoded may have such lines
    text = _part("plain", outgoing.text, eight_bit)
    if outgoing.html is None:
        return b"".join((head, *text, b"" if text[1].endswith(b"\r\n") else b"\r\n"))
    html = _part("html", outgoing.html, eight_bit)
    seed = outgoing.message_id.encode()
    while (boundary := _boundary(seed)) in text[1] or boundary in html[1]:
        seed += b"+"
    return _ALTERNATIVE % (head, boundary, boundary, *text, boundary, *html, boundary)


def _with_tame_content(head: bytes, outgoing: Outgoing, eight_bit: bool) -> bytes | None:
    """Write tame parts as they are; None where lines are too long, or octets too many for the server."""
    assert outgoing.html is not None
    text = outgoing.text.encode().replace(b"\n", b"\r\n")
    html = outgoing.html.encode().replace(b"\n", b"\r\n")
    plain_text, plain_html = outgoing.text.isascii(), outgoing.html.isascii()
    if not (eight_bit or (plain_text and plain_html)) or not (_lines_fit(text) and _lines_fit(html)):
        return None
    boundary = _boundary(outgoing.message_id.encode())
    text_head = _part_head("plain", "7bit" if plain_text else "8bit")
    html_head = _part_head("html", "7bit" if plain_html else "8bit")
    return _ALTERNATIVE % (head, boundary, boundary, text_head, text, boundary, html_head, html, boundary)


_ALTERNATIVE = (
    b'%bContent-Type: multipart/alternative;\r\n boundary="%b"\r\n\r\n--%b\r\n%b%b\r\n--%b\r\n%b%b\r\n--%b--\r\n'
)


def _part(subtype: str, body: str, eight_bit: bool) -> tuple[bytes, bytes]:
    """Return a part's headers and its encoded body."""
    encoding, octets = _encode(_crlf(body), eight_bit)
    return _part_head(subtype, encoding), octets


@lru_cache
def _part_head(subtype: str, encoding: str) -> bytes:
    return f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()


def _crlf(body: str) -> bytes:
    """Return UTF-8 with every line end (CRLF, CR or LF) as CRLF. Raises ValueError for half a surrogate pair."""
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    return body.encode().replace(b"\n", b"\r\n")


def _encode(octets: bytes, eight_bit: bool) -> tuple[str, bytes]:
    """Choose the plainest transfer encoding that can carry the octets (RFC 2045, 6)."""
    plain = octets.isascii()
    if (plain or eight_bit) and b"\0" not in octets and _lines_fit(octets):
        return ("7bit" if plain else "8bit"), octets
    if len(octets.translate(None, _ASCII)) * 6 > len(octets):
        return "base64", _base64(octets)
    return "quoted-printable", _quoted_printable(octets)


def _lines_fit(octets: bytes) -> bool:
    """Tell whether every line has at most 998 octets, looking at one line end in a thousand octets."""
    start, most = 0, MAX_LINE + 2
    while len(octets) - start > MAX_LINE:
        end = octets.rfind(b"\n", start, start + most)
        if end < 0:
            return False
        start = end + 1
    return True


_ASCII = bytes(range(128))


def _base64(octets: bytes) -> bytes:
    encoded = b64encode(octets)
    return b"\r\n".join(encoded[start : start + FOLD_AT] for start in range(0, len(encoded), FOLD_AT))


def _quoted_printable(octets: bytes) -> bytes:
    """Encode all lines in one call, which ends its own line breaks as the first line of the text ends."""
    encoded = binascii.b2a_qp(octets, istext=True)
    return encoded if b"\r\n" in octets else encoded.replace(b"=\n", b"=\r\n")


def _boundary(seed: bytes) -> bytes:
    """Return what may part a mail, if it stands in none of its parts; the same for the same seed."""
    return b"=_%b" % sha256(seed).hexdigest()[:32].encode()
