"""Reads a `kind: mapping` file: which column of a foreign table fills which field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo

from nurture.core.mapping import (
    ACCOUNT_TARGETS,
    CONTACT_TARGETS,
    EventWhen,
    Expression,
    Given,
    Mapping,
    SuppressWhen,
    Target,
    parse_expression,
)
from nurture.core.schema.comparisons import check_field
from nurture.core.schema.document import Document, parse
from nurture.core.schema.flaws import Flaws, flawed, meant
from nurture.core.schema.shapes import EventName, Name, Shape, Text, check, one_of, shown, vocabulary
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary
from nurture.core.words import Scope


def read_mapping(text: str, file: str, known: Vocabulary = ANYTHING) -> Mapping:
    """Read a mapping; raise ProgramError with every mistake. Own fields and events that `known` knows are checked."""
    document = parse(text, file)
    shape = check(MappingShape, document, known)
    return Mapping(
        targets=tuple(Target(to, by, document.key_mark(("fields", to)).line) for to, by in shape.targets.items()),
        blank=frozenset(shape.blank),
        suppressed_when=tuple(_suppress(item, at, document) for at, item in enumerate(shape.suppressed_when)),
        events=tuple(_event(item, at, document) for at, item in enumerate(shape.events)),
        name=shape.name,
        source=shape.source,
        system=shape.system,
        dates=shape.dates,
        file=file,
    )


# --- shapes -----------------------------------------------------------------------------------------------------------


class ExpressionShape(Shape):
    """An expression with a table of values."""

    source: Text = Field(alias="from")
    values: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    otherwise: str | int | float | bool | None = None


def _expression(value: object, info: ValidationInfo) -> Expression:
    if isinstance(value, dict):
        shape = ExpressionShape.model_validate(value, context=info.context)
        return Expression(_parsed(shape.source).parts, shape.values, shape.otherwise)
    if isinstance(value, bool | int | float):
        return Expression((shown(value),))
    return _parsed(value)


def _parsed(value: object) -> Expression:
    if not isinstance(value, str):
        raise flawed(f"expected a column, not {shown(value)}", "write its name, or 'text {Column}', or =constant")
    try:
        return parse_expression(value)
    except ValueError as error:
        raise flawed(str(error)) from None


def _target(value: str, info: ValidationInfo) -> str:
    targets = (*CONTACT_TARGETS, *ACCOUNT_TARGETS)
    if value in targets:
        return value
    if not value.startswith(("fields.", "account.fields.")):
        raise flawed(f"unknown field `{value}`", meant(value, targets))
    if wrong := check_field(value, vocabulary(info)):
        raise Flaws([wrong])
    return value


def _words(value: object) -> object:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float | bool) for each in values):
        raise flawed(f"expected words, not {shown(value)}")
    return frozenset(each if isinstance(each, str) else shown(each) for each in values)


_Words = Annotated[frozenset[str], PlainValidator(_words)]
_Expression = Annotated[Expression, PlainValidator(_expression)]


class GivenShape(Shape):
    """A test of one column."""

    column: Text
    words: _Words = Field(default=frozenset(), alias="is")


class SuppressShape(GivenShape):
    """Rows whose address must not be written to."""

    reason: Name
    scope: Annotated[Scope, BeforeValidator(one_of(Scope, "scope"))] = Scope.ALL


class EventWhenShape(Shape):
    """An event that a row tells of."""

    kind: EventName
    when: GivenShape | None = None
    at: _Expression | None = None
    data: dict[str, _Expression] = Field(default_factory=dict)


class MappingShape(Shape):
    """A mapping file."""

    kind: Literal["mapping"]
    name: Name
    source: Text | None = None
    system: Text | None = None
    dates: Text | None = None
    blank: _Words = frozenset()
    targets: dict[Annotated[str, AfterValidator(_target)], _Expression] = Field(alias="fields", min_length=1)
    suppressed_when: list[SuppressShape] = Field(default_factory=list)
    events: list[EventWhenShape] = Field(default_factory=list)


# --- from shapes to values --------------------------------------------------------------------------------------------


def _suppress(shape: SuppressShape, at: int, document: Document) -> SuppressWhen:
    given = Given(shape.column, shape.words)
    return SuppressWhen(given, shape.reason, shape.scope, document.line(("suppressed_when", at)))


def _event(shape: EventWhenShape, at: int, document: Document) -> EventWhen:
    given = Given(shape.when.column, shape.when.words) if shape.when else None
    return EventWhen(shape.kind, given, shape.at, shape.data, document.line(("events", at)))
