"""What sending works with, and what a page of it came to: for the plain way, the direct one and who starts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from nurture.composing import Links
from nurture.core.rates import Rates
from nurture.deciding import Policy
from nurture.providers.base import Provider
from nurture.witness import Witness


def never() -> bool:
    """Say that nobody wants to stop."""
    return False


@dataclass(frozen=True, slots=True)
class Postroom:
    """What sending needs beside the database: providers by name, links, and the safety rules of the settings.

    `owner` names this process start. `launch_cap` is messages a day through real providers (None: unlimited).
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
