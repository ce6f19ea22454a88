"""A template as constant parts and values: what most mail is, written five times as fast as Jinja writes it.

Only what cannot come out differently is taken over: texts, names, pure filters, and choices between them. Everything
else, and every value that is missing or odd, is left to Jinja, which renders it or says what is wrong. The tests hold
both ways against each other, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import contains, eq, ge, gt, itemgetter, le, lt, ne
from typing import Any

from jinja2 import nodes
from markupsafe import escape

from nurture.program.filters import FILTERS, MAX_TEXT

Known = Mapping[str, Any]
Reader = Callable[[Known], Any]


Filled = tuple[str, str, str | None, bool, bool, bool]
"""A mail's subject, text and HTML with the values in them, and what is known of that.

The first mark is false where nothing can look like a raw tag. The others are `tame` and `undotted`, as `wire.tamed`
promises it of text and HTML; where they are false, it is only not known.
"""


@dataclass(frozen=True, slots=True)
class Quick:
    """A mail's templates, understood. `has_braces`: their own texts could make something that looks like a raw tag.

    `computes` tells whether they show anything else than values as they are; text and HTML are `tame` and `undotted`
    whenever the values are.
    """

    subject: tuple[_Part, ...]
    text: tuple[_Part, ...]
    html: tuple[_Part, ...] | None
    has_braces: bool
    computes: bool
    tame: bool
    undotted: bool

    def write(self, known: Known) -> Filled | None:
        """Fill in the values, escaped where it is HTML; None when Jinja has to do it."""
        try:
            words = "\n".join(known.values())
            texts = True
        except TypeError:  # there are numbers or lists
            words = "\n".join(map(str, known.values()))
            texts = False
        if len(words) > MAX_TEXT:  # Jinja knows whether that is too long
            return None
        ordinary = texts and _ORDINARY.fullmatch(words) is not None
        plain = ordinary or (texts and not _has_special(words))
        as_they_are = texts and not self.computes
        as_text = known if as_they_are else _Shown(known, False, known if texts else {})
        as_html = known if as_they_are and plain else _Shown(known, True, known if plain else {})
        subject: list[str] = []
        text: list[str] = []
        html: list[str] = []
        taken: list[str] = []
        try:
            _write(self.subject, known, as_text, subject, taken)
            _write(self.text, known, as_text, text, taken)
            _write(self.html or (), known, as_html, html, taken)
        except Exception:  # noqa: BLE001 - whatever it is, Jinja knows what to say
            return None
        sure = ordinary and as_they_are
        return (
            "".join(subject),
            "".join(text),
            None if self.html is None else "".join(html),
            self.has_braces or (not ordinary and "{" in words),
            self.tame and (sure or _are_tame(taken)),
            self.undotted and (sure or _are_undotted(taken)),
        )


_ORDINARY = re.compile(r"[^\0\r\n=&<>'\"{.][^\0\r\n=&<>'\"{]*+(?:\n[^\0\r\n=&<>'\"{.][^\0\r\n=&<>'\"{]*+)*+")
"""Texts parted by line ends that neither HTML nor anything on a mail's way takes for more than texts."""


def understand(subject: nodes.Template, text: nodes.Template, html: nodes.Template | None) -> Quick | None:
    """Return checked syntax trees as constant parts and values, None when there is more to them."""
    trees = [tree for tree in (subject, text, html) if tree is not None]
    try:
        parts = [_body(tree.body) for tree in trees]
    except _TooMuch:
        return None
    computes = any(map(_computes, parts))
    constants = [constant for body in parts[1:] for constant in _constants(body)]
    tame, undotted = all(map(_is_tame, constants)), all(map(_is_undotted, constants))
    return Quick(parts[0], parts[1], parts[2] if html else None, any(map(_braces, trees)), computes, tame, undotted)


def _braces(tree: nodes.Template) -> bool:
    """Tell whether a template's own texts could make something that looks like a raw tag."""
    texts = [node.data for node in tree.find_all(nodes.TemplateData)]
    constants = [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    raw = any("{{" in text or "{%" in text or text.endswith("{") for text in texts)
    return raw or any("{" in text for text in constants)


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

    def __init__(self, known: Known, html: bool, as_they_are: Mapping[str, str]) -> None:
        super().__init__(as_they_are)
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


def _write(parts: Sequence[_Part], known: Known, shown: Mapping[Any, str], output: list[str], taken: list[str]) -> None:
    for part in parts:
        if type(part) is _Line:
            values = part.pick(shown)
            pieces = part.pieces.copy()
            pieces[1::2] = values
            output += pieces
            taken += values
        elif type(part) is str:
            output.append(part)
        else:
            for test, body in part.branches:  # type: ignore[union-attr]
                if test(known):
                    _write(body, known, shown, output, taken)
                    break


# --- what is tame -----------------------------------------------------------------------------------------------------


def _are_tame(texts: Collection[str]) -> bool:
    """Tell whether there is no CR, no NUL and no `=` in any."""
    joined = "".join(texts)
    return "=" not in joined and "\r" not in joined and "\0" not in joined


def _are_undotted(texts: Collection[str]) -> bool:
    """Tell whether each is one line of at least a character, which is no dot."""
    lines = "\n".join(texts)
    one_each = lines.count("\n") < len(texts) and "" not in texts
    return one_each and "\n." not in lines and not lines.startswith(".")


def _constants(parts: Sequence[_Part]) -> Iterator[str]:
    """Yield the constant texts, those that stand behind a value with a letter for it."""
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, _Line):
            first, *others = part.pieces[::2]
            yield first
            yield from (f"x{text}" for text in others)
        else:
            for _, body in part.branches:
                yield from _constants(body)


def _is_tame(text: str) -> bool:
    """Tell whether a constant text has no CR, no NUL and no `=_`, and stays so whatever tame texts stand around it."""
    return not text.endswith("=") and not _WILD.search(text)


def _is_undotted(text: str) -> bool:
    """Tell whether no line of a constant text begins with a dot, whatever undotted texts stand around it."""
    return not text.startswith(".") and "\n." not in text


_WILD = re.compile(r"[\0\r]|=_")


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
