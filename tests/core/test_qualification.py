from dataclasses import replace
from datetime import timedelta

import pytest

from nurture.core.conditions import Compare, Op, evaluate, say
from nurture.core.definition import Slot, SlotSource
from nurture.core.facts import lookup
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.model import Event, Situation
from nurture.core.moves import move, review_at
from nurture.core.qualification import filled, lines
from nurture.core.receipts import receipt
from nurture.core.scoring import restand
from tests.core.scored import DAY, NOW, SCORED, business_days, days, event, situation

ASKED = SlotSource("quote_requested", value="planned", confidence=0.6)
TOLD = SlotSource("form_submitted", data="budget", where=(("form", ("pricing", "quote")),))
BUDGET = Slot("budget", "Budget", days(90), ("none", "planned", "approved"), frozenset({"none"}), (ASKED, TOLD))
NEED = Slot("need", "Need", days(180))
TIMELINE = Slot("timeline", "Timeline", business_days(10))
TWO_OF_THREE = Move("lead", "prospect", Compare("slots_filled", Op.GE, 2), "qualified", line=5)
BANT = replace(SCORED, slots=(BUDGET, NEED, TIMELINE), moves=(TWO_OF_THREE,), categories=())


def said(slot: str, value: str | None, at: timedelta = timedelta(0), **data: object) -> Event:
    told = {"slot": slot, "value": value, **data}
    return event("slot_set", NOW + at, key=f"{slot}:{value}:{at}", data=told)


def known(*events: Event, at: timedelta = timedelta(0), lifecycle: Lifecycle = BANT) -> dict[str, str]:
    return dict(filled(situation(*events), lifecycle, NOW + at))


def test_nobody_is_qualified_by_nothing() -> None:
    assert known() == {}
    assert known(event("replied"), event("slot_set")) == {}


def test_what_was_said_fills_a_slot_until_it_is_stale() -> None:
    budget = said("budget", "approved")
    assert known(budget) == {"budget": "approved"}
    assert known(budget, at=90 * DAY - timedelta(seconds=1)) == {"budget": "approved"}
    assert known(budget, at=90 * DAY) == {}


def test_freshness_may_be_counted_in_business_days() -> None:
    assert known(said("timeline", "this quarter"), at=13 * DAY) == {"timeline": "this quarter"}
    assert known(said("timeline", "this quarter"), at=14 * DAY) == {}


def test_the_latest_of_equally_sure_statements_counts() -> None:
    assert known(said("budget", "planned", -DAY), said("budget", "approved")) == {"budget": "approved"}


def test_a_guess_does_not_replace_what_somebody_knows_until_that_is_stale() -> None:
    told, guessed = said("budget", "approved", -80 * DAY), event("quote_requested", NOW)
    assert known(told, guessed) == {"budget": "approved"}
    assert known(told, guessed, at=10 * DAY) == {"budget": "planned"}
    assert known(told, guessed, at=90 * DAY) == {}


@pytest.mark.parametrize(
    ("confidence", "trust", "counts"), [(0.5, 1.0, True), (0.4, 1.0, False), (1.0, 0.4, False), ("?", 1.0, False)]
)
def test_what_is_not_sure_enough_fills_nothing(confidence: object, trust: float, counts: bool) -> None:
    stated = replace(said("need", "reports", confidence=confidence), trust=trust)
    assert bool(known(stated)) is counts


def test_taking_back_forgets_all_that_was_said_before() -> None:
    before, back = said("need", "reports", -2 * DAY), said("need", None, -DAY)
    assert known(before, back) == {}
    assert known(before, back, said("need", "speed", confidence=0.6)) == {"need": "speed"}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"form": "pricing", "budget": "Approved "}, "approved"),
        ({"form": "newsletter", "budget": "approved"}, None),
        ({"form": "pricing", "budget": "a lot"}, None),
        ({"form": "pricing"}, None),
    ],
)
def test_a_form_fills_what_the_lifecycle_says_it_does(data: dict[str, object], value: str | None) -> None:
    assert known(event("form_submitted", data=data)).get("budget") == value


def test_a_value_that_speaks_against_is_known_but_does_not_count() -> None:
    seen = restand(situation(said("budget", "none"), said("need", "reports")), BANT, NOW)
    assert lookup("slots.budget", seen, BANT) == "none"
    assert lookup("slots_filled", seen, BANT) == 1
    assert [(line.slot.name, line.fresh, line.counts) for line in lines(seen, BANT, NOW)] == [
        ("budget", True, False),
        ("need", True, True),
        ("timeline", False, False),
    ]


def test_a_line_shows_the_stale_statement_and_its_evidence() -> None:
    seen = situation(said("need", "reports", -200 * DAY, evidence="call notes"))
    line = lines(seen, BANT, NOW)[1]
    assert line.said is not None
    assert (line.fresh, line.said.value, line.said.evidence) == (False, "reports", "call notes")


# --- what conditions, moves and reviews make of it --------------------------------------------------------------------


def test_conditions_ask_for_slots_by_name_and_by_number() -> None:
    seen = restand(situation(said("budget", "approved"), said("need", "reports")), BANT, NOW)
    for asked, holds in (
        (Compare("slots.budget", Op.EQ, "approved"), True),
        (Compare("slots.budget", Op.IN, ("none", "planned")), False),
        (Compare("slots.timeline", Op.UNKNOWN), True),
        (Compare("slots_filled", Op.GE, 2), True),
        (Compare("slots_filled", Op.GE, 3), False),
    ):
        assert evaluate(asked, seen, BANT, NOW) is holds
    assert say(Compare("slots.budget", Op.KNOWN)) == "budget is known"


def moved(seen: Situation, at: timedelta = timedelta(0)) -> str | None:
    made = move(restand(seen, BANT, NOW + at), BANT, NOW + at)
    return made.to_stage if made else None


def test_k_of_n_slots_with_fresh_evidence_make_the_move() -> None:
    assert moved(situation(said("budget", "approved"))) is None
    both = situation(said("budget", "approved", -80 * DAY), said("need", "reports"))
    assert moved(both) == "prospect"
    assert moved(both, 10 * DAY) is None


def test_a_contact_is_reviewed_when_a_slot_goes_stale() -> None:
    seen = restand(situation(said("budget", "approved", -80 * DAY), said("need", "reports")), BANT, NOW)
    assert review_at(seen, BANT, NOW) == NOW + 10 * DAY
    later = restand(seen, BANT, NOW + 10 * DAY)
    assert review_at(later, BANT, NOW + 10 * DAY) == NOW + 180 * DAY
    assert review_at(restand(later, BANT, NOW + 180 * DAY), BANT, NOW + 180 * DAY) is None


def test_a_condition_that_a_stale_slot_makes_true_is_reviewed_then() -> None:
    back = Move("lead", "out", Compare("slots_filled", Op.LT, 1), "no longer qualified")
    lifecycle = replace(BANT, moves=(back,), levels=())
    seen = restand(situation(said("need", "reports")), lifecycle, NOW)
    assert review_at(seen, lifecycle, NOW) == NOW + 180 * DAY
    after = NOW + 180 * DAY
    assert move(restand(seen, lifecycle, after), lifecycle, after) is not None


def test_a_receipt_says_which_slot_would_move_them() -> None:
    told = receipt(situation(said("need", "reports")), BANT, NOW)
    changes = {change.what: change.stage for change in told.changes}
    assert changes["Budget is planned"] == "prospect"
    assert changes["Timeline is known"] == "prospect"
    assert "Budget is none" not in changes


def test_a_receipt_says_how_many_slots_it_would_take() -> None:
    told = receipt(situation(), BANT, NOW)
    assert [(change.what, change.stage) for change in told.changes if change.stage] == [
        ("Budget is approved and Need is known", "prospect")
    ]
