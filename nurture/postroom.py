"""What sending works with, and what a page of it came to: for the plain way, the direct one and who starts them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from nurture.composing import Links
from nurture.core.rates import Rates
from nurture.deciding import Policy
from nurture.keeping import Keeping
from nurture.providers.base import Provider
from nurture.witness import Witness

STALE_SECONDS = 0.05
"""How long a group may wait for its turn until it is asked again whether it may go: a person's switch must hold."""

QUICK_SECONDS = 0.25
"""Providers that take longer for a group are waited for: nothing else enters `dispatching` meanwhile."""


def never() -> bool:
    """Say that nobody wants to stop."""
    return False


class Turn:
    """The turn to speak to providers, which one track of a process has at a time.

    `quick`: the last took little time. `stale`: whoever has it waited so long for it that more may be forbidden by now.
    """

    def __init__(self, *, stale_seconds: float = STALE_SECONDS, quick_seconds: float = QUICK_SECONDS) -> None:
        """Nobody has it."""
        self._lock = threading.Lock()
        self._began, self._stale_seconds, self._quick_seconds = 0.0, stale_seconds, quick_seconds
        self.quick = True
        self.stale = False

    def __enter__(self) -> Turn:
        """Wait for it."""
        came = time.monotonic()
        self._lock.acquire()
        self._began = time.monotonic()
        self.stale = self._began - came > self._stale_seconds
        return self

    def __exit__(self, *_: object) -> None:
        """Pass it on."""
        self.quick = time.monotonic() - self._began < self._quick_seconds
        self._lock.release()


@dataclass(frozen=True, slots=True)
class Postroom:
    """What sending needs beside the database: providers by name, links, and the safety rules of the settings.

    `owner` names this process start. `launch_cap` is messages a day through real providers (None: unlimited). `turn` is
    whose it is to speak to a provider, where several threads share this. `stopping` says that the process is to end.
    """

    providers: Mapping[str, Provider]
    links: Links
    owner: str
    redirect_all_to: str | None = None
    allow_domains: frozenset[str] = frozenset()
    launch_cap: int | None = None
    settle_after: timedelta = timedelta(days=3)
    patience: timedelta = timedelta()
    witness: Witness | None = None
    rates: Rates = field(default_factory=Rates)
    turn: Turn = field(default_factory=Turn)
    keeping: Keeping = field(default_factory=Keeping)
    stopping: Callable[[], bool] = never

    @property
    def policy(self) -> Policy:
        """Return what decisions need to know of it."""
        real = frozenset(name for name, provider in self.providers.items() if provider.real)
        return Policy(real, self.launch_cap, self.links.public_url, self.patience)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a page came to: how many were due, and how many of them went out, wait, ended or are ambiguous."""

    due: int = 0
    accepted: int = 0
    held: int = 0
    cancelled: int = 0
    refused: int = 0
    retrying: int = 0
    ambiguous: int = 0
