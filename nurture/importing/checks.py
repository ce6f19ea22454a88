"""What can be refused before the first row is read: unknown fields, missing columns, unknown kinds of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from nurture.core.events import KINDS
from nurture.core.mapping import ACCOUNT_TARGETS, CONTACT_TARGETS, Mapping, Target
from nurture.core.program import Program
from nurture.errors import Problem, ProgramError, UsageError
from nurture.importing.cells import Cells


def check(mapping: Mapping, columns: Sequence[str], program: Program, table: Path) -> None:
    """Refuse a mapping that cannot be carried out on the `columns` of a table, with every mistake.

    Raises:
        ProgramError: the mistakes stand in a mapping file.
        UsageError: they come from the command line.
    """
    found = [
        *_unknown_fields(mapping.targets, program),
        *_unknown_kinds(mapping, program),
        *_missing_columns(mapping, columns, table),
    ]
    if not found and mapping.target("email") is None and mapping.target("id") is None:
        found = [(0, "nothing says who a row is: map `email` or `id`", f"columns: {', '.join(columns)}")]
    if not found and _homeless(mapping):
        found = [
            (_homeless(mapping), "nothing says which account a row means", "map `account.name` or `account.domain`")
        ]
    if not found:
        return
    if mapping.file:
        raise ProgramError([Problem(mapping.file, line or 1, 1, what, hint) for line, what, hint in found])
    raise UsageError("\n".join(f"{what}{f', {hint}' if hint else ''}" for _, what, hint in found))


Mistake = tuple[int, str, str | None]


def _unknown_fields(targets: Sequence[Target], program: Program) -> Iterator[Mistake]:
    known = [*CONTACT_TARGETS, *ACCOUNT_TARGETS]
    known += [f"{'account.' if spec.on == 'account' else ''}fields.{name}" for name, spec in program.fields.items()]
    for target in targets:
        if target.field not in known:
            hint = meant(target.field, known) or "declare your own fields in fields.yaml and run `nurture apply`"
            yield target.line, f"there is no field {target.field!r}", hint


def _unknown_kinds(mapping: Mapping, program: Program) -> Iterator[Mistake]:
    known = [*KINDS, *program.lifecycle.event_kinds]
    for event in mapping.events:
        if event.kind not in known:
            yield event.line, f"there is no event kind {event.kind!r}", meant(event.kind, known)


def _missing_columns(mapping: Mapping, columns: Sequence[str], table: Path) -> Iterator[Mistake]:
    cells = Cells(columns, frozenset())
    for line, name in dict.fromkeys(_columns(mapping)):
        if cells.place(name) is None:
            hint = meant(name, columns) or f"it has: {', '.join(columns)}"
            yield line, f"{table.name} has no column {name!r}", hint


def _homeless(mapping: Mapping) -> int:
    """Return the line of the first account field (at least 1) when no account is named, else 0."""
    named = mapping.target("account.name") or mapping.target("account.domain")
    account = [target.line or 1 for target in mapping.targets if target.field.startswith("account.")]
    return account[0] if account and not named else 0


def _columns(mapping: Mapping) -> Iterator[tuple[int, str]]:
    for target in mapping.targets:
        yield from ((target.line, name) for name in target.expression.columns)
    for wish in mapping.suppressed_when:
        yield wish.line, wish.given.column
    for event in mapping.events:
        expressions = [*event.data.values(), *((event.at,) if event.at else ())]
        yield from ((event.line, name) for expression in expressions for name in expression.columns)
        if event.given:
            yield event.line, event.given.column


def meant(word: str, known: Sequence[str]) -> str | None:
    """Return "did you mean …?" for the known word that is closest, None when none is close."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None
