"""What enrolls: triggers look at new events, and a contact enters a sequence if its rules let them in.

A trigger is a decorated function: its name is the key in YAML, and it carries its sentence. It answers with the reason
for which it enrolls, or None. Whether the contact may enter at all (`may_enroll`) does not depend on what asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from nurture.core.conditions import PROBABLY_HUMAN, Condition, end_of, evaluate, say
from nurture.core.effects import Enroll
from nurture.core.events import INBOUND, KINDS
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Data, Enrollment, Event, Situation, Suppressed
from nurture.core.sequence import Reentry, Sequence, Trigger
from nurture.core.words import LIVE_ENROLLMENTS, Scope, Voice

Matcher = Callable[[Data, Event, Situation, Lifecycle, datetime], str | None]


@dataclass(frozen=True, slots=True)
class TriggerKind:
    """A kind of trigger: its key in YAML, what it waits for as a sentence, and the function that looks.

    `hears` are the kinds of events that it may match, None for the one that its `kind` names.
    """

    name: str
    sentence: str
    match: Matcher
    hears: frozenset[str] | None = None


TRIGGERS: dict[str, TriggerKind] = {}
"""Every kind of trigger by its key."""


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """A contact may not enter a sequence now, and why."""

    sequence: str
    reason: str


def matching(
    situation: Situation, fresh: tuple[Event, ...], sequences: Iterable[Sequence], lifecycle: Lifecycle, now: datetime
) -> tuple[Enroll | NotEnrolled, ...]:
    """Return an answer for every sequence that the new events ask for: higher priority first, then by name.

    What a human probably did not do (`trust` below a half) asks for nothing.
    """
    heard = [event for event in fresh if event.trust >= PROBABLY_HUMAN]
    kinds = frozenset(event.kind for event in heard)
    asked = []
    for sequence in sequences:
        reason = _reason(sequence, kinds, heard, situation, lifecycle, now)
        if reason is not None:
            asked.append((-sequence.priority, sequence.name, sequence, reason))
    asked.sort(key=itemgetter(0, 1))
    return tuple(may_enroll(sequence, situation, lifecycle, now, reason=reason) for _, _, sequence, reason in asked)


def may_enroll(
    sequence: Sequence, situation: Situation, lifecycle: Lifecycle, now: datetime, *, reason: str = "by hand"
) -> Enroll | NotEnrolled:
    """Return the next run of the sequence for this contact, or why there is none; whoever asks gives the `reason`."""
    obstacle = next(_obstacles(sequence, situation, lifecycle, now), None)
    if obstacle is not None:
        return NotEnrolled(sequence.name, obstacle)
    return Enroll(sequence.name, 1 + max((run.run for run in _runs(sequence, situation)), default=0), reason)


def say_trigger(trigger: Trigger) -> str:
    """Return what a trigger waits for: `the contact enters a stage (role: nurture)`."""
    known, params = TRIGGERS.get(trigger.kind), dict(trigger.params)
    sentence = known.sentence if known else trigger.kind
    if trigger.kind == "event" and isinstance(kind := params.pop("kind", None), str):
        sentence = f"the contact {KINDS[kind].label}" if kind in KINDS else kind.replace("_", " ")
    details = ", ".join(f"{name}: {_say_value(value)}" for name, value in params.items())
    return sentence + (f" ({details})" if details else "")


def _say_value(value: object) -> str:
    if isinstance(value, Condition):
        return say(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} is {_say_value(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | frozenset) else str(value)


def trigger(sentence: str, hears: Collection[str] | None = None) -> Callable[[Matcher], Matcher]:
    """Register a function as the kind of trigger of its name, which matches events of the kinds that it `hears`.

    None is the kind that the trigger's own `kind` names.
    """

    def register(match: Matcher) -> Matcher:
        kinds = None if hears is None else frozenset(hears)
        TRIGGERS[match.__name__] = TriggerKind(match.__name__, sentence, match, kinds)
        return match

    return register


@trigger("the contact enters a stage", hears=("stage_entered", "created"))
def stage_entered(params: Data, event: Event, situation: Situation, lifecycle: Lifecycle, now: datetime) -> str | None:
    """Match entering the stage in which the contact still is; becoming known is entering the first one.

    `role` and `stage` may name one or several; without them every stage counts.
    """
    stage = lifecycle.stage(situation.contact.stage)
    if event.kind == "stage_entered" and event.data.get("stage", stage.name) != stage.name:
        return None
    if not (_among(stage.role.value, params.get("role")) and _among(stage.name, params.get("stage"))):
        return None
    return f"entered stage {stage.name}"


@trigger("the contact enters a segment", hears=("segment_entered",))
def segment_entered(
    params: Data, event: Event, situation: Situation, lifecycle: Lifecycle, now: datetime
) -> str | None:
    """Match entering one of the segments that `segment` names."""
    name = event.data.get("segment")
    return f"entered segment {name}" if _among(name, params.get("segment")) else None


@trigger("something happens")
def event(params: Data, event: Event, situation: Situation, lifecycle: Lifecycle, now: datetime) -> str | None:
    """Match an event of the kind `kind`; `where` is a condition, or what the event's data must say (any of a list)."""
    where = params.get("where")
    if isinstance(where, Condition) and not evaluate(where, situation, lifecycle, now):
        return None
    if isinstance(where, Mapping) and not all(_among(event.data.get(name), asked) for name, asked in where.items()):
        return None
    return KINDS[event.kind].label if event.kind in KINDS else event.kind.replace("_", " ")


@trigger("somebody enrolls the contact by hand", hears=())
def manual(params: Data, event: Event, situation: Situation, lifecycle: Lifecycle, now: datetime) -> str | None:
    """Match nothing that happens by itself."""
    return None


def _among(value: object, asked: object) -> bool:
    if asked is None:
        return True
    return value in asked if isinstance(asked, list | tuple | set | frozenset) else value == asked


def _reason(
    sequence: Sequence,
    kinds: frozenset[str],
    heard: Collection[Event],
    situation: Situation,
    lifecycle: Lifecycle,
    now: datetime,
) -> str | None:
    """Return why the events ask for the sequence, None when they do not; `kinds` are those that were heard."""
    for wanted in sequence.triggers:
        known = TRIGGERS[wanted.kind]
        hears = (wanted.params.get("kind"),) if known.hears is None else known.hears
        if kinds.isdisjoint(hears):
            continue
        for happened in heard:
            if happened.kind in hears:
                reason = known.match(wanted.params, happened, situation, lifecycle, now)
                if reason is not None:
                    return reason
    return None


def _runs(sequence: Sequence, situation: Situation) -> list[Enrollment]:
    return [run for run in situation.enrollments if run.sequence == sequence.name]


def _obstacles(sequence: Sequence, situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[str]:
    """Yield what stands in the way, in the order in which it is worth saying."""
    if not sequence.live:
        yield "the sequence is not live"
    yield from _outside_audience(sequence, situation, lifecycle, now)
    if any(step.kind == "email" for step in sequence.steps):
        yield from _unwritable(sequence.voice, situation)
    yield from _reentry(sequence, situation, now)


def _outside_audience(sequence: Sequence, situation: Situation, lifecycle: Lifecycle, now: datetime) -> Iterator[str]:
    stage, audience = lifecycle.stage(situation.contact.stage), sequence.audience
    if stage.voice is not sequence.voice:
        yield f"the sequence speaks with the {sequence.voice} voice, stage {stage.name} with the {stage.voice} one"
    if audience.roles and stage.role not in audience.roles:
        yield f"the audience is {_any_of(audience.roles)}, and the role of stage {stage.name} is {stage.role}"
    if audience.stages and stage.name not in audience.stages:
        yield f"the audience is {_any_of(audience.stages)}, and the stage is {stage.name}"
    if audience.when is not None and not evaluate(audience.when, situation, lifecycle, now):
        yield f"the audience is who meets: {say(audience.when)}"


def _any_of(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))


def _unwritable(voice: Voice, situation: Situation) -> Iterator[str]:
    if not situation.contact.email:
        yield "the contact has no address"
    for wish in situation.suppressions:
        if wish.scope is Scope.ALL or wish.scope.value == voice.value:
            yield f"suppressed for {wish.scope}: {wish.reason}"
        elif wish.scope is Scope.MARKETING and not _spoke_after(wish, situation):
            yield f"suppressed for marketing ({wish.reason}), and no word from the contact since"


def _spoke_after(wish: Suppressed, situation: Situation) -> bool:
    return any(e.kind in INBOUND and e.trust >= PROBABLY_HUMAN and e.at > wish.at for e in situation.events)


def _reentry(sequence: Sequence, situation: Situation, now: datetime) -> Iterator[str]:
    """Yield why an earlier run bars a new one. A contact is in a sequence once at a time, whatever its policy."""
    runs = _runs(sequence, situation)
    if any(run.state in LIVE_ENROLLMENTS for run in runs):
        yield "already in it"
    if runs and sequence.reentry is Reentry.ONCE:
        yield "was in it before, and enters once"
    if runs and sequence.reentry is Reentry.AFTER and sequence.reentry_after:
        last = max(run.ended_at or run.entered_at for run in runs)
        if (opens := end_of(sequence.reentry_after, last, situation)) > now:
            yield f"was in it until {last:%Y-%m-%d}, and may enter again on {opens:%Y-%m-%d}"
