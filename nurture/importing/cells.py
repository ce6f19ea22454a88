"""Where the columns of a table stand, and what an expression of a mapping says about the cells of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nurture.core.mapping import Column, Expression, Given
from nurture.core.model import Value
from nurture.importing.guess import key as header_key

Read = Callable[[Sequence[str]], Value]
"""What a mapping says about the cells of a row; None is unknown."""


class Cells:
    """The columns of a table by name, and the words that mean that nothing is given."""

    def __init__(self, columns: Sequence[str], blank: frozenset[str]) -> None:
        self._places = {header_key(name): place for place, name in reversed(list(enumerate(columns)))}
        self._exact = {name: place for place, name in enumerate(columns)}
        self._blank = frozenset(word.strip().casefold() for word in blank) | {""}

    def place(self, name: str) -> int | None:
        """Return where the column of that name stands; case, accents and punctuation do not count."""
        exact = self._exact.get(name)
        return self._places.get(header_key(name)) if exact is None else exact

    def reader(self, expression: Expression) -> Read:
        """Return what `expression` says about a row."""
        join, translate = self._joined(expression.parts), _translation(expression)
        return join if translate is None else lambda cells: translate(join(cells))

    def one(self, expression: Expression) -> tuple[int, Callable[[str], Value]] | None:
        """Return the place of the only cell that `expression` reads, and what it says of that; None if it is more."""
        if len(expression.parts) != 1 or not isinstance(part := expression.parts[0], Column):
            return None
        meaning, translate = self._meaning, _translation(expression)
        place = self.place(part.name) or 0
        return place, meaning if translate is None else lambda cell: translate(meaning(cell))

    def test(self, given: Given) -> Callable[[Sequence[str]], bool]:
        """Return whether a row meets `given`."""
        place = self.place(given.column)
        wanted = frozenset(word.strip().casefold() for word in given.values)
        if place is None:
            return lambda cells: False
        if not wanted:
            return lambda cells: cells[place].strip().casefold() not in self._blank
        return lambda cells: cells[place].strip().casefold() in wanted

    def _joined(self, parts: Sequence[str | Column]) -> Read:
        if len(parts) == 1:
            return self._part(parts[0])
        reads = [self._part(part) for part in parts]

        def join(cells: Sequence[str]) -> Value:
            found = [read(cells) for read in reads]
            return None if None in found else "".join(str(piece) for piece in found)

        return join

    def _part(self, part: str | Column) -> Read:
        if isinstance(part, str):
            return lambda cells: part
        place, meaning = self.place(part.name) or 0, self._meaning
        return lambda cells: meaning(cells[place])

    def _meaning(self, cell: str) -> str | None:
        value = cell.strip()
        if not value or value.casefold() in self._blank:
            return None
        # Spreadsheets mark text that is no formula with an apostrophe, and so do the tables that we write.
        return value[1:] if value[0] == "'" and value[1:2] in _FORMULA else value


def _translation(expression: Expression) -> Callable[[Value], Value] | None:
    """Return what replaces whole results by others, None when nothing does."""
    if not expression.values and expression.otherwise is None:
        return None
    table = {word.strip().casefold(): value for word, value in expression.values.items()}
    otherwise = expression.otherwise

    def look_up(joined: Value) -> Value:
        if joined is None:
            return table.get("")
        word = str(joined).casefold()
        if word in table:
            return table[word]
        return joined if otherwise is None else otherwise

    return look_up


_FORMULA = ("=", "+", "-", "@")
