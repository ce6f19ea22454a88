"""How a company hands contacts to sales, as a value: who gets them, by when they are to answer, what an answer does.

Read from the `handoff` section of the lifecycle file. Choosing a rep is `routing`, watching the clock `sla`, what is
handed over `packet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from nurture.core.conditions import Condition
from nurture.core.spans import Span, Unit
from nurture.core.windows import Window
from nurture.core.working import OFFICE_HOURS

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Until when somebody is barred whom sales never wants back."""

EVERYONE = "everyone"
"""The pool that is always there: every active rep."""


class By(StrEnum):
    """The kinds of routing rules."""

    CONTACT_OWNER = "contact_owner"
    ACCOUNT_OWNER = "account_owner"
    TERRITORY = "territory"
    ROUND_ROBIN = "round_robin"


class Territory(StrEnum):
    """What a rep's own territory may be compared with."""

    COUNTRY = "country"
    INDUSTRY = "industry"


@dataclass(frozen=True, slots=True)
class Rule:
    """One routing rule. A territory takes from a pool `when` it holds, or compares what reps call their `own`."""

    by: By
    pool: str | None = None
    when: Condition | None = None
    own: Territory | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Sla:
    """What a rep promises, in working time since they got the handoff.

    `escalate_to` is the address of a rep. A handoff changes hands at most `reassign_at_most` times.
    """

    accept_within: timedelta
    warn_after: timedelta | None = None
    escalate_after: timedelta | None = None
    reassign_after: timedelta | None = None
    reassign_at_most: int = 2
    escalate_to: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """What follows when sales rejects for one reason.

    The contact goes `to` a stage (None: where they came from) and is not handed over again within `cool_off` (None:
    never), unless one of the events in `unless` happens. `task` is what the rep is asked to do.
    """

    cool_off: Span | None
    to: str | None = None
    unless: frozenset[str] = frozenset()
    task: str | None = None
    line: int = 0


class Then(StrEnum):
    """What becomes of a returned contact when the time has come."""

    COME_BACK = "come_back"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Handoff:
    """The whole section. `most_open` and `per_day` are the capacity of reps who have none of their own.

    `pools` maps a name to addresses of reps. `fallback` is the address of the rep who gets what nobody else can take,
    whatever their capacity; without one it waits in the queue.
    """

    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = (Rule(By.CONTACT_OWNER), Rule(By.ACCOUNT_OWNER), Rule(By.ROUND_ROBIN, EVERYONE))
    most_open: int | None = None
    per_day: int | None = None
    fallback: str | None = None
    owns_account: bool = False
    hours: tuple[Window, ...] = OFFICE_HOURS
    sla: Sla | None = None
    rejections: Mapping[str, Rejection] = field(default_factory=lambda: dict(REJECTIONS))
    returned: Then = Then.COME_BACK
    return_at_most: timedelta = timedelta(days=365)
    line: int = 0

    @property
    def named(self) -> frozenset[str]:
        """Return the addresses of all reps whom the section names."""
        alone = (self.fallback, self.sla.escalate_to if self.sla else None)
        return frozenset(name for members in self.pools.values() for name in members) | {a for a in alone if a}

    def members(self, pool: str | None) -> frozenset[str] | None:
        """Return the addresses of a pool, None for every rep."""
        return None if pool is None or pool == EVERYONE else frozenset(self.pools.get(pool, ()))


REJECTIONS: Mapping[str, Rejection] = {
    "not_now": Rejection(Span(90, Unit.DAYS)),
    "bad_fit": Rejection(None),
    "wrong_person": Rejection(None, task="Find a colleague who decides"),
}
"""What the reasons mean where the file says nothing."""
