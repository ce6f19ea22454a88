"""Segments as people see them: who is in one, in words, in numbers, as rows; and how the database finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.ext.compiler import compiles

from nurture.core.conditions import Condition, InSegment, leaves, say
from nurture.core.program import Program
from nurture.core.segments import SUPPRESSED, Segment
from nurture.core.sequence import Sequence
from nurture.db import contacts, members, segments
from nurture.db.asked import CONTACT
from nurture.db.session import Database
from nurture.errors import NotFound, UsageError
from nurture.program.asking import read_condition, remembering

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment with how many contacts are kept in it; `filled_at` is None while it is being filled."""

    segment: Segment
    members: int
    filled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: the rule as it is evaluated, and in words; `name` is None for a condition of the moment."""

    name: str | None
    rule: Condition
    sentence: str


@dataclass(frozen=True, slots=True)
class Found:
    """One contact for whom it holds."""

    id: int
    email: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    stage: str
    owner: str | None
    since: datetime | None


def listing(connection: Connection, program: Program) -> list[Listed]:
    """Return every segment by name."""
    kept, filled = members.counts(connection), members.filled_at(connection)
    return [Listed(each, kept.get(each.name, 0), filled.get(each.name)) for each in program.segments]


def asked(program: Program, name: str | None, when: str | None) -> Asked:
    """Return what a name or a condition asks; raise UsageError unless it is one of both, NotFound for no segment."""
    if (name is None) == (when is None):
        raise UsageError('name a segment, or give a condition with --when "…"')
    if when is not None:
        rule = read_condition(when, program)
        return Asked(None, rule, say(rule))
    segment = named(program, name or "")
    return Asked(segment.name, program.segments.rules[segment.name], sentence(segment))


def named(program: Program, name: str) -> Segment:
    """Return a segment by name; raise NotFound."""
    found = program.segments.by_name.get(name)
    if found is None:
        known = ", ".join(sorted(program.segments.by_name)) or "none yet: write segments.yaml, then `nurture apply`"
        raise NotFound(f"there is no segment {name!r}: there is {known}")
    return found


def sentence(segment: Segment) -> str:
    """Return who is in a segment, and who is not, as one sentence without a full stop."""
    out = ("is suppressed" if name == SUPPRESSED else f"is in segment {name!r}" for name in segment.exclude)
    return " and not ".join([f"({say(segment.when)})" if segment.exclude else say(segment.when), *out])


def used_by(program: Program, name: str) -> list[str]:
    """Return the sequences and segments that ask for a segment."""
    built = [each.name for each in program.segments if name in (*_asked_in(each.when), *each.exclude)]
    running = [each.name for each in program.sequences.values() if _asks(each, name)]
    return [*(f"segment {other}" for other in built), *(f"sequence {other}" for other in sorted(running))]


def _asks(sequence: Sequence, name: str) -> bool:
    conditions = [sequence.audience.when, *(end.when for end in sequence.exits)]
    conditions += [arm.when for step in sequence.steps for arm in step.arms]
    conditions += [w for trigger in sequence.triggers if isinstance(w := trigger.params.get("where"), Condition)]
    named_by = {s for trigger in sequence.triggers for s in _texts(trigger.params.get("segment"))}
    return name in named_by.union(*(_asked_in(condition) for condition in conditions if condition is not None))


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _asked_in(condition: Condition) -> set[str]:
    return {leaf.name for leaf in leaves(condition) if isinstance(leaf, InSegment)}


def count(connection: Connection, program: Program, what: Asked, now: datetime) -> int:
    """Return for how many contacts it holds now, counted afresh by the database."""
    return segments.count(connection, what.rule, remembering(program.lifecycle, what.rule), now)


def rows(database: Database, program: Program, what: Asked, now: datetime) -> Iterator[Found]:
    """Yield everybody for whom it holds, by key; each page is one reading transaction."""
    last = 0
    while True:
        with database.read() as connection:
            query = segments.select(connection, what.rule, remembering(program.lifecycle, what.rule), now)
            ids = list(connection.scalars(query.where(CONTACT.c.id > last).order_by(CONTACT.c.id).limit(_PAGE)))
            page = contacts.read(connection, ids)
            entered = members.since(connection, what.name, ids) if what.name else {}
        if not ids:
            return
        for key, who in page.items():
            company = who.account.name or who.account.domain if who.account else None
            owner = who.owner.email if who.owner else None
            yield Found(key, who.email, who.first_name, who.last_name, company, who.stage, owner, entered.get(key))
        last = ids[-1]


@dataclass(frozen=True, slots=True)
class Explained:
    """The statement that counts, and how the database means to run it."""

    sql: str
    plan: tuple[str, ...]


def explain(connection: Connection, program: Program, what: Asked, now: datetime) -> Explained:
    """Return the statement that counts, with its values, and the database's plan for it."""
    query = segments.select(connection, what.rule, remembering(program.lifecycle, what.rule), now)
    query = query.with_only_columns(sa.func.count(), maintain_column_froms=True)
    plan = tuple(str(row[-1]) for row in connection.execute(_Explain(query)))
    return Explained(_shortened(_shown(query, connection)), tuple(map(_shortened, plan)))


def _shown(query: sa.Select[Any], connection: Connection) -> str:
    """Return a statement to be read, its values in place of their names; nothing runs in this form."""
    dialect = type(connection.dialect)(paramstyle="named")  # type: ignore[call-arg]
    compiled = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    values = {name: "NULL" if value is None else repr(_plain(value)) for name, value in compiled.params.items()}
    return re.sub(r":(\w+)\b", lambda found: values.get(found[1], found[0]), str(compiled))


def _plain(value: object) -> object:
    return value.isoformat(" ") if isinstance(value, datetime) else value


def _shortened(text: str) -> str:
    """Return a statement without the table of letters by which case is folded."""
    return re.sub(r"'[^']{400,}'", "'…'", text)


class _Explain(sa.Executable, sa.ClauseElement):
    """A query for the plan of another."""

    inherit_cache = False

    def __init__(self, query: sa.Select[Any]) -> None:
        self.query = query


@compiles(_Explain, "postgresql")
def _explain_on_postgresql(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN {compiler.process(element.query, **options)}"


@compiles(_Explain, "sqlite")
def _explain_on_sqlite(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN QUERY PLAN {compiler.process(element.query, **options)}"
