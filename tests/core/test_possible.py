from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op, evaluate
from nurture.core.definition import Slot, Stage
from nurture.core.lifecycle import Move
from nurture.core.lint import lint
from nurture.core.model import Standing
from nurture.core.possible import never_held, possible
from nurture.core.program import Program
from nurture.core.sequence import Arm, Audience, Sequence, Step
from nurture.core.words import Role, Team, Voice
from tests.core.scored import NOW, SCORED, at_least, business_days, days, is_, situation

BELOW_20 = Compare("engagement", Op.LT, 20)


@pytest.mark.parametrize(
    ("parts", "can"),
    [
        ([at_least("engagement", 20), BELOW_20], False),
        ([at_least("engagement", 20), Compare("engagement", Op.LE, 20)], True),
        ([Compare("engagement", Op.GT, 20), Compare("engagement", Op.LT, 20.5)], True),
        ([is_("fit", "A"), is_("fit", "B")], False),
        ([Compare("fit", Op.IN, ("A", "B")), Compare("fit", Op.NOT_IN, ("A",))], True),
        ([Compare("fit", Op.IN, ("A",)), Not(is_("fit", "A"))], False),
        ([Compare("title", Op.UNKNOWN), Compare("title", Op.CONTAINS, "chief")], False),
        ([Compare("title", Op.CONTAINS, "chief"), Compare("title", Op.CONTAINS, "officer")], True),
        ([is_("fields.vip", True), is_("fields.vip", False)], False),
        ([Did("replied", days(5)), Not(Did("replied", days(10)))], False),
        ([Did("replied", days(10)), Not(Did("replied", days(5)))], True),
        ([Did("replied"), Not(Did("replied", days(5)))], True),
        ([Did("replied", days(5), 2), Not(Did("replied", days(5)))], False),
        ([Did("replied", days(5)), Idle(days(10))], False),
        ([Did("sent", days(5)), Idle(days(10))], True),
        ([Did("replied", days(5)), Idle(business_days(10))], True),
        ([Any((is_("fit", "A"), BELOW_20)), at_least("engagement", 20)], True),
        ([Any((is_("fit", "A"), BELOW_20)), at_least("engagement", 20), is_("fit", "C")], False),
        ([is_("level", "SQL"), Compare("engagement", Op.LT, 60)], False),
        ([is_("level", "MQL"), Compare("engagement", Op.LT, 60)], True),
        ([Compare("level", Op.UNKNOWN), at_least("engagement", 30)], False),
    ],
)
def test_what_contradicts_itself_is_not_possible(parts: list[Condition], can: bool) -> None:
    assert possible(parts, SCORED) is can


LEAVES = st.one_of(
    st.builds(
        Compare, st.just("engagement"), st.sampled_from([Op.GE, Op.LT, Op.GT, Op.LE, Op.EQ]), st.sampled_from([10, 20])
    ),
    st.builds(Compare, st.just("fit"), st.sampled_from([Op.EQ, Op.NE]), st.sampled_from(["A", "B"])),
    st.builds(Compare, st.just("fit"), st.just(Op.IN), st.sampled_from([("A",), ("A", "B")])),
)
TREES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(All, st.lists(parts, min_size=1, max_size=3).map(tuple)),
        st.builds(Any, st.lists(parts, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(TREES, st.sampled_from("ABC"), st.integers(0, 3000))
def test_what_holds_for_somebody_is_never_called_impossible(tree: Condition, grade: str, points: int) -> None:
    seen = situation(standing=Standing(0, grade, points, NOW))
    if evaluate(tree, seen, SCORED, NOW):
        assert possible([tree], SCORED)


# --- what lint makes of it --------------------------------------------------------------------------------------------

STAGES = (
    Stage("lead", "Lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING, line=2),
    Stage("prospect", "Prospect", Role.ENGAGE, Voice.PERSONAL, Team.SALES, line=3),
)
UP = Move("lead", "prospect", at_least("engagement", 30), "warm", line=6)
DOWN = Move("prospect", "lead", BELOW_20, "cold", line=7)
CALM = replace(SCORED, stages=STAGES, moves=(UP, DOWN), levels=(), file="l.yaml")


def problems(**parts: object) -> str:
    program = Program("hash", replace(CALM, **parts), {})  # type: ignore[arg-type]
    return "\n".join(map(str, lint(program, {}, (), {})))


def test_thresholds_that_differ_do_not_flap() -> None:
    assert problems() == ""


@pytest.mark.parametrize(
    "back",
    [
        Compare("engagement", Op.LT, 40),
        Compare("engagement", Op.LE, 30),
        is_("open_tasks", 0),
        Any((BELOW_20, is_("open_tasks", 0))),
        All((is_("stage", "prospect"), is_("open_tasks", 0))),
    ],
)
def test_moves_there_and_back_that_hold_together_flap(back: Condition) -> None:
    found = problems(moves=(UP, replace(DOWN, when=back)))
    assert "l.yaml:7:1: contacts flap between 'lead' and 'prospect'" in found
    assert "line 6" in found


@pytest.mark.parametrize("rest", [{"dwell": days(5)}, {"cool_off": days(5)}, {"cool_off_by": (("cold", days(1)),)}])
def test_what_rests_does_not_flap(rest: dict[str, object]) -> None:
    both = replace(DOWN, when=is_("open_tasks", 0))
    assert problems(moves=(UP, replace(both, **rest))) == ""
    assert problems(moves=(replace(UP, **rest), both)) == ""


def test_silence_is_a_rest_for_it_is_counted_from_entering_the_stage() -> None:
    assert problems(moves=(UP, replace(DOWN, when=All((Idle(days(20)), is_("open_tasks", 0)))))) == ""
    either = Any((Idle(days(20)), is_("open_tasks", 0)))
    assert "flap" in problems(moves=(UP, replace(DOWN, when=either)))


def test_moves_made_by_hand_do_not_flap() -> None:
    assert problems(moves=(UP, replace(DOWN, when=None))) == ""


def test_a_move_whose_condition_contradicts_itself_is_never_made() -> None:
    never = replace(UP, when=All((at_least("engagement", 30), BELOW_20)))
    assert "l.yaml:6:1: this move is never made" in problems(moves=(never, DOWN))


def test_a_level_behind_a_better_one_that_asks_for_less_is_never_had() -> None:
    levels = (("SQL", at_least("engagement", 20)), ("MQL", at_least("engagement", 45)))
    assert list(never_held(replace(CALM, levels=levels))) == [("MQL", "SQL")]
    assert "nobody ever has level 'MQL'" in problems(levels=levels)
    assert problems(levels=tuple(reversed(levels))) == ""


def test_a_grade_above_all_points_is_never_had() -> None:
    fit = replace(SCORED.fit, grades=(("A", 9000), ("B", 4000), ("D", -(10**9))))
    assert "nobody ever has grade 'A': it takes 90 points, and at most 65 can be scored" in problems(fit=fit)


def test_slots_can_count_and_there_are_as_many_as_are_asked_for() -> None:
    slot = Slot("budget", "Budget", days(9), ("no", "yes"), frozenset({"no"}), line=9)
    asks = replace(UP, when=Compare("slots_filled", Op.GE, 1))
    down = replace(DOWN, when=Compare("slots_filled", Op.LT, 1))
    assert problems(slots=(slot,), moves=(asks, down)) == ""
    useless = replace(slot, against=frozenset({"no", "yes"}))
    assert "slot 'budget' never counts" in problems(slots=(useless,), moves=(asks, down))
    two = replace(UP, when=Compare("slots_filled", Op.GE, 2))
    assert "`slots_filled` never reaches 2: there are 1 slots" in problems(slots=(slot,), moves=(two, down))


def test_a_stage_that_only_leads_to_itself_is_out_of_reach() -> None:
    island = (*STAGES, replace(STAGES[0], name="a", line=4), replace(STAGES[1], name="b", line=5))
    round_trip = (replace(UP, from_stage="a", to_stage="b"), replace(DOWN, from_stage="b", to_stage="a"))
    found = problems(stages=island, moves=(UP, DOWN, *round_trip))
    assert "l.yaml:4:1: nobody can enter stage 'a': no moves lead there from 'lead'" in found


def test_an_account_cap_is_part_of_its_cap() -> None:
    category = replace(SCORED.categories[0], account_cap=5000, line=8)
    assert "l.yaml:8:1: `account_cap` of category 'downloads' is above its cap" in problems(categories=(category,))


def test_a_sequence_that_asks_for_the_impossible_is_named_with_its_line() -> None:
    branch = Step("fork", "branch", arms=(Arm(All((is_("fit", "A"), is_("fit", "B"))), None),), line=4)
    nobody = Sequence("s", Voice.MARKETING, (branch,), "newsletter", file="s.yaml", audience=Audience())
    program = Program("hash", CALM, {"s": nobody})
    found = "\n".join(map(str, lint(program, {}, (), {})))
    assert "s.yaml:4:1: this never holds, what it asks for contradicts itself: fit is 'A' and fit is 'B'" in found
