"""How many mails may go in a minute, an hour or a day: what a rate is, its meter, and who may go now.

A window is a whole minute, hour or day of UTC, as providers count. Whoever does not fit is promised a slot in the next
window with room, each its own place within it; the meter keeps that room free for them, so nobody who comes later
takes it, and a backlog is looked at once and not again at every claim. Meters are rows of the database (`db.quotas`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTHS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_WRITTEN = re.compile(r"\s*([1-9]\d{0,8})\s*(?:per|/|a|an)\s*(minute|hour|day)\s*", re.IGNORECASE)

SKEW = timedelta(hours=1)
"""How far behind its meter's window a clock may be before the meter is set back: the clocks of workers differ."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `most` mails in every window of the length `every`."""

    most: int
    every: timedelta

    def __str__(self) -> str:
        """Return it as a person would write it."""
        unit = next(name for name, length in _LENGTHS.items() if length == self.every)
        return f"{self.most} per {unit}"


def per_day(most: int) -> Rate:
    """Return the rate of so many mails a day (UTC)."""
    return Rate(most, _LENGTHS["day"])


def parse_rate(text: str) -> Rate:
    """Read `150 per minute`; raise ValueError with what is allowed."""
    found = _WRITTEN.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no rate: write a whole number per minute, hour or day, such as '150 per minute'")
    return Rate(int(found[1]), _LENGTHS[found[2].lower()])


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate that holds for somebody. `meter` is the name under which it is counted, `whose` is for people."""

    meter: str
    whose: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates that the settings name: of reps' mailboxes, of providers' mailboxes, and of recipients' domains.

    A sender's own rate wins over that of the reps, and that over what its provider says of its mailboxes.
    """

    reps: tuple[Rate, ...] = ()
    providers: Mapping[str, Rate] = field(default_factory=dict)
    domains: Mapping[str, Limit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Meter:
    """What was counted in one window (by number since 1970), and what is promised in it and in later ones.

    Between `window` and `last` every window is full of promises; `last` itself holds `last_promised`.
    """

    window: int = 0
    sent: int = 0
    promised: int = 0
    last: int = 0
    last_promised: int = 0


@dataclass(frozen=True, slots=True)
class Promise:
    """A slot that a message was given by a meter."""

    meter: str
    slot: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """A message does not fit: which limit it meets, and the slot it is promised."""

    limit: Limit
    promise: Promise


def claim(
    limits: Sequence[Limit], meters: Mapping[str, Meter], promise: Promise | None, now: datetime
) -> tuple[dict[str, Meter], Wait | None]:
    """Let one mail go if every limit has room for it, else promise it a slot. Return the meters that changed."""
    rolled = {limit.meter: roll(meters.get(limit.meter), limit.rate, now) for limit in limits}
    for limit in sorted(limits, key=lambda limit: limit.rate.every, reverse=True):
        meter = rolled[limit.meter]
        due = _holds(promise, limit, meter)
        if meter.sent + (0 if due else meter.promised) < limit.rate.most:
            continue
        if due:  # somebody late took its place: it is among the first of the next window
            return {}, Wait(limit, Promise(limit.meter, _begin(limit.rate, meter.window + 1)))
        later, slot = _promise(meter, limit.rate)
        return {limit.meter: later}, Wait(limit, Promise(limit.meter, slot))
    return {limit.meter: _count(rolled[limit.meter], limit, promise) for limit in limits}, None


def roll(meter: Meter | None, rate: Rate, now: datetime) -> Meter:
    """Return a meter as it stands at `now`.

    A clock that is behind by no more than SKEW counts in the meter's own window. One that is further behind sets it
    back with its count: a clock that once ran ahead keeps nobody waiting for ever, and gives nobody a second window.
    """
    window = (now - _EPOCH) // rate.every
    if meter is None:
        return Meter(window, last=window)
    if window == meter.window:
        return meter
    if window < meter.window:
        near = (meter.window - window) * rate.every <= max(rate.every, SKEW)
        return meter if near else Meter(window, meter.sent, last=window)
    if window > meter.last:
        return Meter(window, last=window)
    return replace(meter, window=window, sent=0, promised=rate.most if window < meter.last else meter.last_promised)


def limits(own: Iterable[Rate], name: str, key: object) -> tuple[Limit, ...]:
    """Return the limits of one sender from its rates; `key` tells its meters from those of others."""
    return tuple(Limit(f"sender:{key}:{int(rate.every.total_seconds())}", f"sender {name}", rate) for rate in own)


def _holds(promise: Promise | None, limit: Limit, meter: Meter) -> bool:
    """Say whether a message was promised a slot in this window, or in the one before it and came late."""
    if promise is None or promise.meter != limit.meter:
        return False
    return meter.window - (promise.slot - _EPOCH) // limit.rate.every in (0, 1)


def _count(meter: Meter, limit: Limit, promise: Promise | None) -> Meter:
    kept = promise is not None and promise.meter == limit.meter
    mine = kept and promise is not None and (promise.slot - _EPOCH) // limit.rate.every == meter.window
    return replace(meter, sent=meter.sent + 1, promised=max(0, meter.promised - mine))


def _promise(meter: Meter, rate: Rate) -> tuple[Meter, datetime]:
    """Give the next slot: after the last promise, never in the window that runs."""
    window, place = (meter.last, meter.last_promised) if meter.last > meter.window else (meter.window + 1, 0)
    if place >= rate.most:
        window, place = window + 1, 0
    return replace(meter, last=window, last_promised=place + 1), _begin(rate, window) + rate.every * place / rate.most


def _begin(rate: Rate, window: int) -> datetime:
    return _EPOCH + rate.every * window
