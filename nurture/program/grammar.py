"""What a template may say: a closed list of tags, filters and operators, checked on Jinja's syntax tree.

No calls, no attributes, no macros, no way to turn escaping off, and nothing that could grow without a limit. The list
is checked when a program is loaded, and again before a stored artifact is compiled (`sandbox`, the second layer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import jinja2
from jinja2 import nodes

from nurture.errors import Problem, ProgramError
from nurture.program.filters import FILTERS, MAX_TEXT, TESTS

LOOP_ATTRIBUTES = frozenset(("index", "index0", "revindex", "revindex0", "first", "last", "length"))
"""What a loop may say of itself."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not on the closed list; `word` stands in that line (from 1) of what was parsed."""

    line: int
    word: str
    what: str
    hint: str | None = None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest of `known`, or None."""
    near = get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else None


def check_syntax(file: str, text: str) -> None:
    """Raise ProgramError where `text` is not Jinja at all."""
    try:
        _PARSER.parse(text)
    except jinja2.TemplateSyntaxError as error:
        what = f"this is not valid template syntax: {error.message}"
        raise ProgramError([Problem(file, error.lineno, _first_tag(text, error.lineno), what)]) from None
    except RecursionError:
        raise ProgramError([Problem(file, 1, 1, "this is nested too deeply", "make it simpler")]) from None


def violations(tree: nodes.Template) -> Iterator[Violation]:
    """Yield everything in `tree` that a template may not do."""
    for node in tree.find_all(nodes.Node):
        found = _CHECKS.get(type(node), _forbidden)(node)
        if found is not None:
            yield Violation(node.lineno or 1, *found)


_PARSER = jinja2.Environment(autoescape=True)  # parses only: it would fold constants without a limit
_Finding = tuple[str, str, str | None] | None


def _allowed(node: nodes.Node) -> _Finding:
    return None


def _forbidden(node: nodes.Node) -> _Finding:
    word = _TAG_WORDS.get(type(node).__name__, type(node).__name__.lower())
    return word, f"a template cannot use {word!r}", None


def _check_name(node: Any) -> _Finding:
    if node.name.startswith("_") or node.name in ("self", "super", "caller", "varargs", "kwargs"):
        return node.name, f"the name {node.name!r} is not for templates", None
    if node.ctx != "load" and node.name == "loop":
        return node.name, "the name 'loop' belongs to the loop", None
    return None


def _check_constant(node: Any) -> _Finding:
    if isinstance(node.value, str) and len(node.value) > MAX_TEXT:
        return "", f"a text in a tag can have {MAX_TEXT:,} characters at most", None
    return None


def _check_filter(node: Any) -> _Finding:
    if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
        return node.name, "a filter takes one value and plain arguments", None
    if node.name in FILTERS:
        return None
    return node.name, f"there is no filter {node.name!r}", _suggest(node.name, FILTERS)


def _check_test(node: Any) -> _Finding:
    if node.name in TESTS:
        return None
    return node.name, f"there is no test {node.name!r}", _suggest(node.name, TESTS)


def _check_attribute(node: Any) -> _Finding:
    if isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr in LOOP_ATTRIBUTES:
        return None
    return node.attr, f"values are flat: there is no .{node.attr}", "write {{ company }}, not {{ account.name }}"


def _check_call(node: Any) -> _Finding:
    name = str(getattr(node.node, "name", None) or getattr(node.node, "attr", ""))
    return name, "a template cannot call anything", "use a filter, as in {{ company | upper }}"


def _check_list(node: Any) -> _Finding:
    if all(isinstance(item, nodes.Const) for item in node.items):
        return None
    return "", "a list in a template can hold plain texts and numbers only", None


def _check_loop(node: Any) -> _Finding:
    if node.recursive or not isinstance(node.target, nodes.Name):
        return "for", "a loop has one name and is not recursive", None
    return None


def _check_set(node: Any) -> _Finding:
    if isinstance(node.target, nodes.Name) and not isinstance(node.node, (nodes.List, nodes.Tuple)):
        return None
    return "set", "set gives one name to one text or number", None


def _check_concat(node: Any) -> _Finding:
    return "~", "a template cannot use '~'", "join texts with +"


def _suggest(word: str, known: Mapping[str, object]) -> str:
    return did_you_mean(word, known) or f"there are {', '.join(sorted(known))}"


_PLAIN: tuple[type[nodes.Node], ...] = (
    *(nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Getitem, nodes.Keyword),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
_CHECKS: Mapping[type[nodes.Node], Callable[[Any], _Finding]] = {
    **dict.fromkeys(_PLAIN, _allowed),
    nodes.Name: _check_name,
    nodes.Const: _check_constant,
    nodes.Filter: _check_filter,
    nodes.Test: _check_test,
    nodes.Getattr: _check_attribute,
    nodes.Call: _check_call,
    nodes.List: _check_list,
    nodes.Tuple: _check_list,
    nodes.For: _check_loop,
    nodes.Assign: _check_set,
    nodes.Concat: _check_concat,
}
_TAG_WORDS = {
    "Pow": "**",
    "AssignBlock": "set",
    "FilterBlock": "filter",
    "CallBlock": "call",
    "FromImport": "from",
    "ScopedEvalContextModifier": "autoescape",
}


def _first_tag(text: str, line: int) -> int:
    lines = text.split("\n")
    content = lines[line - 1] if line <= len(lines) else ""
    found = [at for at in (content.find("{{"), content.find("{%"), content.find("{#")) if at >= 0]
    return min(found, default=0) + 1
