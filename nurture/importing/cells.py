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
        join = self._joined(expression.parts)
        if not expression.values and expression.otherwise is None:
            return join
        table = {word.strip().casefold(): value for word, value in expression.values.items()}
        otherwise = expression.otherwise

        def look_up(cells: Sequence[str]) -> Value:
            joined = join(cells)
            if joined is None:
                return table.get("")
            word = str(joined).casefold()
            if word in table:
                return table[word]
            return joined if otherwise is None else otherwise

        return look_up

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
        place, blank = self.place(part.name) or 0, self._blank

        def cell(cells: Sequence[str]) -> Value:
            value = cells[place].strip()
            if value.casefold() in blank:
                return None
            # Spreadsheets mark text that is no formula with an apostrophe, and so do the tables that we write.
            return value[1:] if value[0] == "'" and value[1:2] in _FORMULA else value

        return cell


_FORMULA = ("=", "+", "-", "@")
