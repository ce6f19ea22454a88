"""Signed links in mail. An unsubscribe link never expires, needs no login, and acts on its own scope only.

The token says whom it is about by contact id and by the keyed hash of the address, so that it still works after the
contact was merged or erased. Nothing in it can be changed without a key, and it shows no address.
"""

from __future__ import annotations

import base64
import binascii
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nurture.core.model import ContactId
from nurture.core.words import Scope
from nurture.mail.keys import KeyRing

UNSUBSCRIBE_PATH = "/u/"
"""Where the unsubscribe pages stand under the public URL."""
LOCAL_URL = "http://localhost:8000"
"""Where they stand without a public URL: in mail that only goes to the outbox, beside `nurture serve`."""


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """What a genuine unsubscribe link says. `address_hash` is `<key id>:<hex>`."""

    contact_id: ContactId
    address_hash: str
    scope: Scope


def unsubscribe_url(public_url: str, ring: KeyRing, contact_id: ContactId, address_hash: str, scope: Scope) -> str:
    """Return the link that stops mail of `scope` to that address.

    Without a public URL it leads to this machine; real providers are held back then (the unsubscribe gate). Raises
    ValueError for a hash that is not `<key id>:<hex>`.
    """
    return signer(public_url, ring, scope)(contact_id, address_hash)


def signer(public_url: str, ring: KeyRing, scope: Scope) -> Callable[[ContactId, str], str]:
    """Return what makes `unsubscribe_url` of a contact id and an address hash, for one contact after the other."""
    base = (public_url or LOCAL_URL).rstrip("/") + UNSUBSCRIBE_PATH
    head = bytes((_VERSION,)) + _LETTERS[scope]

    def url(contact_id: ContactId, address_hash: str) -> str:
        """Join version, scope, contact (8 bytes), key id (with its length) and hash, and sign them."""
        key_id, _, digest = address_hash.partition(":")
        if not key_id or not digest:
            raise ValueError("an address hash reads `<key id>:<hex>`")
        payload = b"%b%b%b%b" % (head, contact_id.to_bytes(8, "big"), _name(key_id), bytes.fromhex(digest))
        token = b2a_base64(payload + ring.sign(_PURPOSE, payload), newline=False).translate(_URL_SAFE)
        return base + token.decode("ascii").rstrip("=")

    return url


def read_unsubscribe(token: str, ring: KeyRing) -> UnsubscribeToken | None:
    """Return what a genuine token says; None for any other text, whatever is wrong with it."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    payload, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
    if not ring.verify(_PURPOSE, payload, signature):
        return None
    return _read(payload)


_PURPOSE = "unsubscribe"
_SIGNATURE_BYTES = 32
_VERSION = 1
_LETTERS = {Scope.ALL: b"a", Scope.MARKETING: b"m", Scope.PERSONAL: b"p"}
_SCOPES = {letter: scope for scope, letter in _LETTERS.items()}


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@lru_cache(maxsize=64)
def _name(key_id: str) -> bytes:
    name = key_id.encode("ascii")
    return bytes((len(name),)) + name


def _read(payload: bytes) -> UnsubscribeToken | None:
    if len(payload) < 11 or payload[0] != _VERSION or payload[1:2] not in _SCOPES:
        return None
    name_end = 11 + payload[10]
    key_id, digest = payload[11:name_end].decode("ascii"), payload[name_end:].hex()
    contact_id = ContactId(int.from_bytes(payload[2:10], "big"))
    return UnsubscribeToken(contact_id, f"{key_id}:{digest}", _SCOPES[payload[1:2]])
