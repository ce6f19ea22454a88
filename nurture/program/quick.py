"""A template as constant parts and values: what most mail is, written five times as fast as Jinja writes it.

Only what cannot come out differently is taken over: texts, names, pure filters, and choices between them. Everything
else, and every value that is missing or odd, is left to Jinja, which renders it or says what is wrong. The tests hold
both ways against each other, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import contains, eq, ge, gt, itemgetter, le, lt, ne
from typing import Any

from jinja2 import nodes
from markupsafe import escape

from nurture.program.filters import FILTERS

Known = Mapping[str, Any]
Reader = Callable[[Known], Any]


class Values:
    """What templates are filled with, looked at once for all parts of a mail."""

    __slots__ = ("known", "plain", "texts", "words")

    def __init__(self, known: dict[str, Any]) -> None:
        """Look whether each value is a text, and whether none of them has anything that HTML escapes."""
        self.known = known
        try:
            self.words = "".join(known.values())
            self.texts = True
            self.plain = not _has_special(self.words)
        except TypeError:  # there are numbers or lists
            self.words = "".join(map(str, known.values()))
            self.texts = self.plain = False


@dataclass(frozen=True, slots=True)
class Parts:
    """A template that is understood. `has_braces`: its own texts could make something that looks like a raw tag.

    `computes` tells whether it shows anything else than values as they are.
    """

    html: bool
    parts: tuple[_Part, ...]
    has_braces: bool
    computes: bool

    def write(self, values: Values) -> str | None:
        """Fill in the values, escaped where it is HTML; None when Jinja has to do it."""
        known = values.known
        as_they_are = values.plain if self.html else values.texts
        shown = known if as_they_are and not self.computes else _Shown(known, self.html, as_they_are)
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
    return Parts(html, parts, raw or any("{" in text for text in constants), _computes(parts))


class _TooMuch(Exception):
    """There is more to a template than constant parts and values."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Constant texts at even places, and room for a value at each odd one: `pick` takes those out of what is shown."""

    pieces: list[str]
    pick: Callable[[Any], tuple[str, ...]]
    computes: bool


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

    def __init__(self, known: Known, html: bool, as_they_are: bool) -> None:
        super().__init__(known if as_they_are else ())
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
    return str.__str__(escape(text)) if _has_special(text) else text


def _has_special(text: str) -> bool:
    return "&" in text or "'" in text or "<" in text or ">" in text or '"' in text


def _write(parts: Sequence[_Part], known: Known, shown: Mapping[Any, str], output: list[str]) -> None:
    for part in parts:
        if type(part) is _Line:
            pieces = part.pieces.copy()
            pieces[1::2] = part.pick(shown)
            output += pieces
        elif type(part) is str:
            output.append(part)
        else:
            for test, body in part.branches:  # type: ignore[union-attr]
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
    texts, keys = [""], list[str | _Expression]()
    for piece in pieces:
        if isinstance(piece, str):
            texts[-1] += piece
        else:
            texts.append("")
            keys.append(piece.name if isinstance(piece, nodes.Name) else _Expression(_reader(piece)))
    room = [part for text in texts for part in (text, "")][:-1]
    return [_Line(room, _picker(keys), any(type(key) is not str for key in keys))]


def _picker(keys: Sequence[str | _Expression]) -> Callable[[Any], tuple[str, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    (key,) = keys
    return lambda shown: (shown[key],)


def _computes(parts: Sequence[_Part]) -> bool:
    """Tell whether any line shows something that is computed."""
    bodies = [body for part in parts if isinstance(part, _Choice) for _, body in part.branches]
    return any(isinstance(part, _Line) and part.computes for part in parts) or any(map(_computes, bodies))


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
