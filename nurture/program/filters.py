"""The filters and tests of templates: none makes a text longer than `MAX_TEXT`, none reaches an attribute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Undefined
from jinja2.tests import TESTS as JINJA_TESTS

MAX_TEXT = 16_384
"""How long a text may become inside a template (characters)."""


def check_length(characters: int) -> None:
    """Raise SecurityError when a text of so many characters would be too long."""
    if characters > MAX_TEXT:
        raise SecurityError(f"a text would become longer than {MAX_TEXT:,} characters")


def join(value: Any, separator: str = ", ") -> str:
    """Join a list of texts."""
    if not isinstance(value, (tuple, list)):
        return str(value)
    items = [str(item) for item in value]
    check_length(sum(map(len, items)) + len(separator) * len(items))
    return separator.join(items)


def replace(value: Any, old: str, new: str) -> str:
    """Replace a word in a text."""
    text, old, new = str(value), str(old), str(new)
    check_length(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def round_number(value: Any, digits: int = 0) -> float | int:
    """Round a number to 0–10 digits; without digits to a whole number."""
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, (int, float)):
        raise SecurityError("only a number can be rounded")
    return round(value, min(max(int(digits), 0), 10)) if digits else round(value)


_TEXT_FILTERS = ("capitalize", "lower", "title", "trim", "truncate", "upper", "urlencode")
_OTHER_FILTERS = ("abs", "count", "d", "default", "first", "float", "int", "last", "length")

_JINJA: Mapping[str, Any] = JINJA_FILTERS

FILTERS: Mapping[str, Callable[..., Any]] = {
    **{name: _JINJA[name] for name in (*_TEXT_FILTERS, *_OTHER_FILTERS)},
    "join": join,
    "replace": replace,
    "round": round_number,
}
_JINJA_OWN_TESTS: Mapping[str, Any] = JINJA_TESTS
TESTS: Mapping[str, Callable[..., Any]] = {
    name: _JINJA_OWN_TESTS[name] for name in ("defined", "undefined", "number", "string", "none")
}
