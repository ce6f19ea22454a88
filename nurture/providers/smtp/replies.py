"""Replies of a mail server, read from whatever octets have come in so far (RFC 5321, 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, cast

from nurture.providers.lines import Lost

MAX_REPLY_LINE = 4096
MAX_REPLY_LINES = 100
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_LAST = {b"%d " % code: code for code in range(200, 600)}


class Reply(NamedTuple):
    """A reply's code and words; the words of several lines are joined with newlines."""

    code: int
    text: str

    @property
    def good(self) -> bool:
        """Tell whether it says yes."""
        return 200 <= self.code < 300

    @property
    def later(self) -> bool:
        """Tell whether it says "not now"."""
        return 400 <= self.code < 500

    @property
    def never(self) -> bool:
        """Tell whether it says no for good."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        """Return the code and the words on one line."""
        return f"{self.code} {' '.join(self.text.split())}".strip()


class Replies:
    """Octets in, replies out."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._rest = b""
        self._texts: list[str] = []

    @property
    def begun(self) -> bool:
        """Tell whether a reply has begun that is not over."""
        return bool(self._rest or self._texts)

    def heard(self, octets: bytes) -> Iterable[Reply]:
        """Return the replies that are whole with these octets. Raises Lost behind them for what is no reply."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        if not self._texts and len(self._rest) <= MAX_REPLY_LINE:
            replies = [_short(line) for line in lines]
            if None not in replies:
                return cast(list[Reply], replies)
        return self._heard(lines)

    def _heard(self, lines: Sequence[bytes]) -> Iterator[Reply]:
        for line in lines:
            reply = None if self._texts else _short(line)
            if reply or (reply := self._longer(line.rstrip(b"\r"))):
                yield reply
        if len(self._rest) > MAX_REPLY_LINE:
            raise Lost("the server does not speak SMTP")

    def _longer(self, line: bytes) -> Reply | None:
        """Read a line of a long reply, one without words, or one that is none."""
        found = _REPLY.fullmatch(line)
        if not found:
            raise Lost("the server does not speak SMTP")
        self._texts.append((found[3] or b"").decode("utf-8", "replace"))
        if found[2] != b"-":
            texts, self._texts = self._texts, []
            return Reply(int(found[1]), "\n".join(texts))
        if len(self._texts) >= MAX_REPLY_LINES:
            raise Lost(f"a reply has more than {MAX_REPLY_LINES} lines")
        return None


@lru_cache(maxsize=512)  # servers say the same again and again
def _short(line: bytes) -> Reply | None:
    """Return the reply that is this one line, None when it may be anything else."""
    code = _LAST.get(line[:4])
    return Reply(code, line[4:].rstrip(b"\r").decode("utf-8", "replace")) if code else None
