"""A template as constant parts and values: what most mail is, written five times as fast as Jinja writes it.

Only what cannot come out differently is taken over: texts, names, pure filters, and choices between them. Everything
else, and every value that is missing or odd, is left to Jinja, which renders it or says what is wrong. The tests hold
both ways against each other, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import contains, eq, ge, gt, itemgetter, le, lt, ne
from typing import Any

from jinja2 import nodes
from markupsafe import escape

from nurture.program.filters import FILTERS

Known = Mapping[str, Any]
Reader = Callable[[Known], Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """A template that is understood. `has_braces`: its own texts could make something that looks like a raw tag."""

    html: bool
    parts: tuple[_Part, ...]
    has_braces: bool

    def write(self, known: Known) -> str | None:
        """Fill in the values, escaped where it is HTML; None when Jinja has to do it."""
        shown = _Shown(known, self.html)
        output: list[str] = []
        try:
            _write(self.parts, known, shown, output)
        except Exception:  # noqa: BLE001 - whatever it is, Jinja knows what to say
            return None
        return "".join(output)


def understand(tree: nodes.Template, *, html: bool) -> Parts | None:
    """Return a checked syntax tree as constant parts and values, None when there is more to it."""
    try:
        parts = _body(tree.body)
    except _TooMuch:
        return None
    texts = [node.data for node in tree.find_all(nodes.TemplateData)]
    constants = [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    raw = any("{{" in text or "{%" in text or text.endswith("{") for text in texts)
    return Parts(html, parts, raw or any("{" in text for text in constants))


class _TooMuch(Exception):
    """There is more to a template than constant parts and values."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Constant text with places for values; `pick` takes those, in their order, out of what is shown."""

    text: str
    pick: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Choice:
    """Parts of which the first is written whose test comes out as true."""

    branches: tuple[tuple[Reader, tuple[_Part, ...]], ...]


_Part = str | _Line | _Choice


@dataclass(frozen=True, slots=True, eq=False)
class _Expression:
    """A value that is computed; each stands for itself."""

    read: Reader


class _Shown(dict[Any, str]):
    """Values as they are shown, each written and escaped once."""

    def __init__(self, known: Known, html: bool) -> None:
        super().__init__()
        self._known = known
        self._html = html

    def __missing__(self, key: str | _Expression) -> str:
        value = self._known[key] if type(key) is str else key.read(self._known)  # type: ignore[union-attr]
        if type(value) is not str:
            if not isinstance(value, (str, int, float)):
                raise TypeError("only texts and numbers can be printed")
            value = str(value)
        text = self[key] = _escaped(value) if self._html else value
        return text


def _escaped(text: str) -> str:
    """Escape a text for HTML; looking whether there is anything to escape takes a quarter of the time."""
    return str.__str__(escape(text)) if _SPECIAL.search(text) else text


_SPECIAL = re.compile("[&<>'\"]")


def _write(parts: Sequence[_Part], known: Known, shown: _Shown, output: list[str]) -> None:
    for part in parts:
        if isinstance(part, str):
            output.append(part)
        elif isinstance(part, _Line):
            output.append(part.text % part.pick(shown))
        else:
            for test, body in part.branches:
                if test(known):
                    _write(body, known, shown, output)
                    break


# --- understanding ----------------------------------------------------------------------------------------------------


def _body(body: Sequence[nodes.Node]) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    pieces: list[str | nodes.Expr] = []
    for node in body:
        match node:
            case nodes.Output():
                pieces += [piece.data if isinstance(piece, nodes.TemplateData) else piece for piece in node.nodes]
            case nodes.If():
                parts += _line(pieces)
                pieces = []
                parts.append(_Choice(tuple(_branches(node))))
            case _:
                raise _TooMuch
    return tuple(parts + _line(pieces))


def _line(pieces: Sequence[str | nodes.Expr]) -> list[_Part]:
    """Join texts and values into one line of them."""
    if not pieces:
        return []
    values = [piece for piece in pieces if not isinstance(piece, str)]
    if not values:
        return ["".join(piece for piece in pieces if isinstance(piece, str))]
    text = "".join(piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces)
    keys = [value.name if isinstance(value, nodes.Name) else _Expression(_reader(value)) for value in values]
    return [_Line(text, itemgetter(*keys))]


def _branches(node: nodes.If) -> Iterator[tuple[Reader, tuple[_Part, ...]]]:
    for branch in (node, *node.elif_):
        yield _reader(branch.test), _body(branch.body)
    if node.else_:
        yield (lambda known: True), _body(node.else_)


def _reader(node: nodes.Node) -> Reader:
    """Return what computes an expression; it raises KeyError where a name is not known."""
    match node:
        case nodes.Const(value=value):
            return lambda known: value
        case nodes.Name(name=name):
            return itemgetter(name)
        case nodes.Test(node=nodes.Name(name=name), name="defined", args=[]):
            return lambda known: name in known
        case nodes.Test(node=nodes.Name(name=name), name="undefined", args=[]):
            return lambda known: name not in known
        case nodes.Filter(name="default" | "d", node=nodes.Name(name=name), args=[nodes.Const(value=value)], kwargs=[]):
            return lambda known: known.get(name, value)
        case nodes.Filter(name=name, kwargs=[]) if name in _PURE and node.node is not None:
            return _filtered(FILTERS[name], _reader(node.node), [_reader(argument) for argument in node.args])
        case nodes.Compare(ops=[nodes.Operand(op=operator)]) if operator in _OPERATORS:
            return _compared(_OPERATORS[operator], _reader(node.expr), _reader(node.ops[0].expr))
        case nodes.Not():
            inner = _reader(node.node)
            return lambda known: not inner(known)
        case nodes.And():
            left, right = _reader(node.left), _reader(node.right)
            return lambda known: left(known) and right(known)
        case nodes.Or():
            left, right = _reader(node.left), _reader(node.right)
            return lambda known: left(known) or right(known)
        case _:
            raise _TooMuch


_PURE = frozenset({"join", "lower", "replace", "upper"})
"""Filters that know nothing of their environment."""

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": eq,
    "ne": ne,
    "lt": lt,
    "lteq": le,
    "gt": gt,
    "gteq": ge,
    "in": lambda left, right: contains(right, left),
    "notin": lambda left, right: not contains(right, left),
}


def _filtered(filter_: Callable[..., Any], value: Reader, arguments: Sequence[Reader]) -> Reader:
    return lambda known: filter_(value(known), *[read(known) for read in arguments])


def _compared(operator: Callable[[Any, Any], Any], left: Reader, right: Reader) -> Reader:
    return lambda known: operator(left(known), right(known))
