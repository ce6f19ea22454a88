"""Which values a template reads, and which of them it can do without."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import meta, nodes

Read = tuple[str, int]
"""A name and the line (from 1) in which it is read."""


def variables(tree: nodes.Template) -> frozenset[str]:
    """Return the names that the values of a contact must answer."""
    return frozenset(meta.find_undeclared_variables(tree))


def required(tree: nodes.Template) -> tuple[Read, ...]:
    """Return what must be known, each name once, where it is read first.

    A template does without `x` by `{{ x | default('…') }}` or inside `{% if x is defined %}`.
    """
    known = variables(tree)
    first: dict[str, int] = {}
    for name, line in _reads(tree, frozenset()):
        if name in known:
            first.setdefault(name, line)
    return tuple(first.items())


def _reads(node: nodes.Node, guarded: frozenset[str]) -> Iterator[Read]:
    match node:
        case nodes.Name(ctx="load"):
            if node.name not in guarded:
                yield node.name, node.lineno
        case nodes.Filter(name="default" | "d", node=nodes.Name()):
            for argument in (*node.args, *node.kwargs):
                yield from _reads(argument, guarded)
        case nodes.Test(name="defined" | "undefined", node=nodes.Name()):
            return
        case nodes.And():
            yield from _reads(node.left, guarded)
            yield from _reads(node.right, guarded | _defined(node.left, True))
        case nodes.Or():
            yield from _reads(node.left, guarded)
            yield from _reads(node.right, guarded | _defined(node.left, False))
        case nodes.If() | nodes.CondExpr():
            yield from _branches(node, guarded)
        case _:
            for child in node.iter_child_nodes():
                yield from _reads(child, guarded)


def _branches(node: nodes.If | nodes.CondExpr, guarded: frozenset[str]) -> Iterator[Read]:
    yield from _reads(node.test, guarded)
    when_true, when_false = guarded | _defined(node.test, True), guarded | _defined(node.test, False)
    if isinstance(node, nodes.CondExpr):
        yield from _reads(node.expr1, when_true)
        if node.expr2 is not None:
            yield from _reads(node.expr2, when_false)
        return
    for child in node.body:
        yield from _reads(child, when_true)
    for child in (*node.elif_, *node.else_):
        yield from _reads(child, when_false)


def _defined(test: nodes.Node, outcome: bool) -> frozenset[str]:
    """Return the names that are known to be there when `test` came out as `outcome`."""
    match test:
        case nodes.Test(name="defined", node=nodes.Name(name=name)) if outcome:
            return frozenset({name})
        case nodes.Test(name="undefined", node=nodes.Name(name=name)) if not outcome:
            return frozenset({name})
        case nodes.Not():
            return _defined(test.node, not outcome)
        case nodes.And() if outcome:
            return _defined(test.left, True) | _defined(test.right, True)
        case nodes.Or() if not outcome:
            return _defined(test.left, False) | _defined(test.right, False)
        case _:
            return frozenset()
