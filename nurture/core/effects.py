"""What deciding leads to, as values: a closed list, written in bulk by `intake` and `engine`.

Every effect names its contact or run; none of them does anything by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from nurture.core.model import ContactId, Data, Enrollment, EnrollmentId, RepId, Standing
from nurture.core.quick import quick_init
from nurture.core.words import EnrollmentState, Scope, Voice


@dataclass(frozen=True, slots=True)
class MoveStage:
    """Move a contact to another stage; `rule` is `file:line` of the move, or the person who asked."""

    from_stage: str
    to_stage: str
    reason: str
    rule: str
    actor: str = "engine"


@dataclass(frozen=True, slots=True)
class Enroll:
    """Begin run number `run` of a sequence at its first step; `held_pending` names why it cannot start yet."""

    sequence: str
    run: int
    reason: str


@dataclass(frozen=True, slots=True)
class EndRun:
    """End a run early (or, with `completed`, at its end) and cancel its unsent messages and open tasks."""

    enrollment_id: EnrollmentId
    state: EnrollmentState
    reason: str
    disposition: str | None = None
    actor: str = "engine"


@dataclass(frozen=True, slots=True)
class PauseRun:
    """Pause a run until a moment."""

    enrollment_id: EnrollmentId
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class WakeRun:
    """Make a waiting run due now."""

    enrollment_id: EnrollmentId
    reason: str


@dataclass(frozen=True, slots=True)
class CancelMessages:
    """Cancel the contact's unsent messages of a voice (None: every voice)."""

    voice: Voice | None
    reason: str


@dataclass(frozen=True, slots=True)
class VoidApprovals:
    """Send the contact's approved but unsent messages back to `awaiting_approval`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Suppress:
    """Suppress every address of the contact within a scope."""

    scope: Scope
    reason: str


@dataclass(frozen=True, slots=True)
class OpenTaskFor:
    """Give the contact's owner (or the next rep in rotation, or `rep_id`) a task. `key` makes it unique."""

    kind: str
    title: str
    key: str
    due_at: datetime | None = None
    enrollment_id: EnrollmentId | None = None
    step_id: str | None = None
    note: str | None = None
    rep_id: RepId | None = None


@dataclass(frozen=True, slots=True)
class OpenHandoff:
    """Hand the contact to sales: `packet` says why, the fit, the last touches and a suggested next step.

    `grounds` are the fit rules and engagement categories that gave points: (`fit` or `engagement`, name, hundredths).
    """

    reason: str
    packet: Data = field(default_factory=dict)
    from_stage: str | None = None
    to_stage: str | None = None
    grounds: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CloseHandoff:
    """Take back the contact's open handoff: they left the stages of sales before anybody said a word."""

    reason: str


@dataclass(frozen=True, slots=True)
class UpdateContact:
    """Set fields of the contact (`first_name`, `fields.plan` …)."""

    values: Data


@dataclass(frozen=True, slots=True)
class EnterSegment:
    """Put the contact into a segment."""

    segment: str


@dataclass(frozen=True, slots=True)
class LeaveSegment:
    """Take the contact out of a segment."""

    segment: str


Effect = (
    MoveStage
    | Enroll
    | EndRun
    | PauseRun
    | WakeRun
    | CancelMessages
    | VoidApprovals
    | Suppress
    | OpenTaskFor
    | OpenHandoff
    | CloseHandoff
    | UpdateContact
    | EnterSegment
    | LeaveSegment
)


@dataclass(frozen=True, slots=True)
class Reaction:
    """All that follows from a contact's new events, in order; `review_at` is when time alone may change something.

    Without a `standing` neither score nor review are touched (effects that a step or a person asked for)."""

    contact_id: ContactId
    effects: tuple[Effect, ...]
    standing: Standing | None
    review_at: datetime | None


@quick_init
@dataclass(frozen=True, slots=True)
class PlanMessage:
    """Plan one message for a step, to go out at `due_at` and not after `not_after`."""

    step_id: str
    occurrence: int
    template: str
    voice: Voice
    due_at: datetime
    not_after: datetime | None = None
    thread: bool = False


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Tell the one door that something happened (an `update` step does)."""

    kind: str
    external_id: str
    data: Data = field(default_factory=dict)


Action = PlanMessage | OpenTaskFor | UpdateContact | MoveStage | RecordEvent


@quick_init
@dataclass(frozen=True, slots=True)
class Plan:
    """What one tick does for one run: its next row, when it is due again (None: when something wakes it), what to do.

    `trail` are the steps passed through in this tick as (step id, what was decided), for `why`.
    """

    enrollment: Enrollment
    due_at: datetime | None
    actions: tuple[Action, ...] = ()
    trail: tuple[tuple[str, str], ...] = ()
