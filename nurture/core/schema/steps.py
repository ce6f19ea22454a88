"""The shapes of steps: one class for each kind, found by the key that names the kind.

What a kind needs beyond the common keys is handed on in `Step.params`:

    task    kind, title, due (Span | None), wait (bool), timeout (Span | None), note (str | None)
    update  set (field → value), stage (str), event (str): only what is given
    exit    reason, disposition (str | None)
    wait    nothing: the wait is the step's `delay`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo

from nurture.core.conditions import Op
from nurture.core.schema.comparisons import check_field, compare
from nurture.core.schema.document import Path
from nurture.core.schema.flaws import Flaw, Flaws, flawed, joined, meant
from nurture.core.schema.shapes import (
    EventName,
    Length,
    Name,
    Shape,
    StageName,
    Text,
    When,
    known_name,
    shown,
    vocabulary,
)
from nurture.core.schema.timing import DelayField, LateField, WaitField
from nurture.core.sequence import LatePolicy
from nurture.core.windows import NO_DELAY

DISPOSITIONS = (
    "bad_data",
    "connected",
    "contact_later",
    "disqualified",
    "duplicate",
    "engaged",
    "no_response",
    "not_interested",
    "opted_out",
    "replied",
    "success",
)
"""How a run may have ended, whatever the reason."""

SETTABLE = ("first_name", "last_name", "title", "buying_role", "country", "locale", "time_zone", "source")
"""What an `update` step may set, beside `fields.…`."""


class StepShape(Shape):
    """What every step has."""

    kind: ClassVar[str]
    id: Name
    delay: DelayField = NO_DELAY

    def given(self) -> dict[str, Any]:
        """Return what the step says, as arguments of `Step`."""
        return {"delay": self.delay}


_Template = Annotated[str, AfterValidator(known_name("template", lambda known: known.templates))]
_Content = Annotated[str, AfterValidator(known_name("kind of content", lambda known: known.contents))]


class EmailStep(StepShape):
    """Send a mail."""

    kind = "email"
    email: _Template
    content: _Content | None = None
    late: LateField = (LatePolicy.SEND, None)
    on_refused: Literal["fail", "advance"] = "fail"
    on_rejected: Literal["exit", "advance"] = "exit"
    draft_ahead: Length | None = None
    thread: bool = False

    def given(self) -> dict[str, Any]:
        """Return what the step says, as arguments of `Step`."""
        late, late_after = self.late
        return {
            "delay": self.delay,
            "template": self.email,
            "content": self.content,
            "late": late,
            "late_after": late_after,
            "on_refused": self.on_refused,
            "on_rejected": self.on_rejected,
            "draft_ahead": self.draft_ahead,
            "thread": self.thread,
        }


class WaitStep(Shape):
    """Wait, for a time or until one."""

    kind: ClassVar[str] = "wait"
    id: Name
    wait: WaitField

    def given(self) -> dict[str, Any]:
        """Return what the step says, as arguments of `Step`."""
        return {"delay": self.wait}


class ArmShape(Shape):
    """One arm of a branch: `if` and `then`, or `else`."""

    condition: When | None = Field(default=None, alias="if")
    then: list[AnyStep] | None = None
    otherwise: list[AnyStep] | None = Field(default=None, alias="else")

    @property
    def steps(self) -> list[Steps]:
        """The steps of the arm."""
        return self.then or self.otherwise or []

    @property
    def key(self) -> str:
        """The key under which its steps stand."""
        return "else" if self.otherwise is not None else "then"


def _arms(arms: list[ArmShape]) -> list[ArmShape]:
    if not arms:
        raise flawed("a branch needs at least one arm", "write - {if: …, then: […]}")
    flaws = [flaw for place, arm in enumerate(arms) for flaw in _arm(arm, place, last=place == len(arms) - 1)]
    if flaws:
        raise Flaws(flaws)
    return arms


def _arm(arm: ArmShape, place: int, *, last: bool) -> Iterator[Flaw]:
    if arm.otherwise is not None and (arm.condition is not None or arm.then is not None):
        yield Flaw("an arm has `if` and `then`, or it has `else`", path=(place,))
    elif arm.otherwise is None and (arm.condition is None or arm.then is None):
        yield Flaw(f"`{'if' if arm.condition is None else 'then'}` is missing in this arm", path=(place,))
    elif arm.otherwise is not None and not last:
        yield Flaw("arms after `else` are never reached", "write `else` last", (place + 1,))


class BranchStep(StepShape):
    """Go one of several ways."""

    kind = "branch"
    branch: Annotated[list[ArmShape], AfterValidator(_arms)]


class TaskShape(Shape):
    """What a rep is asked to do."""

    kind: Name = "custom"
    title: Text
    note: Text | None = None
    due: Length | None = None
    wait: bool = False
    timeout: Length | None = None


def _waiting(task: TaskShape) -> TaskShape:
    if task.timeout is not None and not task.wait:
        raise Flaws([Flaw("`timeout` without `wait: true` does nothing", "add `wait: true`", ("timeout",))])
    return task


class TaskStep(StepShape):
    """Give the contact's owner a task."""

    kind = "task"
    task: Annotated[TaskShape, AfterValidator(_waiting)]

    def given(self) -> dict[str, Any]:
        """Return what the step says, as arguments of `Step`."""
        return {"delay": self.delay, "params": {name: getattr(self.task, name) for name in TaskShape.model_fields}}


def _settings(values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    flaws = [flaw for field, value in values.items() for flaw in _setting(field, value, info)]
    if flaws:
        raise Flaws(flaws)
    return values


def _setting(field: str, value: object, info: ValidationInfo) -> Iterator[Flaw]:
    known = vocabulary(info)
    if field not in SETTABLE and not field.startswith("fields."):
        hint = meant(field, [*SETTABLE, *(name for name in known.fields or () if name.startswith("fields."))])
        yield Flaw(f"`{field}` cannot be set by a step", hint, (field,), at_key=True)
    elif wrong := check_field(field, known):
        yield Flaw(wrong.what, wrong.hint, (field,), at_key=True)
    elif value is not None and not isinstance(value, str | int | float | bool):
        yield Flaw(f"expected one value, not {shown(value)}", path=(field,))
    elif value is not None:
        try:
            compare(field, Op.EQ, value, known)
        except Flaws as found:
            yield from (
                Flaw(flaw.what.replace("is compared with", "is set to"), flaw.hint, (field,)) for flaw in found.flaws
            )


class UpdateShape(Shape):
    """What changes."""

    values: Annotated[dict[str, Any], AfterValidator(_settings)] = Field(default_factory=dict, alias="set")
    stage: StageName | None = None
    event: EventName | None = None


def _something(update: UpdateShape) -> UpdateShape:
    if not (update.values or update.stage or update.event):
        raise flawed("this update changes nothing", "write `set`, `stage` or `event`")
    return update


class UpdateStep(StepShape):
    """Change the contact, move them, or record an event."""

    kind = "update"
    update: Annotated[UpdateShape, AfterValidator(_something)]

    def given(self) -> dict[str, Any]:
        """Return what the step says, as arguments of `Step`."""
        said = {"set": dict(self.update.values), "stage": self.update.stage, "event": self.update.event}
        return {"delay": self.delay, "params": {key: value for key, value in said.items() if value}}


def _disposition(value: object) -> str:
    if value not in DISPOSITIONS:
        raise flawed(f"unknown disposition {shown(value)}", meant(str(value), DISPOSITIONS, limit=9))
    return str(value)


class ExitShape(Shape):
    """How a run ends."""

    reason: Text
    disposition: Annotated[str, BeforeValidator(_disposition)] | None = None


class ExitStep(StepShape):
    """End the run here."""

    kind = "exit"
    exit: ExitShape

    def given(self) -> dict[str, Any]:
        """Return what the step says, as arguments of `Step`."""
        exit_ = self.exit
        return {"delay": self.delay, "params": {"reason": exit_.reason, "disposition": exit_.disposition}}


Steps = EmailStep | WaitStep | BranchStep | TaskStep | UpdateStep | ExitStep

SHAPES: dict[str, type[Steps]] = {
    shape.kind: shape for shape in (EmailStep, WaitStep, BranchStep, TaskStep, UpdateStep, ExitStep)
}
"""Every kind of step by the key that names it."""


def _step(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict):
        raise flawed(f"expected a step, not {shown(value)}", "write for example - {id: hello, email: leads/welcome}")
    kinds = [key for key in value if key in SHAPES]
    if len(kinds) > 1:
        raise flawed(f"a step is one thing, not {joined(kinds, 'and')}", "make it two steps")
    if kinds:
        return SHAPES[kinds[0]].model_validate(value, context=info.context)
    common = {"id", "delay", "content", "late", "thread", "on_refused", "on_rejected", "draft_ahead"}
    strange = next((key for key in value if key not in common), None)
    if strange is None:
        raise flawed("this step does nothing", f"say what it does: {joined(SHAPES)}")
    raise Flaws([Flaw(f"unknown kind of step `{strange}`", meant(strange, SHAPES), (strange,), at_key=True)])


AnyStep = Annotated[Steps, PlainValidator(_step)]


def walk(steps: list[Steps], way: Path) -> Iterator[tuple[Steps, Path]]:
    """Yield every step with its path in the file, those of branches after their branch."""
    for place, step in enumerate(steps):
        yield step, (*way, place)
        if isinstance(step, BranchStep):
            for at, arm in enumerate(step.branch):
                yield from walk(arm.steps, (*way, place, "branch", at, arm.key))


for _shape in (ArmShape, BranchStep):
    _shape.model_rebuild()
