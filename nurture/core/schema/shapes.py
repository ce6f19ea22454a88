"""What all file shapes share: the base class, the small types, and how pydantic's findings become problems.

Every shape is checked completely before anything is said, so that a file's mistakes come all at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import time
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from nurture.core.conditions import Condition
from nurture.core.schema.conditions import parse_condition
from nurture.core.schema.document import Document
from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary
from nurture.core.spans import Span, parse_span
from nurture.errors import Problem, ProgramError

S = TypeVar("S", bound="Shape")
W = TypeVar("W", bound=StrEnum)


class Shape(BaseModel):
    """Keys and values of a file. Unknown keys are mistakes, found together with all the others."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", arbitrary_types_allowed=True)

    @model_validator(mode="wrap")
    @classmethod
    def _every_mistake(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(value, dict):
            raise flawed(f"expected keys and values ({', '.join(_keys(cls)[:4])} …), not {shown(value)}")
        found = [_as_error(flaw, value) for flaw in _unknown_keys(cls, value)]
        try:
            built = handler(value)
        except ValidationError as error:
            raise _again(cls, [*found, *map(_same, error.errors())]) from None
        if found:
            raise _again(cls, found)
        return built


def check(shape: type[S], document: Document, known: Vocabulary) -> S:
    """Return the document as `shape`; raise ProgramError with every mistake at its line and column."""
    try:
        return shape.model_validate(document.value, context=known)
    except ValidationError as error:
        problems = [problem for found in error.errors() for problem in _problems(found, document)]
    raise ProgramError(sorted(set(problems), key=lambda problem: (problem.line, problem.column)))


def vocabulary(info: ValidationInfo) -> Vocabulary:
    """Return the names known in this check."""
    return info.context if isinstance(info.context, Vocabulary) else ANYTHING


def shown(value: object) -> str:
    """Return a value as it would stand in a file."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return repr(value)
        case list():
            return "a list"
        case dict():
            return "keys and values"
    return str(value)


# --- small types ------------------------------------------------------------------------------------------------------


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", value):
        raise flawed(f"{shown(value)} is no name", "write small letters, digits, - and _")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise flawed(f"expected text, not {shown(value)}", _quotes(value))
    return value


def _quotes(value: object) -> str | None:
    return f'put it in quotes: "{shown(value)}"' if isinstance(value, bool | int | float) else None


def _length(value: object) -> Span:
    try:
        return parse_span(value if isinstance(value, str) else shown(value))
    except ValueError as error:
        raise flawed(str(error)) from None


def _elapsed(span: Span) -> Span:
    if span.elapsed is None or not span.amount:
        raise flawed(f"{span} cannot be used here", "write minutes, hours, days or weeks, at least 1")
    return span


def _clock(value: object) -> time:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if not found:
        raise flawed(f"{shown(value)} is no time of day", 'write hours and minutes in quotes: "09:00"')
    return time(int(found[1]), int(found[2]))


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def weekday(value: object) -> int:
    """Return a weekday (0 = Monday) by its name or its first three letters; raise Flaws."""
    word = str(value).lower()
    for number, name in enumerate(WEEKDAYS):
        if word in (name, name[:3]):
            return number
    raise flawed(f"{shown(value)} is no day of the week", meant(word, WEEKDAYS))


def _condition(value: object, info: ValidationInfo) -> Condition:
    return parse_condition(value, vocabulary(info))


def points(value: object) -> int:
    """Return points as integer hundredths; raise Flaws."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1_000_000:
        raise flawed(f"expected a number of points, not {shown(value)}")
    return round(value * 100)


def one_of(words: type[W], noun: str) -> Callable[[object], W]:
    """Return a check for one of the words of a closed vocabulary."""

    def read(value: object) -> W:
        if not isinstance(value, str) or value not in list(words):
            raise flawed(f"unknown {noun} {shown(value)}", meant(str(value), list(words)))
        return words(value)

    return read


def known_name(
    noun: str, names: Callable[[Vocabulary], Collection[str] | None]
) -> Callable[[str, ValidationInfo], str]:
    """Return a check for a name that another part of the program must have."""

    def read(value: str, info: ValidationInfo) -> str:
        known = names(vocabulary(info))
        if known is not None and value not in known:
            raise flawed(f"unknown {noun} {shown(value)}", meant(value, known))
        return value

    return read


Name = Annotated[str, BeforeValidator(_name)]
Text = Annotated[str, BeforeValidator(_text)]
Length = Annotated[Span, PlainValidator(_length)]
Elapsed = Annotated[Span, PlainValidator(_length), AfterValidator(_elapsed)]
Clock = Annotated[time, PlainValidator(_clock)]
Points = Annotated[int, BeforeValidator(points)]
When = Annotated[Condition, PlainValidator(_condition)]
StageName = Annotated[str, BeforeValidator(_text), AfterValidator(known_name("stage", lambda known: known.stages))]
SegmentName = Annotated[
    str, BeforeValidator(_text), AfterValidator(known_name("segment", lambda known: known.segments))
]
EventName = Annotated[str, BeforeValidator(_text), AfterValidator(known_name("event", lambda known: known.events))]


# --- from pydantic's findings to problems -----------------------------------------------------------------------------


def _keys(shape: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in shape.model_fields.items()]


def _unknown_keys(shape: type[BaseModel], value: Mapping[str, object]) -> list[Flaw]:
    known = _keys(shape)
    return [
        Flaw(f"unknown key `{key}`", _split_hint(key, value[key]) or meant(key, known), (key,), at_key=True)
        for key in value
        if key not in known
    ]


def _split_hint(key: str, value: object) -> str | None:
    """Return what to do when a comma inside brackets has cut a text in two: the rest looks like a key."""
    return "put text that has a comma in quotes" if value is None and re.search(r"[()'\"\]]", key) else None


def _as_error(flaw: Flaw, value: object) -> InitErrorDetails:
    error = PydanticCustomError("flaw", "flaw", {"error": Flaws([flaw])})
    return InitErrorDetails(type=error, loc=(), input=value)


def _same(found: ErrorDetails) -> InitErrorDetails:
    """Return a finding so that it can be raised again, whatever kind it was."""
    context = {"error": Flaws(_flaws(found))}
    return InitErrorDetails(type=PydanticCustomError("flaw", "flaw", context), loc=found["loc"], input=found["input"])


def _again(shape: type[BaseModel], errors: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data(shape.__name__, errors)


def _problems(found: ErrorDetails, document: Document) -> list[Problem]:
    place = found["loc"]
    if place[-1:] == ("[key]",):
        return [document.key_problem(place[:-1], flaw.what, flaw.hint) for flaw in _flaws(found)]
    return [
        document.key_problem((*place, *flaw.path), flaw.what, flaw.hint)
        if flaw.at_key
        else document.problem((*place, *flaw.path), flaw.what, flaw.hint, offset=flaw.offset)
        for flaw in _flaws(found)
    ]


def _flaws(found: ErrorDetails) -> tuple[Flaw, ...]:
    error = found.get("ctx", {}).get("error")
    if isinstance(error, Flaws):
        return error.flaws
    if found["type"] == "missing":
        return (Flaw(f"`{found['loc'][-1]}` is missing"),)
    expected = _EXPECTED.get(found["type"], "").format(**found.get("ctx", {}))
    if not expected:
        return (Flaw(found["msg"][:1].lower() + found["msg"][1:]),)
    return (Flaw(f"expected {expected}, not {shown(found['input'])}"),)


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length}",
}
