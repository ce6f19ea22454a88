"""What kind of file lies there: one pass over its bytes for its hash and encoding; what is no table is refused.

The whole file is looked at, because the first accent may stand in the last line. Memory stays constant.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from nurture.errors import ImportFailed

_CHUNK = 1 << 20
_SAMPLE = 1 << 16

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
)

_WESTERN = ("cp1252", "latin_1", "iso8859_15")
_TYPOGRAPHY = "‘’“”„–—…•·§°©®™€«»´\xa0"

_BROKEN = re.compile("[\udc80-\udcff]+")
"""What stands for bytes that are no UTF-8."""

_MARKUP = (("<!doctype html", "an HTML page"), ("<html", "an HTML page"), ("<?xml", "an XML document"))


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What one pass over a file found: its SHA-256, its size in bytes and its text encoding."""

    hash: str
    size: int
    encoding: str


def survey(path: Path, encoding: str | None = None) -> Surveyed:
    """Read the file once; raise ImportFailed when it is unreadable, empty or no text.

    `encoding` is taken in place of what the bytes look like.
    """
    if encoding is not None:
        _check_encoding(encoding)
    digest, size, sample, guess = hashlib.sha256(), 0, b"", _Utf8()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sample = sample or chunk[:_SAMPLE]
                size += len(chunk)
                digest.update(chunk)
                guess.feed(chunk)
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror or error}") from None
    found = _by_sample(path, sample) or guess.conclude()
    chosen = encoding or found
    _check_text(path, sample, chosen)
    return Surveyed(digest.hexdigest(), size, chosen)


class _Utf8:
    """Counts, over the whole file, what is UTF-8 and what is not, and keeps lines that decide which it is instead."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._good = 0
        self._bad = 0
        self._lines = b""

    def feed(self, chunk: bytes) -> None:
        if chunk.isascii() and not self._decoder.getstate()[0]:
            return
        text = self._decoder.decode(chunk)
        bad = 0 if _whole(text) else sum(map(len, _BROKEN.findall(text)))
        self._bad += bad
        self._good += len(text) - len(text.encode("ascii", "ignore")) - bad
        if len(self._lines) < _SAMPLE:
            self._lines += b"\n".join(line for line in chunk.splitlines() if not line.isascii())[:_SAMPLE]

    def conclude(self) -> str:
        # One broken byte in a UTF-8 file costs its row; it does not turn every other accent into two characters.
        if not self._bad or self._good > 4 * self._bad:
            return "utf-8"
        return _best_guess(self._lines[:_SAMPLE])


def _whole(text: str) -> bool:
    """Return whether no byte is broken; encoding finds that out six times as fast as looking does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _best_guess(lines: bytes) -> str:
    if _reads_western(lines):
        return "cp1252"
    import charset_normalizer  # takes memory that a process which sends has better use for

    matches = [match for match in charset_normalizer.from_bytes(lines) if match.encoding not in _WESTERN]
    if not matches:
        return "cp1252"
    # Of tables that read about equally well, what Windows writes is the likely one.
    likely = [match.encoding for match in matches if match.chaos <= matches[0].chaos + 0.01]
    return next((encoding for encoding in likely if encoding.startswith("cp125")), likely[0])


def _reads_western(lines: bytes) -> bool:
    # Short samples fit many single-byte tables. In the wrong one letters turn into signs (`Łódź` becomes `£ódŸ`),
    # and words of another script into words of nothing but accented letters (`Иван` becomes `Èâàí`).
    text = lines.decode("cp1252", "replace")
    strange = [character for character in text if character > "\x7f" and character not in _TYPOGRAPHY]
    signs = sum(not character.isalpha() for character in strange)
    accented = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    foreign = sum(len(word) > 2 and all(letter > "\x7f" for letter in word) for word in accented)
    return signs <= len(strange) / 10 and foreign <= len(accented) / 3


def _by_sample(path: Path, sample: bytes) -> str | None:
    if not sample:
        raise ImportFailed(f"{path} is empty: there is nothing to import")
    for magic, what in _MAGIC:
        if sample.startswith(magic):
            raise ImportFailed(f"{path} is {what}, not a CSV file: save it as CSV (UTF-8) and import that")
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding
    return _utf16_without_mark(sample)


def _utf16_without_mark(sample: bytes) -> str | None:
    pairs = len(sample) // 2
    if pairs and sample[1::2].count(0) > 0.4 * pairs and not sample[0::2].count(0) > 0.1 * pairs:
        return "utf-16-le"
    if pairs and sample[0::2].count(0) > 0.4 * pairs and not sample[1::2].count(0) > 0.1 * pairs:
        return "utf-16-be"
    return None


def _check_text(path: Path, sample: bytes, encoding: str) -> None:
    text = sample.decode(encoding, "replace")
    opening = text[:1000].lstrip("\ufeff \t\r\n").lower()
    for mark, what in _MARKUP:
        if opening.startswith(mark):
            raise ImportFailed(f"{path} is {what}, not a CSV file: save it as CSV (UTF-8) and import that")
    if opening.startswith(("{", "[{", "[[")):
        raise ImportFailed(f"{path} looks like JSON, not like a CSV file: export it as CSV and import that")
    control = sum(character < " " and character not in "\0\t\n\v\f\r\x1a" for character in text)
    if control > len(text) / 100 or text.count("\0") > len(text) / 3:
        raise ImportFailed(f"{path} is a binary file, not a CSV file: export it as CSV (UTF-8) and import that")
    if not text.strip("\ufeff\0 \t\r\n"):
        raise ImportFailed(f"{path} holds only blanks: there is nothing to import")


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ImportFailed(f"there is no encoding {encoding!r}: try utf-8, utf-16 or cp1252") from None
