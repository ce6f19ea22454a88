"""Frozen dataclasses that are made as fast as others: a message comes to sixty of them.

A frozen dataclass sets each field by `object.__setattr__`, which looks the field up again every time: four times as
long as an ordinary one takes. `quick_init` lets it set its slots directly, once and for good; all else stays as it is.
A class of some fields has a twin with the same slots that is not frozen: a new value is of that class while its fields
are set, which Python does in an instant, and of its own class before anybody sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar, cast

T = TypeVar("T")


def quick_init(cls: type[T]) -> type[T]:
    """Give a dataclass of `frozen=True, slots=True` an `__init__` that does the same, faster."""
    if hasattr(cls, "__post_init__") or any(field.kw_only for field in fields(cls)):  # type: ignore[arg-type]
        raise TypeError(f"{cls.__name__} has a __post_init__ or keyword-only fields, which a quick __init__ has not")
    arguments, lines, names = ["self"], [], dict[str, Any]()
    thawed = _thawed(cls)
    for number, field in enumerate(fields(cls)):  # type: ignore[arg-type]
        names[f"set_{number}"] = getattr(cls, field.name).__set__
        value = field.name
        if field.default_factory is not MISSING:
            names[f"make_{number}"] = field.default_factory
            names["MISSING"] = MISSING
            value = f"make_{number}() if {field.name} is MISSING else {field.name}"
        elif field.default is not MISSING:
            names[f"default_{number}"] = field.default
        if field.init:
            arguments.append(f"{field.name}{_default(number, names)}")
        else:
            value = value if field.default is MISSING else f"default_{number}"
        lines.append(f"    self.{field.name} = {value}" if thawed else f"    set_{number}(self, {value})")
    if thawed:
        names |= {"set_class": object.__dict__["__class__"].__set__, "Thawed": thawed}
        lines = ["    __own__ = self.__class__", "    set_class(self, Thawed)", *lines, "    self.__class__ = __own__"]
    exec(f"def __init__({', '.join(arguments)}):\n" + "\n".join(lines), names)  # noqa: S102 - as dataclasses does it
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = names["__init__"]  # type: ignore[method-assign]
    return cls


_MANY = 3
"""With how many fields it pays to change the class of a value twice."""


def _thawed(cls: type[Any]) -> type[Any] | None:
    """Return the twin of a frozen class of many fields, None for one of few."""
    names = tuple(field.name for field in fields(cls))
    return type(f"{cls.__name__}Thawed", (), {"__slots__": names}) if len(names) >= _MANY else None


def _default(number: int, names: dict[str, Any]) -> str:
    if f"make_{number}" in names:
        return "=MISSING"
    return f"=default_{number}" if f"default_{number}" in names else ""


def altered(value: T, **changes: Any) -> T:
    """Return a dataclass value (no keyword-only fields) with some changed: `replace` in a third of the time."""
    kind: Any = type(value)
    places, read = _reading(kind)
    arguments = [*read(value)]
    try:
        for name, changed in changes.items():
            arguments[places[name]] = changed
    except KeyError as unknown:
        raise TypeError(f"{kind.__name__} has no field {unknown}") from None
    return cast(T, kind(*arguments))


@lru_cache(maxsize=256)
def _reading(cls: type[Any]) -> tuple[Mapping[str, int], Callable[[Any], tuple[Any, ...]]]:
    """Return the place of each argument of a dataclass, and what reads them all."""
    names = [field.name for field in fields(cls) if field.init]
    read = attrgetter(*names)
    return {name: place for place, name in enumerate(names)}, read if len(names) > 1 else lambda value: (read(value),)
