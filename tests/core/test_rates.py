"""Rates: what fits goes, what does not is promised a slot of its own, and no window ever carries more than its rate."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.rates import Limit, Meter, Promise, Rate, claim, limits, parse_rate, per_day, roll

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TEN = Limit("sender:1:60", "sender news", Rate(10, MINUTE))
THREE_A_DAY = Limit("sender:1:86400", "sender news", per_day(3))
GMAIL = Limit("domain:gmail.com:60", "gmail.com", Rate(2, MINUTE))


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("150 per minute", Rate(150, MINUTE)),
        ("30/minute", Rate(30, MINUTE)),
        (" 20 per Hour ", Rate(20, timedelta(hours=1))),
        ("500 a day", Rate(500, timedelta(days=1))),
    ],
)
def test_a_rate_is_read_as_it_is_written(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["", "0 per minute", "2 per second", "many per day", "-3 per hour", "1.5 per minute"])
def test_what_is_no_rate_says_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate: write a whole number per minute, hour or day"):
        parse_rate(text)


def test_who_does_not_fit_is_promised_a_slot_of_their_own_in_the_next_windows() -> None:
    meters, slots = _ask(25, [TEN], {}, NOON)
    assert slots[:10] == [None] * 10
    promised = [slot for slot in slots if slot]
    assert promised == sorted(set(promised))
    assert Counter((slot - NOON) // MINUTE for slot in promised) == {1: 10, 2: 5}
    assert promised[0] == NOON + MINUTE
    assert promised[1] == NOON + MINUTE + timedelta(seconds=6)
    assert meters[TEN.meter].sent == 10


def test_who_comes_later_takes_no_promised_place() -> None:
    meters, slots = _ask(18, [TEN], {}, NOON)
    held = [slot for slot in slots if slot]
    meters, fresh = _ask(5, [TEN], meters, NOON + MINUTE)
    assert fresh[:2] == [None, None]
    assert all(slot and slot >= NOON + 2 * MINUTE for slot in fresh[2:])
    for slot in held:
        changed, wait = claim([TEN], meters, Promise(TEN.meter, slot), NOON + MINUTE + timedelta(seconds=50))
        assert wait is None
        meters |= changed
    assert meters[TEN.meter].sent == 10


def test_one_who_comes_late_goes_first_and_whoever_is_displaced_goes_in_the_next_window() -> None:
    meters, slots = _ask(30, [TEN], {}, NOON)
    at = NOON + 2 * MINUTE
    late, punctual = slots[10:20], slots[20:30]
    for slot in late:
        assert slot is not None
        changed, wait = claim([TEN], meters, Promise(TEN.meter, slot), at)
        assert wait is None
        meters |= changed
    assert punctual[0] is not None
    changed, wait = claim([TEN], meters, Promise(TEN.meter, punctual[0]), at)
    assert changed == {}
    assert wait is not None
    assert wait.promise.slot == NOON + 3 * MINUTE
    assert claim([TEN], meters, wait.promise, NOON + 3 * MINUTE)[1] is None


def test_every_limit_must_have_room_and_the_longest_is_asked_first() -> None:
    meters, slots = _ask(5, [TEN, THREE_A_DAY], {}, NOON)
    assert slots[:3] == [None] * 3
    assert slots[3] == datetime(2026, 3, 3, tzinfo=UTC)
    assert meters[TEN.meter].sent == 3, "whoever the day has no room for takes none of the minute"
    changed, wait = claim([TEN, GMAIL], {GMAIL.meter: Meter(_number(NOON), 2, last=_number(NOON))}, None, NOON)
    assert wait is not None
    assert wait.limit == GMAIL
    assert set(changed) == {GMAIL.meter}


@pytest.mark.parametrize(
    ("ahead", "goes"),
    [(timedelta(minutes=1), False), (timedelta(minutes=59), False), (timedelta(days=1), False), (-MINUTE, True)],
)
def test_a_clock_that_goes_back_gives_no_second_window(ahead: timedelta, goes: bool) -> None:
    meters, _ = _ask(10, [TEN], {}, NOON + ahead)
    assert (claim([TEN], meters, None, NOON)[1] is None) is goes


def test_a_clock_that_once_ran_ahead_keeps_nobody_waiting_for_more_than_an_hour() -> None:
    for ahead in (timedelta(minutes=50), timedelta(days=1), timedelta(days=366)):
        meters, _ = _ask(40, [TEN], {}, NOON + ahead)
        _, slots = _ask(20, [TEN], meters, NOON)
        assert max(slot for slot in slots if slot) <= NOON + timedelta(hours=1)


def test_limits_of_one_sender_have_meters_of_their_own() -> None:
    both = limits([Rate(10, MINUTE), per_day(3)], "news", 1)
    assert [limit.meter for limit in both] == [TEN.meter, THREE_A_DAY.meter]
    assert {limit.whose for limit in both} == {"sender news"}


@given(
    most=st.integers(1, 7),
    steps=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 12)), min_size=1, max_size=25),
)
def test_no_window_carries_more_than_its_rate_and_everybody_goes_in_the_end(
    most: int, steps: list[tuple[int, int]]
) -> None:
    """Some are looked at late, as by a slow process or a cron job; each asks again when its slot has come."""
    limit = Limit("m", "m", Rate(most, MINUTE))
    meters: dict[str, Meter] = {}
    waiting: list[datetime] = []
    sent: Counter[int] = Counter()
    now, left = NOON, 0
    for seconds, arriving in [*steps, *[(60, 0)] * 400]:
        now += timedelta(seconds=seconds)
        due = sorted(slot for slot in waiting if slot <= now)
        waiting = [slot for slot in waiting if slot > now]
        for promise in [*(Promise("m", slot) for slot in due), *[None] * arriving]:
            changed, wait = claim([limit], meters, promise, now)
            meters |= changed
            if wait is None:
                sent[_number(now)] += 1
            else:
                assert wait.promise.slot > now
                waiting.append(wait.promise.slot)
        left = len(waiting)
        if not left and not arriving and now - NOON > timedelta(hours=2):
            break
    assert max(sent.values(), default=0) <= most
    assert left == 0
    assert sum(sent.values()) == sum(arriving for _, arriving in steps)


def test_windows_between_are_full_of_promises() -> None:
    meter = Meter(_number(NOON), 10, last=_number(NOON) + 3, last_promised=4)
    assert roll(meter, TEN.rate, NOON + 2 * MINUTE).promised == 10
    assert roll(meter, TEN.rate, NOON + 3 * MINUTE).promised == 4
    assert roll(meter, TEN.rate, NOON + 4 * MINUTE).promised == 0


def _ask(
    count: int, of: list[Limit], meters: dict[str, Meter], now: datetime
) -> tuple[dict[str, Meter], list[datetime | None]]:
    slots: list[datetime | None] = []
    meters = dict(meters)
    for _ in range(count):
        changed, wait = claim(of, meters, None, now)
        meters |= changed
        slots.append(wait.promise.slot if wait else None)
    return meters, slots


def _number(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // MINUTE
