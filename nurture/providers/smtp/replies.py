"""Replies of a mail server, read from whatever octets have come in so far (RFC 5321, 4.2)."""

from __future__ import annotations

import re
from typing import NamedTuple

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
        self._octets = b""
        self._from = 0
        self._texts: list[str] = []

    @property
    def begun(self) -> bool:
        """Tell whether something was heard that no reply has used up."""
        return self._from < len(self._octets) or bool(self._texts)

    def add(self, octets: bytes) -> None:
        """Take in what the server said."""
        self._octets = self._octets[self._from :] + octets
        self._from = 0

    def next(self) -> Reply | None:
        """Return the next whole reply, None when more has to come. Raises Lost for what is no reply."""
        while (end := self._octets.find(b"\n", self._from)) >= 0:
            line = self._octets[self._from : end].rstrip(b"\r")
            self._from = end + 1
            code = _LAST.get(line[:4])
            if code and not self._texts:
                return Reply(code, line[4:].decode("utf-8", "replace"))
            reply = self._slowly(line)
            if reply:
                return reply
        if len(self._octets) - self._from > MAX_REPLY_LINE:
            raise Lost("the server does not speak SMTP")
        return None

    def _slowly(self, line: bytes) -> Reply | None:
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
