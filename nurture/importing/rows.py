"""A mapping bound to one table: every raw row becomes a `Row` of typed values, or raises ValueError with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from nurture.core.mapping import EventWhen, Mapping
from nurture.core.model import Value
from nurture.core.program import Program
from nurture.core.words import Scope
from nurture.importing import values
from nurture.importing.cells import Cells, Read
from nurture.importing.checks import check
from nurture.mail.address import normalize


@dataclass(slots=True)
class Told:
    """An event that a row tells of; `at` None is the time of the import."""

    kind: str
    at: datetime | None
    data: dict[str, object]


@dataclass(slots=True)
class Row:
    """One row, understood. Values that it does not give are absent."""

    line: int
    external_id: str | None = None
    email: str | None = None
    email_key: str | None = None
    owner: str | None = None
    contact: dict[str, Value] = field(default_factory=dict)
    fields: dict[str, Value] = field(default_factory=dict)
    account: dict[str, Value] = field(default_factory=dict)
    account_fields: dict[str, Value] = field(default_factory=dict)
    suppressions: tuple[tuple[Scope, str], ...] = ()
    events: tuple[Told, ...] = ()


Put = Callable[[Row, str], None]


@dataclass(frozen=True, slots=True)
class Reader:
    """The bound mapping. `columns` says what `puts` do, as far as cells become fields one by one (the fast way)."""

    puts: tuple[tuple[str, Read, Put], ...]
    suppressed_when: tuple[tuple[Callable[[Sequence[str]], bool], tuple[Scope, str]], ...]
    events: tuple[_BoundEvent, ...]
    columns: _Columns

    def read(self, line: int, cells: Sequence[str], now: datetime) -> Row:
        """Return the row; raise ValueError with the reason that makes it unusable."""
        try:
            row = self.columns.read(line, cells)
        except ValueError:
            row = self.read_plainly(line, cells)  # which says what is wrong with which field
        if row.email_key is None and row.external_id is None:
            raise ValueError("has neither an address nor an id")
        if self.suppressed_when:
            row.suppressions = tuple(wish for holds, wish in self.suppressed_when if holds(cells))
        if self.events:
            row.events = tuple(event.tell(cells, now) for event in self.events if event.holds(cells))
        return row

    def read_plainly(self, line: int, cells: Sequence[str]) -> Row:
        """Return the fields of a row, filled one after the other."""
        row = Row(line)
        for name, get, put in self.puts:
            value = get(cells)
            if value is None:
                continue
            try:
                put(row, value if isinstance(value, str) else str(value))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return row


def bind(mapping: Mapping, columns: Sequence[str], program: Program, table: Path) -> Reader:
    """Bind `mapping` to the `columns` of a table.

    Raises:
        ProgramError: the mapping file names what does not exist (every mistake, with its line).
        UsageError: the same, where the mapping comes from the command line.
    """
    check(mapping, columns, program, table)
    cells = Cells(columns, mapping.blank)
    zone = ZoneInfo(program.company.time_zone)
    return Reader(
        tuple((t.field, cells.reader(t.expression), _put(t.field, program, mapping.dates)) for t in mapping.targets),
        tuple((cells.test(wish.given), (wish.scope, wish.reason)) for wish in mapping.suppressed_when),
        tuple(_BoundEvent.of(event, cells, mapping.dates, zone) for event in mapping.events),
        _Columns.of(mapping, cells, program),
    )


class _Meanings(dict[str, Value]):
    """What the cells of a column say, as values of its field: countries and titles come again and again."""

    _MOST = 4096
    _LONGEST = 100

    def __init__(self, said: Callable[[str], Value], convert: values.Convert) -> None:
        super().__init__()
        self._said, self._convert = said, convert

    def __missing__(self, cell: str) -> Value:
        said = self._said(cell)
        value = None if said is None else self._convert(said if isinstance(said, str) else str(said))
        if len(cell) <= self._LONGEST:
            if len(self) >= self._MOST:
                self.clear()
            self[cell] = value
        return value


Fill = tuple[str, int, _Meanings]
"""A field, the place of its cell, and what that says (None: nothing)."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells that become fields one by one; `rest` is what takes more than one cell, or is more than a field."""

    contact: tuple[Fill, ...]
    fields: tuple[Fill, ...]
    account: tuple[Fill, ...]
    account_fields: tuple[Fill, ...]
    rest: tuple[tuple[Read, Put], ...]

    @classmethod
    def of(cls, mapping: Mapping, cells: Cells, program: Program) -> _Columns:
        parts: dict[str, list[Fill]] = {"contact": [], "fields": [], "account": [], "account_fields": []}
        rest = []
        for target in mapping.targets:
            one = None if target.field in _SPECIAL else cells.one(target.expression)
            if one is None:
                rest.append((cells.reader(target.expression), _put(target.field, program, mapping.dates)))
                continue
            part, name, convert = _home(target.field, program, mapping.dates)
            place, said = one
            parts[part].append((name, place, _Meanings(said, convert)))
        return cls(**{part: tuple(fills) for part, fills in parts.items()}, rest=tuple(rest))

    def read(self, line: int, cells: Sequence[str]) -> Row:
        row = Row(
            line,
            contact={name: value for name, place, said in self.contact if (value := said[cells[place]]) is not None},
            fields={name: value for name, place, said in self.fields if (value := said[cells[place]]) is not None},
            account={name: value for name, place, said in self.account if (value := said[cells[place]]) is not None},
            account_fields={
                name: value for name, place, said in self.account_fields if (value := said[cells[place]]) is not None
            },
        )
        for get, put in self.rest:
            value = get(cells)
            if value is not None:
                put(row, value if isinstance(value, str) else str(value))
        return row


@dataclass(frozen=True, slots=True)
class _BoundEvent:
    kind: str
    holds: Callable[[Sequence[str]], bool]
    at: Read | None
    data: tuple[tuple[str, Read], ...]
    dates: str | None
    zone: tzinfo

    @classmethod
    def of(cls, event: EventWhen, cells: Cells, dates: str | None, zone: tzinfo) -> _BoundEvent:
        holds = cells.test(event.given) if event.given else _always
        at = cells.reader(event.at) if event.at else None
        data = tuple((name, cells.reader(expression)) for name, expression in event.data.items())
        return cls(event.kind, holds, at, data, dates, zone)

    def tell(self, cells: Sequence[str], now: datetime) -> Told:
        data: dict[str, object] = {}
        for name, get in self.data:
            value = get(cells)
            if value is not None:
                data[name] = values.text(value) if isinstance(value, str) else value
        return Told(self.kind, self._moment(cells, now), data)

    def _moment(self, cells: Sequence[str], now: datetime) -> datetime | None:
        written = self.at(cells) if self.at else None
        if written is None:
            return None
        try:
            at = values.moment(str(written), self.dates, self.zone)
        except ValueError as error:
            raise ValueError(f"{self.kind}: {error}") from None
        if at > now:
            raise ValueError(f"{self.kind}: {written!r} lies in the future")
        return at


def _always(cells: Sequence[str]) -> bool:
    return True


# --- where a value goes -----------------------------------------------------------------------------------------------


def _put(name: str, program: Program, dates: str | None) -> Put:
    return _SPECIAL.get(name) or _into(*_home(name, program, dates))


def _home(name: str, program: Program, dates: str | None) -> tuple[str, str, values.Convert]:
    """Return the part of a row where a field is, its name there, and what reads cells into it."""
    if name.startswith("fields."):
        return "fields", name[7:], values.custom(program.fields[name[7:]], dates)
    if name.startswith("account.fields."):
        return "account_fields", name[15:], values.custom(program.fields[name[15:]], dates)
    if name.startswith("account."):
        return "account", name[8:], _ACCOUNT.get(name[8:], values.text)
    return "contact", name, _CONTACT.get(name, values.text)


def _into(part: str, name: str, convert: values.Convert) -> Put:
    def put(row: Row, value: str) -> None:
        getattr(row, part)[name] = convert(value)

    return put


def _put_email(row: Row, value: str) -> None:
    row.email_key = normalize(value)
    row.email = value


def _put_name(row: Row, value: str) -> None:
    first, _, last = values.text(value).partition(" ")
    if "," in first:  # Lovelace, Ada
        first, last = last, first.rstrip(",")
    row.contact.setdefault("first_name", first)
    if last:
        row.contact.setdefault("last_name", last.strip())


def _put_id(row: Row, value: str) -> None:
    row.external_id = values.text(value)


def _put_owner(row: Row, value: str) -> None:
    row.owner = normalize(value)


_SPECIAL: dict[str, Put] = {"email": _put_email, "name": _put_name, "id": _put_id, "owner": _put_owner}
_CONTACT: dict[str, values.Convert] = {"time_zone": values.time_zone}
_ACCOUNT: dict[str, values.Convert] = {
    "domain": values.domain,
    "employees": values.whole,
    "revenue": values.whole,
    "technologies": values.words,
    "time_zone": values.time_zone,
}
