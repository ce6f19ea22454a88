"""The text form of conditions: `fit in ('A', 'B') and did('form_submitted', within='30 days')`.

It has Python's syntax, read by `ast` and a whitelist; nothing of it is ever executed.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, InSegment, Not, Op
from nurture.core.model import Value
from nurture.core.schema.comparisons import check_event, check_field, check_segment, compare
from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary
from nurture.core.spans import Span, parse_span

MAX_CHARACTERS = 2_000
MAX_DEPTH = 20


_OPS: dict[type[ast.cmpop], Op] = {
    ast.Eq: Op.EQ,
    ast.NotEq: Op.NE,
    ast.Lt: Op.LT,
    ast.LtE: Op.LE,
    ast.Gt: Op.GT,
    ast.GtE: Op.GE,
    ast.In: Op.IN,
    ast.NotIn: Op.NOT_IN,
}
_TURNED = {Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE, Op.EQ: Op.EQ, Op.NE: Op.NE}
_HABITS = (
    (re.compile(r"&&|&"), "write `and`"),
    (re.compile(r"\|\||\|"), "write `or`"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "compare with `==`"),
    (re.compile(r"<>"), "compare with `!=`"),
    (re.compile(r"!(?!=)"), "write `not`"),
    (re.compile(r"\b(AND|OR|NOT|IN)\b"), "write it in small letters"),
    (re.compile(r"[‘’“”]"), "write straight quotes"),
)
_WORDS = {"true": True, "false": False}
_CALLS = ("did", "idle", "known", "unknown", "contains", "in_segment")


def read_text(text: str, known: Vocabulary = ANYTHING) -> Condition:
    """Read a condition from one line; raise Flaws with every mistake and the character at which it stands."""
    return _Text(text, known).parse()


def read_length(source: object, flaws: list[Flaw], path: tuple[str, ...], offset: int = 0) -> Span | None:
    """Read a length of time, or add what is wrong with it to `flaws`."""
    try:
        return parse_span(source if isinstance(source, str) else repr(source))
    except ValueError as error:
        flaws.append(Flaw(str(error), path=path, offset=offset))
    return None


class _Text:
    """Reads one text; every mistake carries the place of the character at which it stands."""

    def __init__(self, text: str, known: Vocabulary) -> None:
        self.text = text
        self.known = known
        self.flaws: list[Flaw] = []

    def parse(self) -> Condition:
        body = self._ast()
        condition = self._condition(body, 0)
        if self.flaws or condition is None:
            raise Flaws(self.flaws)
        return condition

    def _ast(self) -> ast.expr:
        if not self.text.strip():
            raise flawed("this condition is empty")
        if len(self.text) > MAX_CHARACTERS:
            raise flawed(f"this condition is longer than {MAX_CHARACTERS} characters")
        if "\\" in self.text:
            raise flawed("a condition has no backslashes", offset=self.text.index("\\"))
        line = re.sub(r"\s", " ", self.text)
        self.lead = len(line) - len(line.lstrip())
        try:
            return ast.parse(line.strip(), mode="eval").body
        except SyntaxError as error:
            raise self._unreadable((error.offset or 1) - 1 + self.lead) from None
        except (ValueError, RecursionError, MemoryError, Warning):
            raise flawed("this condition cannot be read") from None

    def _unreadable(self, offset: int) -> Flaws:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: "_" * len(quoted[0]), self.text)
        for habit, hint in _HABITS:
            if found := habit.search(bare):
                return flawed(f"{found[0]!r} cannot stand in a condition", hint, offset=found.start())
        hint = "write for example: fit in ('A', 'B') and engagement >= 20"
        return flawed("this condition cannot be read from here on", hint, offset=min(offset, len(self.text) - 1))

    def _condition(self, node: ast.expr, depth: int) -> Condition | None:
        if depth > MAX_DEPTH:
            return self._wrong(node, f"conditions are nested deeper than {MAX_DEPTH} levels")
        match node:
            case ast.BoolOp():
                return self._together(node, depth)
            case ast.UnaryOp(op=ast.Not()):
                inner = self._condition(node.operand, depth + 1)
                return None if inner is None else Not(inner)
            case ast.Compare():
                return self._compare(node)
            case ast.Call():
                return self._call(node)
            case ast.Name() | ast.Attribute():
                return self._truth(node)
        hint = "compare a field with a value, or ask did(…), idle(…), known(…) or contains(…)"
        return self._wrong(node, f"`{self._shown(node)}` is no condition", hint)

    def _together(self, node: ast.BoolOp, depth: int) -> Condition | None:
        parts = [self._condition(value, depth + 1) for value in node.values]
        found = tuple(part for part in parts if part is not None)
        if len(found) < len(parts):
            return None
        return All(found) if isinstance(node.op, ast.And) else Any(found)

    def _compare(self, node: ast.Compare) -> Condition | None:
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        parts = [self._pair(left, op, right) for left, op, right in pairs]
        found = tuple(part for part in parts if part is not None)
        if len(found) < len(parts):
            return None
        return found[0] if len(found) == 1 else All(found)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition | None:
        if type(op) not in _OPS:
            return self._wrong(left, "`is` cannot stand in a condition", "compare with `==` or `!=`")
        spelled = _OPS[type(op)]
        if not _is_name(left) and _is_name(right) and spelled in _TURNED:
            left, right, spelled = right, left, _TURNED[spelled]
        return self._checked(left, spelled, right)

    def _truth(self, node: ast.expr) -> Condition | None:
        field = self._field(node)
        if field is None:
            return None
        try:
            return compare(field, Op.EQ, True, self.known)
        except Flaws:
            return self._wrong(node, f"`{field}` alone is no condition", f"compare it, or ask known({field})")

    def _field(self, node: ast.expr) -> str | None:
        name = _dotted(node)
        if name is None:
            self._wrong(node, f"`{self._shown(node)}` is no field", "a comparison begins with the name of a field")
            return None
        if flaw := check_field(name, self.known):
            self.flaws.append(replace(flaw, offset=self._offset(node)))
            return None
        return name

    def _value(self, node: ast.expr) -> tuple[Value, bool]:
        match node:
            case ast.Constant(value=str() | bool() | int() | float() | None as value):
                return value, True
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                read = [self._value(item) for item in items]
                return tuple(value for value, _ in read), all(fine for _, fine in read)  # type: ignore[misc]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value, True
            case ast.Name(id=name) if name.lower() in _WORDS:
                return _WORDS[name.lower()], True
            case ast.Name(id=name):
                self._wrong(node, f"`{name}` stands where a value belongs", f"text needs quotes: '{name}'")
            case _:
                self._wrong(node, f"`{self._shown(node)}` is no value", "write text in quotes, a number, or a list")
        return None, False

    def _call(self, node: ast.Call) -> Condition | None:
        name = _dotted(node.func) or ""
        if name not in _CALLS:
            hint = meant(name.rpartition(".")[2], _CALLS)
            return self._wrong(node, f"unknown question `{self._shown(node.func)}(…)`", hint)
        if name == "did":
            return self._did(node)
        if node.keywords:
            return self._wrong(node.keywords[0], f"{name}(…) takes no named values")
        if name == "idle":
            return self._idle(node)
        if name == "contains":
            return self._contains(node)
        if name == "in_segment":
            return self._in_segment(node)
        if len(node.args) != 1:
            return self._takes(node, f"{name}(title)")
        field = self._field(node.args[0])
        return Compare(field, Op(name)) if field else None

    def _idle(self, node: ast.Call) -> Condition | None:
        if len(node.args) != 1:
            return self._takes(node, "idle('20 business days')")
        length = self._length(node.args[0])
        return Idle(length) if length else None

    def _in_segment(self, node: ast.Call) -> Condition | None:
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
            return self._takes(node, "in_segment('newsletter')")
        name = node.args[0].value
        if flaw := check_segment(name, self.known):
            self.flaws.append(replace(flaw, offset=self._offset(node.args[0])))
            return None
        return InSegment(name)

    def _contains(self, node: ast.Call) -> Condition | None:
        if len(node.args) != 2:
            return self._takes(node, "contains(title, 'chief')")
        return self._checked(node.args[0], Op.CONTAINS, node.args[1])

    def _checked(self, left: ast.expr, op: Op, right: ast.expr) -> Condition | None:
        field = self._field(left)
        value, fine = self._value(right)
        if field is None or not fine:
            return None
        try:
            return compare(field, op, value, self.known)
        except Flaws as found:
            self.flaws += (replace(flaw, offset=self._offset(right)) for flaw in found.flaws)
        return None

    def _did(self, node: ast.Call) -> Condition | None:
        given = {word.arg or "**": word.value for word in node.keywords}
        wrong = [word for word in node.keywords if word.arg not in ("within", "at_least")]
        for word in wrong:
            self._wrong(word, f"did(…) has no `{word.arg}`", meant(word.arg or "", ("within", "at_least")))
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
            return self._takes(node, "did('form_submitted', within='30 days', at_least=2)")
        event = node.args[0].value
        if flaw := check_event(event, self.known):
            self.flaws.append(replace(flaw, offset=self._offset(node.args[0])))
        within = self._length(given["within"]) if "within" in given else None
        at_least = self._count(given["at_least"]) if "at_least" in given else 1
        return None if self.flaws else Did(event, within, at_least or 1)

    def _length(self, node: ast.expr) -> Span | None:
        value, fine = self._value(node)
        return read_length(value, self.flaws, (), self._offset(node)) if fine else None

    def _count(self, node: ast.expr) -> int | None:
        match node:
            case ast.Constant(value=int() as value) if not isinstance(value, bool) and value >= 1:
                return value
        self._wrong(node, "expected a whole number from 1")
        return None

    def _takes(self, node: ast.Call, example: str) -> Condition | None:
        return self._wrong(node, "this question is asked in another way", f"write for example: {example}")

    def _wrong(self, node: ast.expr | ast.keyword, what: str, hint: str | None = None) -> Condition | None:
        """Keep the mistake; there is no condition then."""
        self.flaws.append(Flaw(what, hint, offset=self._offset(node)))
        return None

    def _offset(self, node: ast.expr | ast.keyword) -> int:
        line = self.text[self.lead :]
        return self.lead + len(line.encode()[: node.col_offset].decode(errors="ignore"))

    def _shown(self, node: ast.expr) -> str:
        shown = ast.unparse(node)
        return shown if len(shown) <= 40 else f"{shown[:39]}…"


def _is_name(node: ast.expr) -> bool:
    name = _dotted(node)
    return name is not None and name.lower() not in _WORDS


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
