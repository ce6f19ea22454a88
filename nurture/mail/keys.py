"""The ring of secret keys: keyed hashes of addresses, signatures of links, and the check value of a database.

The ring is the file `.nurture/keys`: one `id:base64` a line, newest first. The newest key signs and hashes; every key
verifies, so that links in old mail work for ever. A key never leaves this module: `repr` shows ids only.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from nurture.errors import SuppressionKeyError

if TYPE_CHECKING:
    from hashlib import _Hash

MIN_KEY_BYTES = 32
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Secret keys as (id, bytes), newest first; never empty."""

    keys: tuple[tuple[str, bytes], ...] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty ring."""
        if not self.keys:
            raise SuppressionKeyError(_MISSING)

    def __repr__(self) -> str:
        """Name the keys, never show them."""
        return f"KeyRing({', '.join(self.ids)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the keys, newest first."""
        return tuple(key_id for key_id, _ in self.keys)

    @property
    def newest(self) -> str:
        """Return the id of the key that signs and hashes."""
        return self.keys[0][0]

    def address_hash(self, email_key: str, key_id: str | None = None) -> str:
        """Return `<key id>:<64 hex digits>` of a normalized address, with the newest key unless `key_id` names another.

        Raises SuppressionKeyError when the ring has no such key.
        """
        chosen = key_id or self.newest
        return f"{chosen}:{_mac(self._key(chosen), 'address', email_key.encode()).hex()}"

    def address_hashes(self, email_key: str) -> tuple[str, ...]:
        """Return the hash under every key, newest first: a suppression may have been written under an older one."""
        return tuple(self.address_hash(email_key, key_id) for key_id, _ in self.keys)

    def sign(self, purpose: str, data: bytes) -> bytes:
        """Return 32 bytes that only the newest key makes of `data` for this `purpose`."""
        return _mac(self.keys[0][1], purpose, data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        """Tell whether any key of the ring made `signature`. Takes the same time whichever key it was."""
        found = False
        for _, key in self.keys:
            found |= hmac.compare_digest(_mac(key, purpose, data), signature)
        return found

    def check_value(self, instance_id: str, key_id: str | None = None) -> str:
        """Return what a database stores to recognize its key again (64 hex digits); it says nothing about the key.

        Raises SuppressionKeyError when the ring has no key `key_id`.
        """
        return _mac(self._key(key_id or self.newest), "check", instance_id.encode()).hex()

    def _key(self, key_id: str) -> bytes:
        for known, key in self.keys:
            if known == key_id:
                return key
        raise SuppressionKeyError(
            f"the key {key_id!r} is not in the ring ({', '.join(self.ids)}): put its line back into .nurture/keys"
        )


def parse_keys(text: str) -> KeyRing:
    """Read a key file: `id:base64` a line, newest first; blank lines and `#` comments are skipped.

    Raises SuppressionKeyError that names the line, never its content.
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key_id, key = _parse_line(number, line)
        if key_id in keys:
            raise SuppressionKeyError(
                f"line {number} of the key file repeats the id {key_id!r}: give every key its own"
            )
        keys[key_id] = key
    if not keys:
        raise SuppressionKeyError(_MISSING)
    return KeyRing(tuple(keys.items()))


def format_keys(ring: KeyRing) -> str:
    """Return the text of a key file, the inverse of `parse_keys`. It is secret."""
    return "".join(f"{key_id}:{base64.b64encode(key).decode()}\n" for key_id, key in ring.keys)


_MISSING = "there is no suppression key: put back .nurture/keys (or run `nurture init` for a new database)"


def _parse_line(number: int, line: str) -> tuple[str, bytes]:
    key_id, colon, encoded = line.partition(":")
    key_id = key_id.strip()
    if not colon or not _ID.fullmatch(key_id):
        raise SuppressionKeyError(f"line {number} of the key file is not `id:base64`, like `k1:…`")
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SuppressionKeyError(f"the key {key_id!r} in line {number} of the key file is not base64") from None
    if len(key) < MIN_KEY_BYTES:
        raise SuppressionKeyError(
            f"the key {key_id!r} in line {number} of the key file is too short: {MIN_KEY_BYTES} bytes are needed"
        )
    return key_id, key


def _mac(key: bytes, purpose: str, data: bytes) -> bytes:
    """Return HMAC-SHA256 (RFC 2104) of the purpose, a zero and the data."""
    begun_inner, begun_outer = _begun(key, purpose)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(data)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=64)
def _begun(key: bytes, purpose: str) -> tuple[_Hash, _Hash]:
    """Return both hashes of an HMAC with all in them that comes before the data: half of the work, done once."""
    block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner = sha256(bytes(octet ^ 0x36 for octet in block) + purpose.encode() + b"\0")
    return inner, sha256(bytes(octet ^ 0x5C for octet in block))


_BLOCK = 64
