from dataclasses import replace
from datetime import datetime, timedelta

from nurture.core.conditions import All, Compare, Did, Idle, Op
from nurture.core.handoff import Handoff, Rejection
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.lives import Duty, Life, fork, live_through, same
from nurture.core.model import Event, OpenTask, Situation
from nurture.core.words import EnrollmentState, Role
from tests.core.scored import DAY, NOW, SCORED, at_least, days, event, person, run, situation

UNTIL = NOW + 60 * DAY
BACK = Move("prospect", "lead", All((Idle(days(20)), Compare("active_sequences", Op.EQ, 0))), "quiet", line=30)
EAGER = replace(
    SCORED, file="eager.yaml", moves=(Move("lead", "prospect", Did("form_submitted"), "a form", line=3), BACK)
)
STRICT = replace(
    SCORED, file="strict.yaml", moves=(Move("lead", "prospect", Did("replied"), "an answer", line=7), BACK)
)


def lived(*events: Event, lifecycle: Lifecycle = EAGER, duties: tuple[Duty, ...] = (), **parts: object) -> Life:
    contact = person(since=NOW, created_at=NOW, stage="customer")
    return live_through(situation(*events, contact=contact, **parts), lifecycle, UNTIL, duties)


def way(life: Life) -> list[tuple[datetime, str]]:
    return [(step.at, step.move.to_stage) for step in life.steps]


def test_a_life_begins_in_the_first_stage_whatever_the_stage_is_now() -> None:
    assert (lived().stage, lived().steps) == ("lead", ())


def test_moves_are_made_when_they_would_have_been_time_alone_included() -> None:
    lifecycle = replace(EAGER, moves=(Move("lead", "prospect", Did("form_submitted", days(2)), "a form"), BACK))
    life = lived(event("form_submitted", NOW + DAY), lifecycle=lifecycle)
    assert way(life) == [(NOW + DAY, "prospect"), (NOW + 21 * DAY, "lead")]


def test_what_the_engine_concluded_then_is_not_believed_but_concluded_anew() -> None:
    then = event("stage_entered", NOW + DAY, data={"stage": "customer"})
    asked = replace(EAGER, moves=(Move("lead", "out", Did("stage_entered"), "moved before"),))
    assert lived(then, lifecycle=asked).steps == ()


def test_a_run_counts_as_long_as_it_ran() -> None:
    ran = run(entered_at=NOW, ended_at=NOW + 30 * DAY, state=EnrollmentState.EXITED)
    ended = event("sequence_exited", NOW + 30 * DAY)
    lifecycle = replace(EAGER, moves=(Move("lead", "prospect", Did("form_submitted", days(2)), "a form"), BACK))
    life = lived(event("form_submitted", NOW), ended, lifecycle=lifecycle, enrollments=(ran,))
    assert way(life) == [(NOW, "prospect"), (NOW + 30 * DAY, "lead")]


def test_whom_sales_gave_back_stays_with_marketing_for_as_long_as_it_was_barred() -> None:
    given_back = replace(SCORED, moves=(Move("lead", "prospect", Did("form_submitted"), "a form"), BACK))
    said = {"why": "not_now", "stage": "lead"}
    rejected = event("handoff_rejected", NOW + 2 * DAY, data={**said, "until": (NOW + 92 * DAY).isoformat()})
    later = event("clicked", NOW + 5 * DAY)
    life = lived(event("form_submitted", NOW + DAY), rejected, later, lifecycle=given_back)
    assert way(life) == [(NOW + DAY, "prospect"), (NOW + 2 * DAY, "lead")]
    until = (NOW + 30 * DAY).isoformat()
    returned = event("handoff_returned", NOW + 2 * DAY, data={"stage": "lead", "until": until})
    life = lived(event("form_submitted", NOW + DAY), returned, later, lifecycle=given_back)
    assert way(life)[:3] == [(NOW + DAY, "prospect"), (NOW + 2 * DAY, "lead"), (NOW + 30 * DAY, "prospect")]


def test_whoever_comes_to_sales_all_the_same_is_barred_no_more() -> None:
    lifecycle = replace(SCORED, moves=(Move("lead", "prospect", Did("form_submitted", days(1)), "a form"), BACK))
    said = {"why": "wrong_person", "stage": "lead"}
    rejected = event("handoff_rejected", NOW + 2 * DAY, data=said)
    by_hand = event("updated", NOW + 3 * DAY, data={"stage": "prospect"})
    forms = event("form_submitted", NOW + DAY), event("form_submitted", NOW + 40 * DAY)
    life = lived(*forms[:1], rejected, by_hand, forms[1], lifecycle=lifecycle)
    stages = [stage for _, stage in way(life)]
    assert stages[:5] == ["prospect", "lead", "prospect", "lead", "prospect"]


def test_a_rejection_bars_for_as_long_as_the_lifecycle_in_question_says() -> None:
    shorter = Handoff(rejections={"not_now": Rejection(days(10))})
    given_back = replace(
        SCORED, handoff=shorter, moves=(Move("lead", "prospect", Did("form_submitted"), "a form"), BACK)
    )
    said = {"why": "not_now", "stage": "lead", "until": (NOW + 92 * DAY).isoformat()}
    rejected = event("handoff_rejected", NOW + 2 * DAY, data=said)
    life = lived(event("form_submitted", NOW + DAY), rejected, lifecycle=given_back)
    assert way(life)[2] == (NOW + 12 * DAY, "prospect")


def test_a_task_counts_as_long_as_it_was_open() -> None:
    lifecycle = replace(EAGER, moves=(Move("lead", "out", Compare("open_tasks", Op.GE, 1), "busy"),))
    duty = Duty(OpenTask(1, "call", None), NOW + DAY, NOW + 2 * DAY)
    before = event("form_submitted", NOW)
    assert lived(before, lifecycle=lifecycle, duties=(duty,)).steps == ()
    during = event("form_submitted", NOW + DAY)
    assert way(lived(before, during, lifecycle=lifecycle, duties=(duty,))) == [(NOW + DAY, "out")]


def test_a_move_by_hand_is_made_if_the_lifecycle_lists_it() -> None:
    asked = event("updated", NOW + DAY, data={"stage": "prospect", "reason": "met them", "actor": "rita"})
    (step,) = lived(asked).steps[:1]
    assert (step.at, step.move.reason, step.move.actor) == (NOW + DAY, "met them", "rita")
    assert lived(replace(asked, data={"stage": "customer"})).steps == ()


def test_a_lifecycle_remembers_no_further_back_than_it_does() -> None:
    short = replace(
        STRICT, memory=timedelta(days=10), moves=(Move("lead", "out", All((Did("replied"), Did("clicked"))), "both"),)
    )
    assert lived(event("replied", NOW), event("clicked", NOW + 11 * DAY), lifecycle=short).steps == ()
    assert way(lived(event("replied", NOW), event("clicked", NOW + 9 * DAY), lifecycle=short)) == [
        (NOW + 9 * DAY, "out")
    ]


def test_no_stage_is_entered_twice_in_one_moment() -> None:
    there = Move("lead", "prospect", at_least("engagement", 0), "always")
    life = lived(lifecycle=replace(SCORED, moves=(there, replace(there, from_stage="prospect", to_stage="lead"))))
    assert len({step.at for step in life.steps}) == len(life.steps)


def test_lives_part_at_the_move_after_which_they_never_agree_again() -> None:
    happened = (event("form_submitted", NOW + DAY), event("clicked", NOW + 55 * DAY))
    one, other = lived(*happened), lived(*happened, lifecycle=STRICT)
    parted = fork(one, other, EAGER, STRICT)
    assert parted is not None
    assert (parted.first, parted.stayed, parted.step.move.rule) == (True, "lead", "eager.yaml:3")
    assert fork(one, one, EAGER, EAGER) is None


def test_lives_that_agree_again_have_not_parted() -> None:
    happened = (event("form_submitted", NOW + DAY), event("replied", NOW + 50 * DAY))
    one, other = lived(*happened), lived(*happened, lifecycle=STRICT)
    assert one.stage == other.stage == "prospect"
    assert fork(one, other, EAGER, STRICT) is None


def test_names_mean_the_same_only_where_both_lifecycles_say_so() -> None:
    lead, prospect, *others = SCORED.stages
    swapped = replace(SCORED, stages=(replace(prospect, name="lead"), replace(lead, name="prospect"), *others))
    assert same("lead", "lead", SCORED, SCORED)
    assert not same("lead", "lead", SCORED, swapped)
    assert same("lead", "prospect", SCORED, swapped)
    renamed = replace(SCORED, stages=(replace(lead, name="contact"), prospect, *others))
    assert same("lead", "contact", SCORED, renamed)


def test_a_life_knows_when_a_role_was_entered() -> None:
    life = lived(event("form_submitted", NOW + DAY))
    assert life.entered(Role.ENGAGE, EAGER) == NOW + DAY
    assert life.entered(Role.CUSTOMER, EAGER) is None


def test_the_history_is_not_changed() -> None:
    history: Situation = situation(event("form_submitted", NOW), contact=person(since=NOW))
    before = replace(history)
    live_through(history, EAGER, UNTIL)
    assert history == before
