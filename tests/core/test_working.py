from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.calendars import day_begins
from nurture.core.windows import Window
from nurture.core.working import (
    WorkingCalendar,
    add,
    away_until,
    between,
    midnight,
    parse_working,
    say_working,
    works_at,
)

BERLIN = WorkingCalendar("Europe/Berlin")
TUESDAY_OFF = WorkingCalendar("Europe/Berlin", time_off=frozenset({date(2026, 3, 3)}))
TUESDAY_IS_A_HOLIDAY = WorkingCalendar("Europe/Berlin", holidays=frozenset({date(2026, 3, 3)}))
NIGHT = (Window(frozenset(range(7)), time(0, 0), time(8, 0)),)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "end"),
    [
        (BERLIN, "2026-03-02T09:00", 4, "2026-03-02T13:00"),
        (BERLIN, "2026-03-02T05:00", 1, "2026-03-02T09:00"),
        (BERLIN, "2026-03-02T15:00", 2, "2026-03-03T09:00"),
        (BERLIN, "2026-03-06T15:30", 1, "2026-03-09T08:30"),
        (BERLIN, "2026-03-07T12:00", 8, "2026-03-09T16:00"),
        (TUESDAY_OFF, "2026-03-02T15:00", 2, "2026-03-04T09:00"),
        (TUESDAY_IS_A_HOLIDAY, "2026-03-02T15:00", 2, "2026-03-04T09:00"),
        (WorkingCalendar("Europe/Berlin", NIGHT), "2026-03-28T23:00", 7, "2026-03-29T06:00"),
        (WorkingCalendar("Europe/Berlin", NIGHT), "2026-10-24T22:00", 9, "2026-10-25T07:00"),
    ],
    ids=["within", "before", "overnight", "weekend", "from-weekend", "time-off", "holiday", "spring", "autumn"],
)
def test_working_hours_pass_only_while_somebody_works(
    calendar: WorkingCalendar, start: str, hours: int, end: str
) -> None:
    assert add(calendar, hours * HOUR, at(start)) == at(end)
    assert between(calendar, at(start), at(end)) == hours * HOUR


def test_a_night_shift_is_an_hour_shorter_in_spring_and_longer_in_autumn() -> None:
    night = WorkingCalendar("Europe/Berlin", NIGHT)
    assert between(night, at("2026-03-28T23:00"), at("2026-03-29T12:00")) == 7 * HOUR
    assert between(night, at("2026-10-24T22:00"), at("2026-10-25T12:00")) == 9 * HOUR


def test_shifts_that_overlap_count_once() -> None:
    twice = WorkingCalendar("UTC", (Window(), Window(opens=time(12), closes=time(18))))
    assert between(twice, at("2026-03-02T00:00"), at("2026-03-03T00:00")) == 9 * HOUR


def test_a_lunch_break_does_not_count() -> None:
    parts = WorkingCalendar("UTC", (Window(closes=time(12)), Window(opens=time(13))))
    assert add(parts, 4 * HOUR, at("2026-03-02T09:00")) == at("2026-03-02T14:00")
    assert not works_at(parts, at("2026-03-02T12:30"))
    assert works_at(parts, at("2026-03-02T13:00"))


def test_who_never_works_is_never_done() -> None:
    never = WorkingCalendar("UTC", hours=())
    assert add(never, MINUTE, at("2026-03-02T09:00")) is None
    assert away_until(never, at("2026-03-02T09:00")) == date.max


@pytest.mark.parametrize(
    ("now", "off", "back"),
    [
        ("2026-03-04T10:00", [], None),
        ("2026-03-04T10:00", ["2026-03-04"], "2026-03-05"),
        ("2026-03-06T18:00", ["2026-03-09", "2026-03-10"], "2026-03-11"),
        ("2026-03-07T10:00", [], None),
        ("2026-03-04T10:00", ["2026-03-05"], None),
        ("2026-03-04T18:00", ["2026-03-04"], None),
    ],
    ids=["there", "today", "from-monday", "weekend", "tomorrow", "today-is-over"],
)
def test_who_is_off_on_their_next_day_of_work_is_away(now: str, off: list[str], back: str | None) -> None:
    calendar = WorkingCalendar("UTC", time_off=frozenset(map(date.fromisoformat, off)))
    assert away_until(calendar, at(now)) == (date.fromisoformat(back) if back else None)


def test_a_public_holiday_is_no_absence() -> None:
    calendar = WorkingCalendar("UTC", holidays=frozenset({date(2026, 3, 4)}))
    assert away_until(calendar, at("2026-03-04T10:00")) is None


def test_a_day_begins_at_their_own_midnight() -> None:
    assert midnight(WorkingCalendar("Asia/Tokyo"), at("2026-03-02T16:00")) == at("2026-03-02T15:00")


@pytest.mark.parametrize("text", ["4 working hours", "1 working hour", "30 working minutes", "90 working minutes"])
def test_working_time_is_read_as_it_is_said(text: str) -> None:
    assert say_working(parse_working(text)) == text


@pytest.mark.parametrize("text", ["4 hours", "two working hours", "", "1 working day"])
def test_other_lengths_are_no_working_time(text: str) -> None:
    with pytest.raises(ValueError, match="4 working hours"):
        parse_working(text)


# --- properties -------------------------------------------------------------------------------------------------------

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
START = datetime(2011, 12, 1, tzinfo=UTC)
moments = st.integers(0, 16 * 366 * 1440).map(lambda minutes: START + minutes * MINUTE)
hours = st.builds(
    lambda days, opens, length: Window(frozenset(days), time(opens), time(min(opens + length, 23))),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 20),
    st.integers(1, 10),
)
calendars = st.builds(
    lambda zone, first, off: WorkingCalendar(zone, tuple(first), frozenset(off)),
    st.sampled_from(ZONES),
    st.lists(hours, min_size=1, max_size=2),
    st.sets(st.dates(date(2026, 3, 20), date(2026, 4, 5)), max_size=8),
)
lengths = st.integers(1, 3000).map(lambda minutes: minutes * MINUTE)


@given(calendars, moments, lengths)
def test_adding_and_counting_agree(calendar: WorkingCalendar, start: datetime, length: timedelta) -> None:
    end = add(calendar, length, start)
    assert end is not None
    assert between(calendar, start, end) == length
    assert between(calendar, start, end - timedelta(microseconds=1)) < length


@given(calendars, moments, lengths, lengths)
def test_working_time_adds_up(calendar: WorkingCalendar, start: datetime, one: timedelta, two: timedelta) -> None:
    middle = add(calendar, one, start)
    assert middle is not None
    assert add(calendar, two, middle) == add(calendar, one + two, start)


@given(calendars)
def test_nobody_works_on_a_day_off(calendar: WorkingCalendar) -> None:
    for day in calendar.time_off:
        begins = day_begins(day, calendar.zone)
        assert between(calendar, begins, begins + 20 * HOUR) == timedelta()
