"""A sequence as a value: what a marketer's file says, checked and flattened. Running it is `schedule`.

Branches are flattened: every step names the step that comes after it, and `branch` names the first step of each arm.
`line` is where the step begins in its file, so that `why` can point at the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nurture.core.conditions import Condition
from nurture.core.model import Data
from nurture.core.spans import Span
from nurture.core.windows import NO_DELAY, WORKDAYS, Delay, Window
from nurture.core.words import Role, Voice


class Reentry(StrEnum):
    """When a contact who was in a sequence may enter it again."""

    ONCE = "once"
    IF_NOT_ACTIVE = "if_not_active"
    ALWAYS = "always"
    AFTER = "after"


class LatePolicy(StrEnum):
    """What becomes of a message that is later than its step allows."""

    SEND = "send"
    SKIP = "skip"
    RESCHEDULE = "reschedule"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a branch: taken when `when` holds (None: otherwise), from step `to` (None: after the branch)."""

    when: Condition | None
    to: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `kind` is the module in `core/steps`; `params` are what that kind reads (see each kind's docstring).

    `next` is the id of the step after this one, None at the end of the sequence.
    """

    id: str
    kind: str
    delay: Delay = NO_DELAY
    next: str | None = None
    template: str | None = None
    content: str | None = None
    arms: tuple[Arm, ...] = ()
    params: Data = field(default_factory=dict)
    late: LatePolicy = LatePolicy.SEND
    late_after: Span | None = None
    on_refused: str = "fail"
    on_rejected: str = "exit"
    draft_ahead: Span | None = None
    thread: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Trigger:
    """What enrolls: `kind` is a registered trigger (`stage_entered`, `event`, `manual`), `params` what it looks for."""

    kind: str
    params: Data = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Exit:
    """What ends a run early: `kind` is `reply`, `unsubscribe`, `bounce`, `stage_left`, `event` or `goal`."""

    kind: str
    when: Condition | None = None
    event: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a sequence addresses: any of `roles` (empty: all), any of `stages` (empty: all) and `when`."""

    roles: frozenset[Role] = frozenset()
    stages: frozenset[str] = frozenset()
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence, ready to run. `hash` names its content, `file` the path it was read from (for `why`)."""

    name: str
    voice: Voice
    steps: tuple[Step, ...]
    sender: str
    hash: str = ""
    file: str = ""
    description: str = ""
    audience: Audience = Audience()
    triggers: tuple[Trigger, ...] = ()
    exits: tuple[Exit, ...] = ()
    reentry: Reentry = Reentry.ONCE
    reentry_after: Span | None = None
    priority: int = 50
    window: Window = WORKDAYS
    live: bool = True
    ends_on_reply: bool = field(default=False, init=False, repr=False, compare=False)
    _by_id: Mapping[str, Step] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the steps by id, and find out whether a reply ends a run."""
        object.__setattr__(self, "_by_id", {step.id: step for step in self.steps})
        object.__setattr__(self, "ends_on_reply", any(exit_.kind == "reply" for exit_ in self.exits))

    @property
    def first(self) -> str:
        """The id of the first step."""
        return self.steps[0].id

    def step(self, step_id: str) -> Step | None:
        """Return the step with that id, or None."""
        return self._by_id.get(step_id)
