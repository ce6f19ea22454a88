"""The values of a decision: what is due (`Due`), what a gate found (`Check`), the four answers. `decide` makes it.

Most of what the gates read is the same for most messages of a page. It is made once (`Reading`), and so are the checks
that have nothing else in them: a gate remembers its latest ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Data, Enrollment, MessageBrief, Sender, Situation
from nurture.core.quick import quick_init
from nurture.core.sequence import Sequence, Step


@quick_init
@dataclass(frozen=True, slots=True)
class Send:
    """It may go now."""

    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; ask again at `until`."""

    reason: str
    until: datetime
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """Not this message; the run goes on with the next step."""

    reason: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """Not this message, and the run ends."""

    reason: str
    checks: tuple[Check, ...] = ()


Decision = Send | Hold | Skip | Cancel


@quick_init
@dataclass(frozen=True, slots=True)
class Reading:
    """What a gate read that many messages have in common: plain JSON values, and nothing that tells of one person.

    It is of a few words and settings, so that it is stored once, however often it is read. `own` are the names of what
    else the gate read, of which each message has values of its own (in its `Check`).
    """

    gate: str
    inputs: Data = field(default_factory=dict)
    own: tuple[str, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True)
class Check:
    """What one gate read and found. `answer` is None when the message may pass.

    `own` are plain JSON values and moments, one for each name of the reading's `own`.
    """

    reading: Reading
    own: tuple[object, ...] = ()
    answer: Hold | Skip | Cancel | None = None

    @property
    def gate(self) -> str:
        """Return the name of the gate."""
        return self.reading.gate

    @property
    def passed(self) -> bool:
        """Return whether the gate let the message pass."""
        return self.answer is None

    @property
    def reason(self) -> str:
        """Return why the gate did not let it pass."""
        return self.answer.reason if self.answer else ""

    @property
    def inputs(self) -> Data:
        """Return all that the gate read, as plain JSON values."""
        own = [value.isoformat() if isinstance(value, datetime) else value for value in self.own]
        return {**self.reading.inputs, **dict(zip(self.reading.own, own, strict=True))}

    def says(self, answer: Hold | Skip | Cancel | None) -> Check:
        """Return this with the gate's answer."""
        return Check(self.reading, self.own, answer)


SHARED = 256
"""How many of its latest checks, the same for many messages, a gate remembers."""


@quick_init
@dataclass(frozen=True, slots=True)
class Due:
    """A message that is due, with all that the gates may read.

    `sending_paused` names a kill switch that is on (None: none). `sequence_live` is whether the sequence may send.
    `unsubscribe_ready` is None when one-click unsubscribing works (or the provider is not real), else what is missing.
    `budget` is how many more messages may go out today under the launch cap (None: unlimited).
    `approved` is whether an approval of exactly this content exists (None: the voice needs none).
    `slot_at` is the moment that the message's timer was set to, by its plan or by the last hold: a message that is
    looked at long after it was left lying, and gets a new slot. None: just now, so that it never counts as left lying.
    `patience` is how long a message may lie because of how rarely it is looked at (a cron job: the time between runs).
    """

    message: MessageBrief
    situation: Situation
    lifecycle: Lifecycle
    company: Company
    sender: Sender
    sequence: Sequence | None = None
    step: Step | None = None
    not_after: datetime | None = None
    approved: bool | None = None
    approved_at: datetime | None = None
    sequence_live: bool = True
    sending_paused: str | None = None
    unsubscribe_ready: str | None = None
    budget: int | None = None
    drafted_at: datetime | None = None
    slot_at: datetime | None = None
    patience: timedelta = timedelta()

    @property
    def run(self) -> Enrollment | None:
        """The run that planned the message; None where there is none, or none any more."""
        for run in self.situation.enrollments:
            if run.id == self.message.enrollment_id:
                return run
        return None

    @property
    def seed(self) -> str:
        """What chance depends on: the run, so that all its mail has one place within every spread."""
        return seed_of(self.message.enrollment_id) if self.message.enrollment_id else f"message:{self.message.id}"


def seed_of(enrollment_id: int) -> str:
    """Return what chance depends on for one run of a sequence."""
    return f"enrollment:{enrollment_id}"
