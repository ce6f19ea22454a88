"""Jinja for rendering: immutable and sandboxed, every operator intercepted, every loop paid from a budget.

`grammar` keeps dangerous things out of the source; this is the second layer, for what only shows with values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jinja2
from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from nurture.program.filters import FILTERS, TESTS, check_length
from nurture.program.grammar import LOOP_ATTRIBUTES, violations

MAX_NUMBER = 10**15
TURNS = "turns left"
"""The name under which a render keeps its loop budget; with a space, so that no template can say it."""


def prepare(source: str, *, html: bool) -> jinja2.Template:
    """Compile merged source for rendering; `html` escapes every value.

    Raises SecurityError for what the grammar does not allow, and jinja2.TemplateError, SyntaxError or RecursionError
    for what cannot be compiled.
    """
    environment = _HTML if html else _TEXT
    tree = environment.parse(source)
    for violation in violations(tree):
        raise SecurityError(f"line {violation.line}: {violation.what}")
    return environment.from_string(_Charge().visit(tree))


def parse(source: str) -> nodes.Template:
    """Return the syntax tree of merged source. What is later made of it keeps to the limits of rendering.

    Raises jinja2.TemplateSyntaxError or RecursionError.
    """
    return _TEXT.parse(source)


class _Environment(ImmutableSandboxedEnvironment):
    """Flat values only: no calls, no attributes, and operators that know how large their result may be."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Allow sums of short texts, and arithmetic of numbers of a sane size."""
        _check_known(left)
        _check_known(right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            check_length(len(left) + len(right))
            return left + right
        if operator == "**" or not (_is_sane(left) and _is_sane(right)):
            raise SecurityError(f"{operator!r} is allowed between numbers of a sane size only")
        return super().call_binop(context, operator, left, right)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse every call."""
        raise SecurityError("a template cannot call anything")

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow what a loop says of itself, nothing else."""
        return isinstance(obj, LoopContext) and attr in LOOP_ATTRIBUTES


class _Charge(NodeTransformer):
    """Makes every loop pay from the budget of its render, by its turns and by the work in each."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802  (the name Jinja looks for)
        """Wrap what is looped over."""
        work = sum(1 for part in (*node.body, node.test or nodes.Const(None)) for _ in part.find_all(_WORK))
        self.generic_visit(node)
        price = nodes.Const(1 + work, lineno=node.lineno)
        node.iter = nodes.Filter(node.iter, _EACH, [price], [], None, None, lineno=node.lineno)
        return node


@pass_context
def _each(context: Context, items: Any, price: int) -> Iterator[Any]:
    _check_known(items)
    if not isinstance(items, (tuple, list)):
        raise SecurityError("only a list can be looped over")
    left: list[int] = context[TURNS]
    for item in items:
        left[0] -= price
        if left[0] < 0:
            raise SecurityError("the template loops too often")
        yield item


def _printable(value: Any) -> Any:
    if isinstance(value, (str, int, float, Undefined)):
        return value
    if isinstance(value, (tuple, list)):
        raise SecurityError("a list cannot be printed: write {{ name | join(', ') }}")
    raise SecurityError("only texts and numbers can be printed")


def _check_known(value: Any) -> None:
    if isinstance(value, Undefined):
        str(value)  # raises, and says which name it was


def _is_sane(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= MAX_NUMBER


_EACH = "each of"
_WORK = (nodes.Filter, nodes.BinExpr, nodes.Compare, nodes.Getitem, nodes.Test)


def _environment(*, html: bool) -> _Environment:
    environment = _Environment(
        undefined=StrictUndefined,
        autoescape=html,
        finalize=_printable,
        trim_blocks=True,  # a tag alone on its line leaves no blank line behind
        lstrip_blocks=True,
    )
    environment.globals.clear()
    environment.filters = {**FILTERS, _EACH: _each}
    environment.tests = dict(TESTS)
    return environment


_TEXT = _environment(html=False)
_HTML = _environment(html=True)
