"""The shapes of time in a sequence: delays, waits, windows, lateness."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo

from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.shapes import Clock, Elapsed, Length, Shape, shown, weekday
from nurture.core.sequence import LatePolicy
from nurture.core.spans import Span
from nurture.core.windows import ALWAYS_OPEN, Delay, Window

Weekday = Annotated[int, BeforeValidator(weekday)]


class DelayShape(Shape):
    """A delay: a length of time, then the next such weekday, then a time of day."""

    length: Length | None = Field(default=None, alias="for")
    weekday: Weekday | None = None
    at: Clock | None = None


class WaitShape(Shape):
    """A wait, written as a delay; `until` is the weekday."""

    length: Length | None = Field(default=None, alias="for")
    until: Weekday | None = None
    at: Clock | None = None


def _delay(value: object, info: ValidationInfo) -> Delay:
    if isinstance(value, dict):
        shape = DelayShape.model_validate(value, context=info.context)
        return Delay(shape.length, shape.at, shape.weekday)
    return Delay(_length(value))


def _wait(value: object, info: ValidationInfo) -> Delay:
    if isinstance(value, dict):
        shape = WaitShape.model_validate(value, context=info.context)
        delay = Delay(shape.length, shape.at, shape.until)
    else:
        delay = Delay(_length(value))
    if delay == Delay():
        raise flawed("a wait needs an end", "write for example: 3 days, or {until: tuesday, at: '09:00'}")
    return delay


class _LengthOnly(Shape):
    length: Length


def _length(value: object) -> Span:
    return _LengthOnly.model_validate({"length": value}).length


# --- windows ----------------------------------------------------------------------------------------------------------


def _days(value: object) -> frozenset[int]:
    if isinstance(value, list):
        return frozenset(_each_day(value))
    text = str(value).lower().strip()
    if text in ("always", "all", "every day"):
        return frozenset(range(7))
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        return frozenset(weekday(part.strip()) for part in text.split(","))
    start, end = weekday(first), weekday(last)
    return frozenset((start + step) % 7 for step in range((end - start) % 7 + 1))


def _each_day(values: list[Any]) -> list[int]:
    if not values:
        raise flawed("a window without days can never open", "write for example: mon-fri")
    days, flaws = [], []
    for place, value in enumerate(values):
        try:
            days.append(weekday(value))
        except Flaws as found:
            flaws += [Flaw(flaw.what, flaw.hint, (place,)) for flaw in found.flaws]
    if flaws:
        raise Flaws(flaws)
    return days


def _hours(value: object) -> tuple[time, time]:
    first, dash, last = (part.strip() for part in str(value).replace("–", "-").partition("-"))
    if not isinstance(value, str) or not dash:
        raise flawed(f"{shown(value)} are no hours", 'write for example "09:00-17:00"')
    opens, closes = _moment(first), _moment("00:00" if last == "24:00" else last)
    if closes <= opens and not (last in ("24:00", "00:00") and closes == time(0, 0)):
        raise flawed(f"a window of {value} can never open", "it closes before it opens: write the earlier hour first")
    return opens, closes


class _ClockOnly(Shape):
    clock: Clock


def _moment(text: str) -> time:
    return _ClockOnly.model_validate({"clock": text}).clock


class WindowShape(Shape):
    """A window; what is left out is as in the usual one (weekdays, 09:00-17:00, spread over 30 minutes)."""

    days: Annotated[frozenset[int], PlainValidator(_days)] = frozenset({0, 1, 2, 3, 4})
    hours: Annotated[tuple[time, time], PlainValidator(_hours)] = (time(9), time(17))
    spread: Elapsed | None = None


def _window(value: object, info: ValidationInfo) -> Window:
    if value == "always":
        return ALWAYS_OPEN
    if not isinstance(value, dict):
        raise flawed(f"{shown(value)} is no window", "write always, or {days: mon-fri, hours: '09:00-17:00'}")
    shape = WindowShape.model_validate(value, context=info.context)
    opens, closes = shape.hours
    spread = _minutes(shape.spread) if shape.spread else 30
    if spread >= _open_minutes(opens, closes):
        what = f"mail is spread over {spread} minutes, but the window is open for {_open_minutes(opens, closes)}"
        raise Flaws([Flaw(what, "spread it over less", ("spread",) if shape.spread else ("hours",))])
    return Window(shape.days, opens, closes, spread)


def _minutes(span: Span) -> int:
    return int((span.elapsed or span.at_most).total_seconds() // 60)


def _open_minutes(opens: time, closes: time) -> int:
    minutes = (closes.hour - opens.hour) * 60 + closes.minute - opens.minute
    return minutes if minutes > 0 else minutes + 24 * 60


# --- lateness ---------------------------------------------------------------------------------------------------------


def _late(value: object, info: ValidationInfo) -> tuple[LatePolicy, Span | None]:
    policies = list(LatePolicy)
    word, length = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (value, None)
    if word not in policies:
        raise flawed(f"unknown late policy {shown(word)}", meant(str(word), policies))
    policy = LatePolicy(str(word))
    if policy is LatePolicy.EXPIRE and length is None:
        raise flawed("`expire` needs a time", "write for example {expire: 2 days}")
    return policy, None if length is None else _length(length)


DelayField = Annotated[Delay, PlainValidator(_delay)]
WaitField = Annotated[Delay, PlainValidator(_wait)]
WindowField = Annotated[Window, PlainValidator(_window)]
LateField = Annotated[tuple[LatePolicy, Span | None], PlainValidator(_late)]
