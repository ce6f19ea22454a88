"""The left sides of comparisons as SQL: what a field holds, and how it is compared, as `core.comparing` does it.

Every answer is true, or else false or NULL: whoever negates one says first that NULL means no. Values are bound, never
written into the statement. What a custom field holds is asked of the JSON itself: a number kept as text is text.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nurture.core.comparing import Op, fold
from nurture.core.model import Value
from nurture.db.folding import ByCode, Has, Is, patterns

Answer = sa.ColumnElement[bool]
Term = sa.ColumnElement[Any]

ORDERS: Mapping[Op, Callable[[Any, Any], Any]] = {
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
}

BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
"""What `str.strip` takes away: a text of nothing else is unknown."""


class Side(Protocol):
    """What a field holds."""

    def equals(self, value: Value) -> Answer:
        """Say whether it is this value, of this type."""

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Say whether it is one of the values; of a list, whether one of its texts is."""

    def contains(self, part: str) -> Answer:
        """Say whether the text has the part in it, or the list has it, whatever the case."""

    def ordered(self, op: Op, value: Value) -> Answer:
        """Say whether it stands in that order with a value of its own type."""

    def known(self) -> Answer:
        """Say whether it holds anything."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A field that is always unknown."""

    def equals(self, value: Value) -> Answer:
        """Say no."""
        return sa.false()

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Say no."""
        return sa.false()

    def contains(self, part: str) -> Answer:
        """Say no."""
        return sa.false()

    def ordered(self, op: Op, value: Value) -> Answer:
        """Say no."""
        return sa.false()

    def known(self) -> Answer:
        """Say no."""
        return sa.false()


@dataclass(frozen=True, slots=True)
class Text:
    """A text; a blank one is unknown."""

    term: Term

    def equals(self, value: Value) -> Answer:
        """Compare as it is written."""
        return self.term == value if _is_text(value) else sa.false()

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Compare with the texts among the values."""
        texts = [value for value in values if _is_text(value)]
        return self.term.in_(texts) if texts else sa.false()

    def contains(self, part: str) -> Answer:
        """Look for the part; every wildcard is a character like others."""
        found = Has(self.term, *patterns(fold(part)))
        return found if part.strip() else sa.and_(found, self.known())

    def ordered(self, op: Op, value: Value) -> Answer:
        """Compare code points, whatever the order of the database's language is."""
        if not isinstance(value, str):
            return sa.false()
        return sa.and_(ORDERS[op](ByCode(self.term), value), self.known())

    def known(self) -> Answer:
        """Say whether there is more than blanks."""
        return sa.func.trim(self.term, BLANKS) != ""


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    term: Term

    def equals(self, value: Value) -> Answer:
        """Compare the quantity."""
        return self.term == _number(value) if _is_number(value) else sa.false()

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Compare with the numbers among the values."""
        return sa.or_(sa.false(), *(self.equals(value) for value in values))

    def contains(self, part: str) -> Answer:
        """Say no: it is no text."""
        return sa.false()

    def ordered(self, op: Op, value: Value) -> Answer:
        """Compare the quantity."""
        return ORDERS[op](self.term, _number(value)) if _is_number(value) else sa.false()

    def known(self) -> Answer:
        """Say whether there is one."""
        return self.term.is_not(None)


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are; whether there is any is asked without counting."""

    rows: sa.Select[Any]

    def equals(self, value: Value) -> Answer:
        """Compare the count."""
        return ~self.rows.exists() if _is_number(value) and value == 0 else self._counted().equals(value)

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Compare with the numbers among the values."""
        return sa.or_(sa.false(), *(self.equals(value) for value in values))

    def contains(self, part: str) -> Answer:
        """Say no: it is no text."""
        return sa.false()

    def ordered(self, op: Op, value: Value) -> Answer:
        """Compare the count."""
        if _is_number(value) and (op, value) in ((Op.LT, 1), (Op.LE, 0)):
            return ~self.rows.exists()
        if _is_number(value) and (op, value) in ((Op.GE, 1), (Op.GT, 0)):
            return self.rows.exists()
        return self._counted().ordered(op, value)

    def known(self) -> Answer:
        """Say yes: nothing is a number too."""
        return sa.true()

    def _counted(self) -> Number:
        return Number(self.rows.with_only_columns(sa.func.count()).scalar_subquery())


@dataclass(frozen=True, slots=True)
class Truth:
    """Yes or no."""

    term: Answer

    def equals(self, value: Value) -> Answer:
        """Compare with yes or no."""
        if not isinstance(value, bool):
            return sa.false()
        return self.term if value else sa.not_(self.term)

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Compare with yes and no among the values."""
        return sa.or_(sa.false(), *(self.equals(value) for value in values))

    def contains(self, part: str) -> Answer:
        """Say no: it is no text."""
        return sa.false()

    def ordered(self, op: Op, value: Value) -> Answer:
        """Say no: yes and no have no order."""
        return sa.false()

    def known(self) -> Answer:
        """Say yes."""
        return sa.true()


@dataclass(frozen=True, slots=True)
class Texts:
    """A JSON list of texts; an empty one is unknown. On SQLite it stands at `path` of the document."""

    document: Term
    dialect: str
    path: str = "$"

    def equals(self, value: Value) -> Answer:
        """Say no: a list is no single value."""
        return sa.false()

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Say whether one of its texts is among the values."""
        texts = [value for value in values if isinstance(value, str)]
        return self._has(lambda item: item.in_(texts)) if texts else sa.false()

    def contains(self, part: str) -> Answer:
        """Say whether one of its texts is this one, whatever the case."""
        return self._has(lambda item: Is(item, *patterns(fold(part))))

    def ordered(self, op: Op, value: Value) -> Answer:
        """Say no: a list has no order."""
        return sa.false()

    def known(self) -> Answer:
        """Say whether there is a text in it."""
        return self._has(lambda item: sa.true())

    def _has(self, holds: Callable[[Term], Answer]) -> Answer:
        if self.dialect == "sqlite":
            is_list: Answer = sa.func.json_type(self.document, self.path) == "array"
            each = sa.func.json_each(self.document, self.path).table_valued("value", "type", name="item")
            asked = sa.and_(each.c.type == "text", holds(sa.type_coerce(each.c.value, sa.Text())))
        else:
            is_list = sa.func.jsonb_typeof(self.document) == "array"
            listed = sa.func.jsonb_array_elements(sa.case((is_list, self.document), else_=sa.null()))
            each = listed.table_valued(sa.column("value", JSONB), name="item").render_derived()
            text = each.c.value.op("#>>")(sa.literal_column("'{}'")).cast(sa.Text())
            asked = sa.and_(sa.func.jsonb_typeof(each.c.value) == "string", holds(text))
        found: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(each).where(asked).correlate_except(each)
        return sa.and_(is_list, found.exists())


@dataclass(frozen=True, slots=True)
class Own:
    """A custom field: whatever its JSON holds, compared with what is of the same type."""

    document: Term
    name: str
    dialect: str

    def equals(self, value: Value) -> Answer:
        """Compare with a value of the same type."""
        if isinstance(value, bool):
            if self.dialect == "sqlite":
                return self._type() == ("true" if value else "false")
            return self._json() == sa.literal(value, JSONB)
        if _is_text(value):
            if self.dialect == "sqlite":
                return sa.and_(self._type() == "text", self._text().equals(value))
            return self._json() == sa.literal(value, JSONB)
        if _is_number(value):
            return self._number(lambda side: side.equals(value))
        return sa.false()

    def among(self, values: tuple[Value, ...]) -> Answer:
        """Compare with each value, or its texts with a list's."""
        return sa.or_(self._list().among(values), *(self.equals(value) for value in values))

    def contains(self, part: str) -> Answer:
        """Look into a text or a list."""
        return sa.or_(sa.and_(self._is_text(), self._text().contains(part)), self._list().contains(part))

    def ordered(self, op: Op, value: Value) -> Answer:
        """Compare with a value of the same type."""
        if isinstance(value, str):
            return sa.and_(self._is_text(), self._text().ordered(op, value))
        return self._number(lambda side: side.ordered(op, value)) if _is_number(value) else sa.false()

    def known(self) -> Answer:
        """Say whether there is a value in it."""
        others = ("true", "false", "integer", "real") if self.dialect == "sqlite" else ("boolean", "number")
        text = sa.and_(self._is_text(), self._text().known())
        return sa.or_(self._type().in_(others), text, self._list().known())

    def _json(self) -> Term:
        if self.dialect == "sqlite":
            return sa.func.json_extract(self.document, self._path())
        return sa.type_coerce(self.document, JSONB)[self.name]

    def _path(self) -> str:
        return f'$."{self.name}"'

    def _type(self) -> Term:
        if self.dialect == "sqlite":
            return sa.func.json_type(self.document, self._path(), type_=sa.Text())
        return sa.func.jsonb_typeof(self._json(), type_=sa.Text())

    def _is_text(self) -> Answer:
        return self._type() == ("text" if self.dialect == "sqlite" else "string")

    def _text(self) -> Text:
        if self.dialect == "sqlite":
            return Text(sa.type_coerce(self._json(), sa.Text()))
        return Text(sa.type_coerce(self.document, JSONB)[self.name].astext)

    def _list(self) -> Texts:
        if self.dialect == "sqlite":
            return Texts(self.document, self.dialect, self._path())
        return Texts(self._json(), self.dialect)

    def _number(self, asks: Callable[[Number], Answer]) -> Answer:
        if self.dialect == "sqlite":
            number = Number(sa.type_coerce(self._json(), sa.Double()))
            return sa.and_(self._type().in_(("integer", "real")), asks(number))
        # In a CASE, for the order in which AND looks at its parts is nobody's promise.
        is_number = self._type() == "number"
        return asks(Number(sa.case((is_number, self._json().cast(sa.Numeric)), else_=sa.null())))


def json_items(document: Term, dialect: str) -> sa.FromClause:
    """Return the keys and the texts of a JSON object as rows."""
    if dialect == "sqlite":
        return sa.func.json_each(document).table_valued(
            sa.column("key", sa.Text()), sa.column("value", sa.Text()), name="item"
        )
    items = sa.func.jsonb_each_text(document)
    return items.table_valued(sa.column("key", sa.Text()), sa.column("value", sa.Text()), name="item").render_derived()


def _is_text(value: Value) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> Term:
    """Return a number as the database compares it exactly: whole ones as such, others as doubles."""
    return sa.literal(value, sa.BigInteger if isinstance(value, int) else sa.Double)
