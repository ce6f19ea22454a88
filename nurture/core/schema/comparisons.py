"""Checks one comparison against what is known of its field: the name, the type, and the words that it may hold."""

from __future__ import annotations

from datetime import date

from nurture.core.conditions import Compare, Op
from nurture.core.model import Value
from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.vocabulary import Vocabulary
from nurture.core.words import FieldType

_LARGEST = 10**15
_ORDERED = (Op.LT, Op.LE, Op.GT, Op.GE)
_SAID = {
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "true or false",
    FieldType.DATE: "a date such as '2026-03-01'",
    FieldType.TEXT: "text in quotes",
    FieldType.CHOICE: "text in quotes",
}


def compare(field: str, op: Op, value: Value, known: Vocabulary) -> Compare:
    """Return the comparison; raise Flaws when the field cannot be compared with this value in this way."""
    if op in (Op.KNOWN, Op.UNKNOWN):
        return Compare(field, op)
    values = value if isinstance(value, tuple) else (value,)
    _check_form(op, value)
    kind = None if known.fields is None else known.fields.get(field)
    if kind is not None:
        _check_type(field, kind, op, values)
    _check_words(field, op, values, known)
    return Compare(field, op, value)


def check_field(field: str, known: Vocabulary) -> Flaw | None:
    """Return what is wrong with the name of a field, or None."""
    if known.fields is None or field in known.fields:
        return None
    return Flaw(f"unknown field `{field}`", _nearest(field, known.fields))


def check_event(kind: str, known: Vocabulary) -> Flaw | None:
    """Return what is wrong with a kind of event, or None."""
    if known.events is None or kind in known.events:
        return None
    hint = meant(kind, known.events)
    hint = hint if hint.startswith("did you mean") else "declare your own kinds under `events:` of the lifecycle"
    return Flaw(f"unknown event `{kind}`", hint)


def check_segment(name: str, known: Vocabulary) -> Flaw | None:
    """Return what is wrong with the name of a segment, or None."""
    if known.segments is None or name in known.segments:
        return None
    if not known.segments:
        return Flaw(f"unknown segment `{name}`", "there are none here: write the condition itself")
    return Flaw(f"unknown segment `{name}`", meant(name, known.segments))


def fits(kind: FieldType, value: Value) -> bool:
    """Return whether a field of this type can hold the value (dates are text, ISO 8601)."""
    if kind is FieldType.BOOLEAN:
        return isinstance(value, bool)
    if kind is FieldType.NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, str):
        return False
    return kind is not FieldType.DATE or _is_date(value)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _nearest(field: str, fields: object) -> str:
    names = list(fields)  # type: ignore[call-overload]
    for prefix in ("account.", "fields.", "account.fields."):
        if prefix + field in names:
            return f"did you mean '{prefix}{field}'?"
    last = field.rpartition(".")[2]
    if last in names:
        return f"did you mean {last!r}?"
    hint = meant(field, names)
    return hint if hint.startswith("did you mean") else "own fields are written fields.name and stand in fields.yaml"


def _check_form(op: Op, value: Value) -> None:
    for each in value if isinstance(value, tuple) else (value,):
        if isinstance(each, int | float) and not abs(each) <= _LARGEST:
            raise flawed("this number is too large")
    if value is None or (isinstance(value, tuple) and None in value):
        raise flawed("a field cannot be compared with nothing", "ask known(field) or unknown(field)")
    if op in (Op.IN, Op.NOT_IN):
        if not isinstance(value, tuple) or not value:
            raise flawed(f"`{op}` needs a list", "write for example: fit in ('A', 'B')")
    elif isinstance(value, tuple):
        raise flawed(f"`{op}` compares with one value, not with a list", "use `in`")


def _check_type(field: str, kind: FieldType, op: Op, values: tuple[Value, ...]) -> None:
    if op in _ORDERED and kind not in (FieldType.NUMBER, FieldType.DATE):
        raise flawed(f"`{field}` cannot be ordered with `{op}`", "only numbers and dates can")
    if op is Op.CONTAINS and kind not in (FieldType.TEXT, FieldType.CHOICE):
        raise flawed(f"`{field}` is no text that could contain something")
    wrong = [value for value in values if not fits(kind, value)]
    if wrong:
        raise flawed(f"`{field}` is compared with {wrong[0]!r}", f"it holds {_SAID[kind]}")


def _check_words(field: str, op: Op, values: tuple[Value, ...], known: Vocabulary) -> None:
    words = known.values.get(field)
    if words is None or op is Op.CONTAINS:
        return
    flaws = [
        Flaw(f"`{field}` is never {value!r}", meant(str(value), words)) for value in values if str(value) not in words
    ]
    if flaws:
        raise Flaws(flaws)
