from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nurture.core.calendars import (
    add,
    closes_at,
    due,
    is_open,
    is_zone,
    jitter,
    local_day,
    next_open,
    openings,
    resolve_zone,
    subtract,
)
from nurture.core.countries import ZONES, zone_of
from nurture.core.model import Account, AccountId, Company
from nurture.core.spans import Span, Unit, parse_span
from nurture.core.windows import ALWAYS_OPEN, Delay, Window
from tests.core.running import NOW, contact

BERLIN, LORD_HOWE, APIA, NEW_YORK = "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/New_York"
OFFICE = Window(spread=0)
EVERY_DAY = frozenset(range(7))


def local(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def moments(first_year: int) -> st.SearchStrategy[datetime]:
    """Return moments from December of that year to 2030."""
    first = datetime(first_year, 12, 1, tzinfo=UTC)
    minutes = int((datetime(2030, 1, 1, tzinfo=UTC) - first).total_seconds()) // 60
    return st.integers(0, minutes).map(lambda minute: first + timedelta(minutes=minute))


# --- lengths of time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "base", "expected"),
    [
        ("1 business day", "2026-03-02T10:00", "2026-03-03T10:00"),
        ("1 business day", "2026-03-06T10:00", "2026-03-09T10:00"),
        ("1 business day", "2026-03-07T10:00", "2026-03-09T10:00"),
        ("5 business days", "2026-03-04T10:00", "2026-03-11T10:00"),
        ("0 business days", "2026-03-07T10:00", "2026-03-07T10:00"),
        ("1 business day", "2026-03-27T10:00", "2026-03-30T10:00"),
        ("1 day", "2026-03-28T10:00", "2026-03-29T11:00"),
        ("90 minutes", "2026-03-29T01:30", "2026-03-29T04:00"),
    ],
)
def test_business_days_keep_the_local_time_and_other_spans_elapse(span: str, base: str, expected: str) -> None:
    assert add(parse_span(span), local(BERLIN, base), BERLIN) == local(BERLIN, expected)


def test_business_days_skip_holidays() -> None:
    good_friday, easter_monday = date(2026, 4, 3), date(2026, 4, 6)
    thursday = local(BERLIN, "2026-04-02T10:00")
    assert add(parse_span("1 business day"), thursday, BERLIN, frozenset({good_friday, easter_monday})) == local(
        BERLIN, "2026-04-07T10:00"
    )


def test_a_business_day_that_a_country_skipped_does_not_count() -> None:
    thursday = local(APIA, "2011-12-29T10:00")
    assert add(parse_span("1 business day"), thursday, APIA) == local(APIA, "2012-01-02T10:00")


@settings(deadline=None)
@given(
    st.integers(0, 30),
    moments(2020),
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC"]),
)
def test_a_business_day_forward_and_back_is_the_same_day(amount: int, base: datetime, zone: str) -> None:
    assume(base.astimezone(ZoneInfo(zone)).weekday() < 5)
    span = Span(amount, Unit.BUSINESS_DAYS)
    there = add(span, base, zone)
    assert there >= base
    back = subtract(span, there, zone)
    assert back.astimezone(ZoneInfo(zone)).date() == base.astimezone(ZoneInfo(zone)).date()


def test_a_span_goes_back_as_it_goes_forward() -> None:
    assert subtract(parse_span("1 business day"), local(BERLIN, "2026-03-30T10:00"), BERLIN) == local(
        BERLIN, "2026-03-27T10:00"
    )
    assert subtract(parse_span("2 hours"), NOW, BERLIN) == NOW - timedelta(hours=2)


# --- delays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delay", "base", "expected"),
    [
        (Delay(), "2026-03-02T15:00", "2026-03-02T15:00"),
        (Delay(parse_span("1 day"), time(9)), "2026-03-02T15:00", "2026-03-03T09:00"),
        (Delay(parse_span("1 day"), time(9)), "2026-03-02T08:00", "2026-03-03T09:00"),
        (Delay(parse_span("1 week"), time(9)), "2026-03-02T15:00", "2026-03-09T09:00"),
        (Delay(parse_span("2 business days"), time(9)), "2026-03-06T15:00", "2026-03-10T09:00"),
        (Delay(parse_span("2 hours"), time(9)), "2026-03-02T08:00", "2026-03-03T09:00"),
        (Delay(None, time(9)), "2026-03-02T08:00", "2026-03-02T09:00"),
        (Delay(None, time(9)), "2026-03-02T09:01", "2026-03-03T09:00"),
        (Delay(None, time(9), 1), "2026-03-02T08:00", "2026-03-03T09:00"),
        (Delay(None, time(9), 0), "2026-03-02T08:00", "2026-03-02T09:00"),
        (Delay(None, time(9), 0), "2026-03-02T10:00", "2026-03-09T09:00"),
        (Delay(None, None, 1), "2026-03-02T10:00", "2026-03-03T10:00"),
        (Delay(None, None, 0), "2026-03-02T10:00", "2026-03-02T10:00"),
        (Delay(parse_span("1 week"), time(9), 1), "2026-03-02T10:00", "2026-03-10T09:00"),
    ],
)
def test_delays_are_calendar_days_at_a_local_time(delay: Delay, base: str, expected: str) -> None:
    assert due(delay, local(BERLIN, base), BERLIN) == local(BERLIN, expected)


@pytest.mark.parametrize(
    ("zone", "wall", "base", "expected"),
    [
        # gaps: the missing time moves forward, to the first moment after the gap
        (BERLIN, time(2, 30), "2026-03-28T12:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (BERLIN, time(2, 0), "2026-03-28T12:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (BERLIN, time(3, 0), "2026-03-28T12:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (LORD_HOWE, time(2, 15), "2026-10-03T12:00", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        # overlaps: the repeated time is the first of the two
        (BERLIN, time(2, 30), "2026-10-24T12:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (LORD_HOWE, time(1, 45), "2026-04-04T12:00", datetime(2026, 4, 4, 14, 45, tzinfo=UTC)),
        # a day that never was
        (APIA, time(9, 0), "2011-12-29T12:00", datetime(2011, 12, 30, 19, 0, tzinfo=UTC)),
    ],
)
def test_local_times_at_clock_changes(zone: str, wall: time, base: str, expected: datetime) -> None:
    assert due(Delay(None, wall), local(zone, base), zone) == expected


def test_a_repeated_local_time_comes_once() -> None:
    first = due(Delay(None, time(2, 30)), local(BERLIN, "2026-10-24T12:00"), BERLIN)
    again = due(Delay(None, time(2, 30)), first + timedelta(minutes=1), BERLIN)
    assert again == local(BERLIN, "2026-10-26T02:30")


def test_a_weekday_in_the_second_of_two_hours_is_reached() -> None:
    second = local(BERLIN, "2026-10-25T02:30", fold=1)
    assert due(Delay(None, None, 6), second, BERLIN) == second


def test_a_weekday_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="0 \\(Monday\\) to 6"):
        due(Delay(None, time(9), 7), NOW, "UTC")


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-02T08:59", "2026-03-02T09:00"),
        ("2026-03-02T09:00", "2026-03-02T09:00"),
        ("2026-03-02T16:59", "2026-03-02T16:59"),
        ("2026-03-02T17:00", "2026-03-03T09:00"),
        ("2026-03-06T17:00", "2026-03-09T09:00"),
        ("2026-03-28T12:00", "2026-03-30T09:00"),
    ],
)
def test_the_next_slot_is_in_office_hours_where_the_contact_is(at: str, expected: str) -> None:
    assert next_open(OFFICE, local(BERLIN, at), BERLIN, "seed") == local(BERLIN, expected)


def test_windows_are_closed_on_holidays() -> None:
    monday = frozenset({date(2026, 3, 2)})
    at = local(BERLIN, "2026-03-02T10:00")
    assert not is_open(OFFICE, at, BERLIN, monday)
    assert next_open(OFFICE, at, BERLIN, "seed", monday) == local(BERLIN, "2026-03-03T09:00")
    assert closes_at(OFFICE, at, BERLIN, monday) == at


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    friday_night = Window(frozenset({4}), time(22), time(2), 0)
    assert is_open(friday_night, local(BERLIN, "2026-03-07T01:59"), BERLIN)
    assert not is_open(friday_night, local(BERLIN, "2026-03-07T02:00"), BERLIN)
    assert not is_open(friday_night, local(BERLIN, "2026-03-07T22:30"), BERLIN)
    assert next_open(friday_night, local(BERLIN, "2026-03-07T02:00"), BERLIN, "x") == local(BERLIN, "2026-03-13T22:00")


def test_a_window_says_when_it_closes() -> None:
    assert closes_at(OFFICE, local(BERLIN, "2026-03-02T10:00"), BERLIN) == local(BERLIN, "2026-03-02T17:00")
    closed = local(BERLIN, "2026-03-02T18:00")
    assert closes_at(OFFICE, closed, BERLIN) == closed
    assert closes_at(ALWAYS_OPEN, NOW, BERLIN) is None


def test_a_window_that_opens_in_a_gap_opens_after_it() -> None:
    early = Window(EVERY_DAY, time(2, 15), time(4), 0)
    assert next_open(early, local(BERLIN, "2026-03-28T12:00"), BERLIN, "x") == local(BERLIN, "2026-03-29T03:00")


def test_a_window_within_a_gap_stays_closed_that_day() -> None:
    gone = Window(EVERY_DAY, time(2, 15), time(2, 45), 0)
    assert next_open(gone, local(BERLIN, "2026-03-28T12:00"), BERLIN, "x") == local(BERLIN, "2026-03-30T02:15")


def test_a_window_skips_a_day_that_never_was() -> None:
    fridays = Window(frozenset({4}), time(9), time(17), 0)
    assert next_open(fridays, local(APIA, "2011-12-29T12:00"), APIA, "x") == local(APIA, "2012-01-06T09:00")


def test_a_window_is_closed_while_the_repeated_clock_is_before_its_opening() -> None:
    early = Window(EVERY_DAY, time(2, 30), time(5), 0)
    assert is_open(early, local(BERLIN, "2026-10-25T02:45"), BERLIN)
    hole = local(BERLIN, "2026-10-25T02:10", fold=1)
    assert not is_open(early, hole, BERLIN)
    assert next_open(early, hole, BERLIN, "x") == local(BERLIN, "2026-10-25T02:30", fold=1)
    assert closes_at(early, local(BERLIN, "2026-10-25T02:45"), BERLIN) == datetime(2026, 10, 25, 1, 0, tzinfo=UTC)


def test_a_window_that_closes_in_a_repeated_hour_closes_once() -> None:
    night = Window(EVERY_DAY, time(1), time(2, 30), 0)
    assert not is_open(night, local(BERLIN, "2026-10-25T02:10", fold=1), BERLIN)


def test_a_window_that_never_opens_is_an_error() -> None:
    with pytest.raises(ValueError, match="never opens"):
        next_open(Window(frozenset()), NOW, "UTC", "x")


WINDOWS = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.integers(0, 240),
)
PLACES = st.sampled_from([BERLIN, LORD_HOWE, APIA, NEW_YORK, "America/Sao_Paulo", "Asia/Kolkata", "UTC"])


def _plain_slot(window: Window, at: datetime, zone: str, seed: str) -> datetime:
    """Ask one day after the other for everybody's share of its spread."""
    days = (local_day(at, zone) + timedelta(days=number) for number in range(-1, 400))
    for start, end in (opening for day in days for opening in openings(window, day, zone)):
        slot = max(at, start + jitter(seed, min(timedelta(minutes=window.spread), end - start)))
        if slot < end:
            return slot
    raise AssertionError("it never opens")


@settings(deadline=None)
@given(WINDOWS, moments(2011), PLACES, st.text(max_size=5))
def test_a_slot_is_never_early_and_always_in_the_window(window: Window, at: datetime, zone: str, seed: str) -> None:
    slot = next_open(window, at, zone, seed)
    assert slot >= at
    assert is_open(window, slot, zone)
    assert next_open(window, slot, zone, seed) == slot
    assert slot == _plain_slot(window, at, zone, seed)
    closing = closes_at(window, slot, zone)
    assert closing is None or closing > slot


@settings(deadline=None)
@given(st.times().map(lambda t: t.replace(second=0, microsecond=0)), moments(2011), PLACES, st.text(max_size=5))
def test_a_window_that_never_closes_is_open_at_every_moment(turn: time, at: datetime, zone: str, seed: str) -> None:
    never_closed = Window(frozenset(range(7)), turn, turn, 0)
    assert is_open(never_closed, at, zone)
    assert next_open(never_closed, at, zone, seed) == at


@settings(deadline=None)
@given(WINDOWS, moments(2011), PLACES)
def test_an_open_window_shows_open_hours_on_the_local_clock(window: Window, at: datetime, zone: str) -> None:
    clock = at.astimezone(ZoneInfo(zone))
    wall = clock.time()
    if not is_open(window, at, zone):
        return
    if window.opens < window.closes:
        assert window.opens <= wall < window.closes
        assert clock.weekday() in window.days
    elif window.opens > window.closes:
        assert wall >= window.opens or wall < window.closes


@settings(deadline=None)
@given(st.dates(date(2026, 1, 1), date(2026, 12, 31)), PLACES)
def test_outside_clock_changes_a_day_is_open_by_the_clock(day: date, zone: str) -> None:
    noon = datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)
    assert is_open(OFFICE, noon, zone) == (day.weekday() < 5)


# --- spreading --------------------------------------------------------------------------------------------------------


def test_an_opening_is_spread_over_its_minutes() -> None:
    window = replace(OFFICE, spread=30)
    opening = local(BERLIN, "2026-03-02T09:00")
    slots = [next_open(window, opening - timedelta(hours=8), BERLIN, f"enrollment:{n}") for n in range(600)]
    assert min(slots) >= opening
    assert max(slots) < opening + timedelta(minutes=30)
    by_minute = [sum(1 for slot in slots if slot < opening + timedelta(minutes=m)) for m in (10, 20, 30)]
    assert by_minute[0] > 150
    assert by_minute[1] - by_minute[0] > 150
    assert by_minute[2] - by_minute[1] > 150


def test_mail_due_exactly_at_the_opening_is_spread_too() -> None:
    window = replace(OFFICE, spread=30)
    opening = local(BERLIN, "2026-03-02T09:00")
    assert len({next_open(window, opening, BERLIN, f"enrollment:{n}") for n in range(50)}) > 40


def test_mail_due_later_in_the_day_goes_when_it_is_due() -> None:
    noon = local(BERLIN, "2026-03-02T12:00")
    assert next_open(replace(OFFICE, spread=30), noon, BERLIN, "enrollment:1") == noon


@settings(deadline=None)
@given(st.text(max_size=20), st.integers(0, 10_000))
def test_jitter_is_within_its_bounds_and_the_same_again(seed: str, seconds: int) -> None:
    length = jitter(seed, timedelta(seconds=seconds))
    assert length == jitter(seed, timedelta(seconds=seconds))
    assert timedelta() <= length < timedelta(seconds=max(seconds, 1))


# --- zones ------------------------------------------------------------------------------------------------------------

US = Account(AccountId(1), country="US")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"time_zone": "Asia/Tokyo", "country": "DE"}, ("Asia/Tokyo", "contact")),
        ({"country": "Germany", "account": US}, ("Europe/Berlin", "country")),
        ({"country": " de ", "account": US}, ("Europe/Berlin", "country")),
        ({"account": US}, ("America/New_York", "account")),
        ({"account": replace(US, time_zone="America/Denver")}, ("America/Denver", "account")),
        ({"time_zone": "Mars/Base", "country": "Atlantis"}, ("Europe/Vienna", "company")),
        ({}, ("Europe/Vienna", "company")),
    ],
)
def test_the_nearest_known_zone_counts(values: dict[str, object], expected: tuple[str, str]) -> None:
    assert resolve_zone(contact(**values), Company("Acme", "", time_zone="Europe/Vienna")) == expected


def test_a_company_without_a_real_zone_lives_in_utc() -> None:
    assert resolve_zone(contact(), Company("Acme", "", time_zone="Nowhere")) == ("UTC", "company")


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "Europe", "/etc/passwd", "a\x00b", "x" * 5000])
def test_what_is_no_zone_is_passed_over(name: str) -> None:
    assert not is_zone(name)


def test_every_country_has_a_real_zone() -> None:
    assert [zone for zone in ZONES.values() if not is_zone(zone)] == []


@pytest.mark.parametrize("country", ["US", "usa", "United States", "united states of america"])
def test_countries_are_found_by_code_and_name(country: str) -> None:
    assert zone_of(country) == "America/New_York"


@pytest.mark.parametrize("country", [None, "", "Atlantis"])
def test_unknown_countries_have_no_zone(country: str | None) -> None:
    assert zone_of(country) is None
