"""Where a mistake stands that was found in values: they keep lines, the columns are looked up in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nurture.errors import Problem


@dataclass(frozen=True, slots=True)
class Texts:
    """The files of a program by path, as they were written."""

    files: Mapping[str, str] = field(default_factory=dict)

    def line_of(self, key: str, file: str) -> int:
        """Return the first line that begins with `key`, 1 where none does."""
        lines = self.files.get(file, "").splitlines()
        return next((number for number, line in enumerate(lines, 1) if line.strip().startswith(key)), 1)

    def problem(self, file: str, line: int, what: str, hint: str | None = None, *, word: str = "") -> Problem:
        """Point at `word` in that line or the lines below it, else at where the line begins."""
        lines = self.files.get(file, "").splitlines()
        first = max(line, 1)
        if word:
            for number, text in enumerate(lines[first - 1 :], first):
                if found := re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text):
                    return Problem(file, number, found.start() + 1, what, hint)
        text = lines[first - 1] if first <= len(lines) else ""
        begin = re.match(r"[\s-]*", text)
        return Problem(file, first, (begin.end() if begin else 0) + 1, what, hint)
