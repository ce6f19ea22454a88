"""Reads a `kind: sequence` file and flattens its branches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, model_validator

from nurture.core.conditions import All, Condition, InSegment
from nurture.core.conditions import Any as AnyOf
from nurture.core.schema.conditions import parse_condition
from nurture.core.schema.document import Document, Path, parse
from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.shapes import (
    EventName,
    Length,
    Name,
    SegmentName,
    Shape,
    StageName,
    Text,
    When,
    check,
    one_of,
    shown,
    vocabulary,
)
from nurture.core.schema.steps import AnyStep, BranchStep, EmailStep, Steps, walk
from nurture.core.schema.timing import WindowField
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary
from nurture.core.sequence import Arm, Audience, Exit, Reentry, Sequence, Step, Trigger
from nurture.core.spans import Span, Unit
from nurture.core.windows import Window
from nurture.core.words import Role, Voice

OWNER = "owner"
"""The sender of every personal sequence: the mailbox of the rep who owns the contact."""

DRAFT_AHEAD = Span(1, Unit.BUSINESS_DAYS)
"""How long before they are due personal mails are drafted, unless a step says otherwise."""


def read_sequence(text: str, file: str, known: Vocabulary = ANYTHING) -> Sequence:
    """Read a sequence; raise ProgramError with every mistake. Names that `known` knows are checked."""
    document = parse(text, file)
    shape = check(SequenceShape, document, known)
    return Sequence(
        name=shape.name,
        description=shape.description,
        voice=shape.voice,
        steps=tuple(_flatten(shape.steps, ("steps",), None, document, shape.voice)),
        sender=shape.sender or OWNER,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        file=file,
        audience=_audience(shape.audience),
        triggers=tuple(_trigger(item, document.line(("enroll_when", at))) for at, item in enumerate(shape.enroll_when)),
        exits=_exits(shape, document),
        reentry=shape.reentry[0],
        reentry_after=shape.reentry[1],
        priority=shape.priority,
        window=shape.window,
        live=shape.live,
    )


# --- shapes -----------------------------------------------------------------------------------------------------------

_ROLE = one_of(Role, "role")


def _many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class AudienceShape(Shape):
    """Whom the sequence addresses."""

    role: Annotated[list[Annotated[Role, BeforeValidator(_ROLE)]], BeforeValidator(_many)] = Field(default_factory=list)
    stage: Annotated[list[StageName], BeforeValidator(_many)] = Field(default_factory=list)
    segment: Annotated[list[SegmentName], BeforeValidator(_many)] = Field(default_factory=list)
    when: When | None = None


class SegmentEnteredShape(Shape):
    """Which segment must be entered."""

    segment: Annotated[list[SegmentName], BeforeValidator(_many), Field(min_length=1)]


class StageEnteredShape(Shape):
    """Which stage must be entered."""

    role: Annotated[list[Annotated[Role, BeforeValidator(_ROLE)]], BeforeValidator(_many)] | None = None
    stage: Annotated[list[StageName], BeforeValidator(_many)] | None = None


def _where(value: object, info: ValidationInfo) -> object:
    """Read a condition from text, or what the event's data must say (one value or a list) from keys and values."""
    if isinstance(value, str):
        return parse_condition(value, vocabulary(info))
    if not isinstance(value, dict) or not value:
        raise flawed(f"expected what the event's data must say, not {shown(value)}", "write {form: pricing}")
    flaws = [
        Flaw(f"expected one value or a list, not {shown(found)}", path=(key,))
        for key, found in value.items()
        if found is None or isinstance(found, dict)
    ]
    if flaws:
        raise Flaws(flaws)
    return dict(value)


class EventShape(Shape):
    """Which event, and what its data must hold (keys and values) or the contact must meet (a condition)."""

    kind: EventName
    where: Annotated[Any, BeforeValidator(_where)] = None


class _EventOnly(Shape):
    event: EventName


class _GoalOnly(Shape):
    goal: When


def _stage_entered(value: object, info: ValidationInfo) -> dict[str, Any]:
    shape = StageEnteredShape.model_validate({} if value is None else value, context=info.context)
    return {key: tuple(found) for key, found in (("role", shape.role), ("stage", shape.stage)) if found is not None}


def _segment_entered(value: object, info: ValidationInfo) -> dict[str, Any]:
    given = value if isinstance(value, dict) else {"segment": value}
    return {"segment": tuple(SegmentEnteredShape.model_validate(given, context=info.context).segment)}


def _event(value: object, info: ValidationInfo) -> dict[str, Any]:
    if isinstance(value, dict):
        shape = EventShape.model_validate(value, context=info.context)
        return {"kind": shape.kind} | ({"where": shape.where} if shape.where else {})
    return {"kind": _EventOnly.model_validate({"event": value}, context=info.context).event}


def _nothing(value: object, info: ValidationInfo) -> dict[str, Any]:
    if value is not None:
        raise flawed("`manual` has nothing to say", "write - manual")
    return {}


_TRIGGERS = {"stage_entered": _stage_entered, "segment_entered": _segment_entered, "event": _event, "manual": _nothing}


class _Triggered(Shape):
    """One trigger, under the key that names it."""

    stage_entered: Annotated[Any, BeforeValidator(_stage_entered)] = None
    segment_entered: Annotated[Any, BeforeValidator(_segment_entered)] = None
    event: Annotated[Any, BeforeValidator(_event)] = None
    manual: Annotated[Any, BeforeValidator(_nothing)] = None


def _trigger_item(value: object, info: ValidationInfo) -> tuple[str, dict[str, Any]]:
    given = {value: None} if isinstance(value, str) else value
    name = _only_key(given, "trigger", _TRIGGERS)
    if isinstance(value, str) and name == "event":
        raise flawed("`event` needs a kind", "write - event: form_submitted")
    shape = _Triggered.model_validate(given, context=info.context)
    return name, getattr(shape, name)


_SIMPLE_EXITS = ("reply", "unsubscribe", "bounce", "stage_left")


def _exit_item(value: object, info: ValidationInfo) -> Exit:
    if isinstance(value, str):
        if value not in _SIMPLE_EXITS:
            raise flawed(f"unknown exit {shown(value)}", meant(value, [*_SIMPLE_EXITS, "event", "goal"]))
        return Exit(value)
    name = _only_key(value, "exit", ("event", "goal"))
    if name == "goal":
        return Exit("goal", when=_GoalOnly.model_validate(value, context=info.context).goal)
    return Exit("event", event=_EventOnly.model_validate(value, context=info.context).event)


def _only_key(value: object, noun: str, known: Any) -> str:
    if not isinstance(value, dict) or len(value) != 1:
        raise flawed(f"expected one {noun}, not {shown(value)}", f"there is {', '.join(known)}")
    name = str(next(iter(value)))
    if name not in known:
        raise Flaws([Flaw(f"unknown {noun} `{name}`", meant(name, known), (name,), at_key=True)])
    return name


def _reentry(value: object) -> tuple[Reentry, Span | None]:
    if isinstance(value, dict) and list(value) == ["after"]:
        return Reentry.AFTER, _AfterOnly.model_validate(value).after
    words = [word for word in Reentry if word is not Reentry.AFTER]
    if value not in words:
        raise flawed(f"unknown re-entry {shown(value)}", meant(str(value), [*words, "{after: 90 days}"]))
    return Reentry(str(value)), None


class _AfterOnly(Shape):
    after: Length


def _voice(value: object) -> Voice:
    if value not in (Voice.MARKETING, Voice.PERSONAL):
        raise flawed(f"a sequence cannot have the voice {shown(value)}", "write marketing or personal")
    return Voice(str(value))


def _some_steps(steps: list[Steps]) -> list[Steps]:
    if not steps:
        raise flawed("a sequence without steps does nothing", "write its first step")
    seen: dict[str, Path] = {}
    flaws = []
    for step, path in walk(steps, ()):
        if step.id in seen:
            flaws.append(Flaw(f"two steps have the id {step.id!r}", "give every step its own id", (*path, "id")))
        seen.setdefault(step.id, path)
    if flaws:
        raise Flaws(flaws)
    return steps


class SequenceShape(Shape):
    """A sequence file."""

    kind: Literal["sequence"]
    name: Name
    description: str = ""
    voice: Annotated[Voice, BeforeValidator(_voice)]
    audience: AudienceShape = AudienceShape()
    enroll_when: list[Annotated[tuple[str, dict[str, Any]], PlainValidator(_trigger_item)]] = Field(
        default_factory=list
    )
    exit_when: list[Annotated[Any, PlainValidator(_exit_item)]] | None = None
    reentry: Annotated[tuple[Reentry, Span | None], PlainValidator(_reentry)] = (Reentry.ONCE, None)
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    sender: Text | None = None
    window: WindowField = Window()
    live: bool = True
    steps: Annotated[list[AnyStep], AfterValidator(_some_steps)]

    @model_validator(mode="after")
    def _one_voice(self, info: ValidationInfo) -> SequenceShape:
        flaws = [*_sender_flaws(self, vocabulary(info)), *_step_flaws(self)]
        if flaws:
            raise Flaws(flaws)
        return self


def _sender_flaws(shape: SequenceShape, known: Vocabulary) -> Iterator[Flaw]:
    if shape.voice is Voice.PERSONAL:
        if shape.sender not in (None, OWNER):
            what = f"a personal sequence cannot be sent by {shown(shape.sender)}"
            yield Flaw(what, "its sender is the rep who owns the contact: write `sender: owner`", ("sender",))
        return
    names = None if known.senders is None else [name for name, v in known.senders.items() if v is Voice.MARKETING]
    if shape.sender is None:
        yield Flaw("`sender` is missing", f"name one of nurture.toml: {', '.join(names or ['[senders.…]'])}")
    elif shape.sender == OWNER:
        yield Flaw("marketing mail cannot come from a rep's mailbox", "name a sender of nurture.toml", ("sender",))
    elif names is not None and shape.sender not in names:
        yield Flaw(f"unknown sender {shown(shape.sender)}", meant(shape.sender, names), ("sender",))


def _step_flaws(shape: SequenceShape) -> Iterator[Flaw]:
    if shape.voice is Voice.PERSONAL:
        return
    for step, path in walk(shape.steps, ("steps",)):
        if not isinstance(step, EmailStep):
            continue
        if step.draft_ahead is not None:
            yield Flaw("marketing mail is not drafted", "remove `draft_ahead`", (*path, "draft_ahead"), at_key=True)
        if step.thread:
            yield Flaw("marketing mail has no thread to answer in", "remove `thread`", (*path, "thread"), at_key=True)


# --- from shapes to values --------------------------------------------------------------------------------------------


def _flatten(steps: list[Steps], way: Path, after: str | None, document: Document, voice: Voice) -> Iterator[Step]:
    """Yield the steps in file order; `after` is the id of the step that follows the last of them."""
    for place, shape in enumerate(steps):
        follows = steps[place + 1].id if place + 1 < len(steps) else after
        path = (*way, place)
        if isinstance(shape, BranchStep):
            yield from _branch(shape, path, follows, document, voice)
        else:
            given = shape.given()
            if voice is Voice.PERSONAL and isinstance(shape, EmailStep):
                given["draft_ahead"] = shape.draft_ahead or DRAFT_AHEAD
            yield Step(id=shape.id, kind=shape.kind, next=follows, line=document.line(path), **given)


def _branch(shape: BranchStep, path: Path, follows: str | None, document: Document, voice: Voice) -> Iterator[Step]:
    arms = tuple(Arm(arm.condition, arm.steps[0].id if arm.steps else None) for arm in shape.branch)
    yield Step(id=shape.id, kind=shape.kind, next=follows, line=document.line(path), arms=arms, delay=shape.delay)
    for at, arm in enumerate(shape.branch):
        yield from _flatten(arm.steps, (*path, "branch", at, arm.key), follows, document, voice)


def _audience(shape: AudienceShape) -> Audience:
    parts: list[Condition] = [AnyOf(tuple(InSegment(name) for name in shape.segment))] if shape.segment else []
    parts += [shape.when] if shape.when else []
    when = All(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)
    return Audience(frozenset(shape.role), frozenset(shape.stage), when)


def _trigger(item: tuple[str, dict[str, Any]], line: int) -> Trigger:
    kind, params = item
    return Trigger(kind, params, line)


def _exits(shape: SequenceShape, document: Document) -> tuple[Exit, ...]:
    if shape.exit_when is None:
        return tuple(Exit(kind) for kind in _SIMPLE_EXITS)
    return tuple(
        Exit(item.kind, item.when, item.event, document.line(("exit_when", at)))
        for at, item in enumerate(shape.exit_when)
    )
