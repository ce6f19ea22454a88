from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from nurture.core.calendars import add
from nurture.core.lookback import Stretch, cut, stretches
from nurture.core.spans import Span, Unit

MONDAY = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu", "America/Sao_Paulo")
TICK = timedelta(microseconds=1)
DAY = 24 * 3600 * 10**6
MOMENTS = st.integers(-3000 * DAY, 300 * DAY).map(lambda ticks: MONDAY + timedelta(microseconds=ticks))

business = st.builds(Span, st.integers(0, 30), st.just(Unit.BUSINESS_DAYS))
elapsed = st.builds(Span, st.integers(0, 2000), st.sampled_from([Unit.MINUTES, Unit.HOURS, Unit.DAYS, Unit.WEEKS]))


def within(found: tuple[Stretch, ...], at: datetime) -> bool:
    return any((begin is None or begin <= at) and (end is None or at < end) for begin, end in found)


def test_a_weekend_makes_several_stretches() -> None:
    found = stretches(Span(1, Unit.BUSINESS_DAYS), "UTC", MONDAY)
    evenings = [(datetime(2026, 2, day, 10, 0, 0, 1, UTC), datetime(2026, 2, day + 1, tzinfo=UTC)) for day in (27,)]
    assert within(found, evenings[0][0])
    assert not within(found, datetime(2026, 2, 28, 10, 0, tzinfo=UTC))
    assert within(found, datetime(2026, 2, 28, 10, 0, 0, 1, UTC))
    assert not within(found, datetime(2026, 3, 1, 9, 0, tzinfo=UTC))
    assert found[0][1] is None


def test_a_span_longer_than_time_itself_looks_back_for_ever() -> None:
    assert cut(Span(10**9 - 1, Unit.DAYS), MONDAY) is None
    assert stretches(Span(10**9 - 1, Unit.DAYS), "UTC", MONDAY) == ((None, None),)


@given(
    st.one_of(business, elapsed),
    st.sampled_from(ZONES),
    MOMENTS,
    st.integers(0, 60 * DAY),
)
@example(Span(3, Unit.BUSINESS_DAYS), "Europe/Berlin", datetime(2026, 3, 31, 8, 0, tzinfo=UTC), 5 * DAY)
@example(
    Span(1, Unit.BUSINESS_DAYS), "America/Sao_Paulo", datetime(2018, 2, 19, 2, 30, tzinfo=UTC), 2 * 24 * 3600 * 10**6
)
def test_stretches_say_what_the_calendar_says(span: Span, zone: str, now: datetime, back: int) -> None:
    found = stretches(span, zone, now)
    edges = [edge for stretch in found for edge in stretch if edge is not None]
    for at in (now - timedelta(microseconds=back), now + TICK, now, *edges, *(edge - TICK for edge in edges)):
        assert within(found, at) is (add(span, at, zone) > now), at
