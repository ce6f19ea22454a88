from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.comparing import Op, comparison
from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, evaluate
from nurture.core.facts import FIELDS
from nurture.core.model import Event, Value
from nurture.core.scoring import restand
from nurture.core.spans import Span, Unit
from tests.core import plainly
from tests.core.scored import ACME, DAY, NOW, SCORED, person, situation
from tests.core.test_scoring import events

TEXTS = st.sampled_from(["", "1", "a", "A", "ab", "Chief Officer", "chief", "software", "lead", "SQL", "B", "XX"])
NUMBERS = st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from([50, 4000, 65.0])
VALUES = cast("st.SearchStrategy[Value]", st.none() | TEXTS | NUMBERS | st.lists(TEXTS, max_size=3).map(tuple))
RIGHT = cast("st.SearchStrategy[Value]", VALUES | st.lists(TEXTS | NUMBERS, max_size=4).map(tuple))


@given(st.sampled_from(Op), VALUES, RIGHT)
def test_a_comparison_made_once_answers_as_plainly_compared(op: Op, left: Value, right: Value) -> None:
    assert comparison(op, right)(left) is plainly.OPERATORS[op](left, right)


FIELD = st.sampled_from([*FIELDS, "fields.x", "account.fields.y", "nothing.there"])
SPANS = st.builds(Span, st.integers(0, 60), st.sampled_from([Unit.HOURS, Unit.DAYS, Unit.BUSINESS_DAYS]))
KINDS = st.sampled_from(["content_downloaded", "page_viewed", "demo_requested"])
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(
        st.builds(Compare, FIELD, st.sampled_from(Op), RIGHT),
        st.builds(Did, KINDS, st.none() | SPANS, st.integers(0, 3)),
        st.builds(Idle, SPANS),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(CONDITIONS, events(), st.fixed_dictionaries({"x": VALUES}), st.booleans(), st.integers(0, 90))
def test_the_tests_of_a_condition_answer_as_plainly_walked(
    condition: Condition, happened: tuple[Event, ...], fields: dict[str, object], employed: bool, later: int
) -> None:
    someone = person(fields=fields, account=ACME if employed else None, since=NOW - 20 * DAY)
    at = NOW + timedelta(days=later)
    seen = restand(situation(*happened, contact=someone), SCORED, at)
    assert evaluate(condition, seen, SCORED, at) is plainly.evaluate(condition, seen, SCORED, at)


@pytest.mark.parametrize(
    ("text", "part", "answer"),
    [
        ("ΟΔΟΣ", "οδος", True),
        ("οδός", "ΔΌΣ", True),
        ("İstanbul", "istanbul", True),
        ("Größe", "GRÖß", True),
        ("Straße", "strasse", False),
        ("ПРИВЕТ", "привет", True),
        ("K", "k", True),
    ],
)
def test_contains_folds_every_letter_for_itself(text: str, part: str, answer: bool) -> None:
    assert comparison(Op.CONTAINS, part)(text) is answer
