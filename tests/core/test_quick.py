"""A quick `__init__` makes the same frozen values as the one that dataclasses write."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace
from inspect import signature
from typing import Any

import pytest

from nurture.core.quick import altered, quick_init


@dataclass(frozen=True, slots=True)
class Plain:
    """As dataclasses make it."""

    key: int
    name: str = "x"
    many: dict[str, int] = field(default_factory=dict)
    later: str | None = field(default=None, init=False, compare=False)


@quick_init
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, quick."""

    key: int
    name: str = "x"
    many: dict[str, int] = field(default_factory=dict)
    later: str | None = field(default=None, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class PlainMany(Plain):
    """With many fields, as dataclasses make it."""

    one: int = 1
    two: int = 2
    own: int = 3


@quick_init
@dataclass(frozen=True, slots=True)
class QuickMany:
    """The same, quick."""

    key: int
    name: str = "x"
    many: dict[str, int] = field(default_factory=dict)
    later: str | None = field(default=None, init=False, compare=False)
    one: int = 1
    two: int = 2
    own: int = 3


@dataclass(frozen=True, slots=True)
class PlainFew:
    """With two fields, as dataclasses make it."""

    key: int
    many: dict[str, int] = field(default_factory=dict)


@quick_init
@dataclass(frozen=True, slots=True)
class QuickFew:
    """The same, quick."""

    key: int
    many: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize("given", [{"key": 1}, {"key": 1, "many": {"a": 1}}, {"name": "y", "key": 2}])
@pytest.mark.parametrize(("ordinary", "fast"), [(Plain, Quick), (PlainMany, QuickMany), (PlainFew, QuickFew)])
def test_a_quick_value_is_what_the_plain_one_is(ordinary: Any, fast: Any, given: dict[str, object]) -> None:
    given = {name: value for name, value in given.items() if name in signature(fast).parameters}
    plain, quick = ordinary(**given), fast(**given)
    assert repr(quick) == repr(plain).replace("Plain", "Quick")
    assert type(quick) is fast
    assert quick == fast(**given)
    assert hash(fast(1, many=None)) == hash(ordinary(1, many=None))
    assert replace(quick, key=7) == altered(quick, key=7) == fast(**{**given, "key": 7})
    assert copy.copy(quick) == pickle.loads(pickle.dumps(quick)) == quick
    assert list(signature(fast).parameters) == list(signature(ordinary).parameters)


def test_a_value_with_one_field_is_altered_too() -> None:
    @dataclass(frozen=True)
    class One:
        name: str

    assert altered(One("ab"), name="cd") == One("cd")
    assert altered(One("ab")) == One("ab")


@pytest.mark.parametrize("fast", [Quick, QuickMany, QuickFew])
def test_a_quick_value_is_frozen_and_shares_nothing(fast: Any) -> None:
    quick = fast(1)
    with pytest.raises(FrozenInstanceError):
        quick.key = 2
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        quick.other = 2
    assert quick.many is not fast(1).many
    with pytest.raises(TypeError, match="key"):
        fast()
    with pytest.raises(TypeError, match="unknown"):
        altered(quick, unknown=1)


def test_a_value_that_looks_at_itself_when_made_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Checked:
        key: int

        def __post_init__(self) -> None:
            """Look."""

    with pytest.raises(TypeError, match="Checked has a __post_init__"):
        quick_init(Checked)
