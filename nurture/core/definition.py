"""What of a company's definition conditions and facts read: its stages, what scores, and what is to be known.

The whole of it, which is made of conditions itself, is `lifecycle`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from nurture.core.spans import Span
from nurture.core.words import Role, Team, Voice

Derived = TypeVar("Derived")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `content` are the kinds of content that may be sent there (empty: every kind)."""

    name: str
    label: str
    role: Role
    voice: Voice
    owner: Team
    content: frozenset[str] = frozenset()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Category:
    """A group of event kinds with a cap (hundredths) on what they can give together, and a half-life.

    Of that, events about the contact's account alone give at most `account_cap`; 0 is nothing.
    """

    name: str
    cap: int
    weights: Mapping[str, int]
    half_life: timedelta
    line: int = 0
    account_cap: int = 0


@dataclass(frozen=True, slots=True)
class SlotSource:
    """A kind of event that fills a slot: with `value`, or with what its data say under `data`.

    `where` are (name, allowed words) that the event's data must say; `confidence` (0-1) is how sure that makes us.
    """

    event: str
    value: str | None = None
    data: str | None = None
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    confidence: float = 1.0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """Something to know of a contact before they are qualified: a budget, a need.

    What was said stays fresh for `fresh_for`, then the slot is unknown again. `values` are the words that it may hold
    (empty: any text); one of those in `against` is known, but does not count as filled.
    """

    name: str
    label: str
    fresh_for: Span
    values: tuple[str, ...] = ()
    against: frozenset[str] = frozenset()
    sources: tuple[SlotSource, ...] = ()
    line: int = 0


class Definition(Protocol):
    """A lifecycle, as far as a condition looks into it."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """Return the categories of engagement."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Return what there is to know of a contact."""

    @property
    def event_kinds(self) -> frozenset[str]:
        """Return the company's own kinds of events."""

    def stage(self, name: str) -> Stage:
        """Return the stage of that name."""

    def derived(self, make: Callable[[Definition], Derived]) -> Derived:
        """Return what `make` makes of this value, made once."""
