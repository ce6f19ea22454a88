"""What is wrong with a value, before it is known where in its file the value stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from nurture.core.schema.document import Path


@dataclass(frozen=True, slots=True)
class Flaw:
    """One mistake: in the value at `path` below the one that was checked, `offset` characters into its text."""

    what: str
    hint: str | None = None
    path: Path = ()
    offset: int = 0
    at_key: bool = field(default=False)


class Flaws(ValueError):
    """Every mistake of one value."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        """Keep `flaws`; the message is the first one."""
        self.flaws = tuple(flaws)
        super().__init__(self.flaws[0].what)


def flawed(what: str, hint: str | None = None, *, offset: int = 0) -> Flaws:
    """Return one mistake, to be raised."""
    return Flaws([Flaw(what, hint, offset=offset)])


def meant(word: str, known: Iterable[str], *, limit: int = 8) -> str:
    """Return `did you mean 'x'?` for the closest of `known`, else what there is to choose from."""
    names = sorted(known)
    close = get_close_matches(word.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    if close:
        best = next(name for name in names if name.lower() == close[0])
        return f"did you mean {str(best)!r}?"
    if not names:
        return "there is none yet"
    listed = ", ".join(names[:limit])
    return f"there is {listed}" + (f" and {len(names) - limit} more" if len(names) > limit else "")


def joined(words: Iterable[str], last: str = "or") -> str:
    """Return `a, b or c`."""
    names = list(words)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
