from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.core.conditions import Compare, Idle, Op
from nurture.core.effects import (
    CancelMessages,
    Effect,
    EndRun,
    Enroll,
    MoveStage,
    OpenHandoff,
    OpenTaskFor,
    PauseRun,
    Reaction,
    Suppress,
    VoidApprovals,
    WakeRun,
)
from nurture.core.lifecycle import Move
from nurture.core.model import Event, MessageId, Situation, StageChange
from nurture.core.program import Program
from nurture.core.react import react
from nurture.core.scoring import standing
from nurture.core.sequence import Exit, Reentry, Trigger
from nurture.core.words import EnrollmentState, Scope, Voice
from tests.core.scored import (
    ACME,
    DAY,
    ENTERS_NURTURE,
    INTRODUCTION,
    NOW,
    REP,
    SCORED,
    VERSIONS,
    WELCOME,
    at_least,
    change,
    days,
    event,
    is_,
    mail,
    person,
    program,
    run,
    sequence,
    situation,
)
from tests.core.test_scoring import events

PROGRAM = program()


def happens(
    *fresh: Event, seen: Situation | None = None, at: datetime = NOW, to: Program = PROGRAM, versions: object = VERSIONS
) -> Reaction:
    """React to events that are added to what was seen before."""
    before = seen or situation()
    return react(replace(before, events=(*before.events, *fresh)), fresh, to, versions, at)


def of(kind: type[Effect], reaction: Reaction) -> list[Effect]:
    return [effect for effect in reaction.effects if isinstance(effect, kind)]


# --- stories ----------------------------------------------------------------------------------------------------------


def test_somebody_who_becomes_known_is_scored_and_welcomed() -> None:
    reaction = happens(event("created"))
    assert reaction.effects == (Enroll("lead-welcome", 1, "entered stage lead"),)
    assert reaction.standing == standing(situation(), SCORED, NOW)
    assert reaction.review_at is None


def test_a_lead_who_asks_for_a_demo_becomes_a_prospect_in_one_go() -> None:
    """Moved, taken out of the lead sequence, lead mail cancelled, handed to sales, introduced."""
    seen = situation(event("page_viewed", NOW - DAY), enrollments=(run(),))
    reaction = happens(event("demo_requested"), seen=seen)
    moved, ended, cancelled, handoff, enrolled = reaction.effects
    assert isinstance(moved, MoveStage)
    assert (moved.to_stage, moved.reason) == ("prospect", "qualified")
    assert ended == EndRun(run().id, EnrollmentState.EXITED, "stage left: now prospect", None)
    assert cancelled == CancelMessages(Voice.MARKETING, "stage prospect has the personal voice")
    assert isinstance(handoff, OpenHandoff)
    assert enrolled == Enroll("prospect-introduction", 1, "entered stage prospect")
    assert reaction.standing.level == "SQL"


def test_sales_gets_everything_that_it_needs() -> None:
    reaction = happens(event("demo_requested"), seen=situation(event("content_downloaded", NOW - DAY)))
    (handoff,) = of(OpenHandoff, reaction)
    assert isinstance(handoff, OpenHandoff)
    packet = handoff.packet
    assert (packet["why"], packet["rule"]) == ("qualified", "sequences/lifecycles/scored.yaml:10")
    assert (packet["fit"], packet["fit_points"], packet["level"]) == ("B", 50.0, "SQL")
    assert [touch["what"] for touch in packet["touches"]] == ["asked for a demo", "downloaded content"]
    assert packet["next_step"] == "Answer: they asked for a demo on 2026-03-02."


def test_a_prospect_who_falls_silent_is_nurtured_again_and_can_come_back_only_after_the_cool_off() -> None:
    prospect = person("prospect", since=NOW - 60 * DAY)
    was = (change("lead", "prospect", NOW - 60 * DAY, "qualified"),)
    back = happens(event("time_passed"), seen=situation(contact=prospect, stage_changes=was))
    (moved, cancelled, enrolled) = back.effects
    assert isinstance(moved, MoveStage)
    assert (moved.from_stage, moved.to_stage, moved.reason) == ("prospect", "lead", "went_quiet")
    assert cancelled == CancelMessages(Voice.PERSONAL, "stage lead has the marketing voice")
    assert enrolled == Enroll("lead-welcome", 1, "entered stage lead")
    assert not of(OpenHandoff, back)

    lead = situation(
        contact=person(since=NOW, account=None), stage_changes=(*was, change("prospect", "lead", NOW, "went_quiet"))
    )
    soon = happens(event("demo_requested", NOW + 2 * DAY), seen=lead, at=NOW + 2 * DAY)
    assert not of(MoveStage, soon)
    assert soon.review_at == NOW + 30 * DAY
    hot = replace(lead, events=(event("demo_requested", NOW + 2 * DAY),))
    later = happens(event("time_passed", NOW + 30 * DAY), seen=hot, at=NOW + 30 * DAY)
    assert [effect.to_stage for effect in of(MoveStage, later)] == ["prospect"]


def test_the_engine_moves_on_its_reviews_alone() -> None:
    """Follow `review_at` from one review to the next: silence leads back at the moment it is long enough."""
    seen, at = situation(contact=person("prospect", since=NOW)), NOW
    reviews = 0
    while seen.contact.stage == "prospect":
        reaction = happens(event("time_passed", at), seen=seen, at=at)
        if moves := of(MoveStage, reaction):
            seen = replace(seen, contact=replace(seen.contact, stage=moves[-1].to_stage, stage_since=at))
            break
        assert reaction.review_at is not None
        assert reaction.review_at > at
        at, reviews = reaction.review_at, reviews + 1
    assert at == datetime.fromisoformat("2026-03-30T10:00:00+02:00")  # ten o'clock in Berlin, where summer has begun
    assert reviews == 1


# --- moves ------------------------------------------------------------------------------------------------------------


def test_several_moves_may_follow_each_other() -> None:
    reaction = happens(event("purchased"), event("demo_requested"))
    assert [effect.to_stage for effect in of(MoveStage, reaction)] == ["prospect", "customer"]
    assert not of(Enroll, reaction)


def test_rules_that_contradict_each_other_do_not_go_in_circles() -> None:
    always = Compare("stage", Op.KNOWN)
    there_and_back = (Move("lead", "prospect", always, "up"), Move("prospect", "lead", always, "down"))
    reaction = happens(event("created"), to=program(lifecycle=replace(SCORED, moves=there_and_back)))
    assert [effect.to_stage for effect in of(MoveStage, reaction)] == ["prospect"]


def test_a_run_that_ends_may_allow_a_move() -> None:
    moves = (Move("prospect", "lead", is_("active_sequences", 0), "done with"),)
    seen = situation(contact=person("prospect"), enrollments=(run(sequence="prospect-introduction", version=2),))
    to = program(lifecycle=replace(SCORED, moves=moves))
    assert not of(MoveStage, happens(event("page_viewed"), seen=seen, to=to))
    reaction = happens(event("bounced", data={"permanent": True}), seen=seen, to=to)
    assert [effect.to_stage for effect in of(MoveStage, reaction)] == ["lead"]
    assert len(of(EndRun, reaction)) == 1


def test_a_step_or_a_person_may_ask_for_a_move_that_the_lifecycle_lists() -> None:
    asked = event("updated", data={"stage": "out", "reason": "not for us", "actor": "rita@us.example"})
    (moved, cancelled) = happens(asked).effects
    assert moved == MoveStage("lead", "out", "not for us", "rita@us.example", "rita@us.example")
    assert cancelled == CancelMessages(None, "stage out has the silent voice")
    assert happens(event("updated", data={"stage": "customer"})).effects == ()
    assert happens(event("updated", data={"stage": "lead"})).effects == ()


def test_the_standing_is_the_one_in_the_new_stage() -> None:
    lifecycle = replace(SCORED, levels=(("IN", is_("stage", "prospect")),))
    assert happens(event("demo_requested"), to=program(lifecycle=lifecycle)).standing.level == "IN"


def test_a_second_handoff_is_not_opened_beside_the_first() -> None:
    assert not of(OpenHandoff, happens(event("demo_requested"), seen=situation(open_handoff=True)))


def test_within_sales_nobody_is_handed_over() -> None:
    reaction = happens(event("purchased"), seen=situation(contact=person("prospect")))
    assert of(MoveStage, reaction)
    assert not of(OpenHandoff, reaction)


# --- what stops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happened", "suppress"),
    [
        (event("unsubscribed"), Suppress(Scope.MARKETING, "unsubscribed")),
        (event("unsubscribed", data={"scope": "all"}), Suppress(Scope.ALL, "unsubscribed")),
        (event("unsubscribed", data={"scope": "personal"}), Suppress(Scope.PERSONAL, "unsubscribed")),
        (event("unsubscribed", data={"scope": "everything!"}), Suppress(Scope.MARKETING, "unsubscribed")),
        (event("unsubscribed", data={"scope": 7}), Suppress(Scope.MARKETING, "unsubscribed")),
        (event("complained"), Suppress(Scope.ALL, "complaint")),
        (event("bounced", data={"permanent": True}), Suppress(Scope.ALL, "hard_bounce")),
        (event("bounced", data={"permanent": False}), None),
        (event("bounced", data={"permanent": "true"}), None),
        (event("bounced"), None),
        (event("auto_replied"), None),
        (event("replied"), None),
    ],
)
def test_what_suppresses_and_how_much(happened: Event, suppress: Suppress | None) -> None:
    assert of(Suppress, happens(happened)) == ([suppress] if suppress else [])


def test_the_same_wish_twice_is_one_suppression() -> None:
    assert len(of(Suppress, happens(event("unsubscribed", key="1"), event("unsubscribed", key="2")))) == 1


def test_what_is_forbidden_is_cancelled_at_once() -> None:
    assert of(CancelMessages, happens(event("complained"))) == [CancelMessages(None, "complaint")]
    assert of(CancelMessages, happens(event("unsubscribed"))) == [CancelMessages(Voice.MARKETING, "unsubscribed")]


def test_whoever_unsubscribes_is_not_enrolled_by_the_same_news() -> None:
    asks = sequence("asks", Trigger("event", {"kind": "form_submitted"}))
    assert of(Enroll, happens(event("form_submitted"), to=program(asks)))
    assert not of(Enroll, happens(event("form_submitted"), event("unsubscribed"), to=program(asks)))


@pytest.mark.parametrize("kind", ["auto_replied", "delivered", "opened", "deferred", "time_passed"])
def test_what_no_human_did_stops_nothing(kind: str) -> None:
    seen = situation(enrollments=(run(),), messages=(mail(),))
    assert happens(event(kind, message_id=MessageId(1)), seen=seen).effects == ()


def test_a_reply_to_marketing_mail_ends_that_run_and_gives_somebody_the_task_to_answer() -> None:
    deaf = replace(WELCOME, exits=(Exit("stage_left"),))
    seen = situation(enrollments=(run(), run(2, "other", version=3)), messages=(mail(),))
    versions = {**VERSIONS, run().version_id: deaf, run(version=3).version_id: deaf}
    reaction = happens(event("replied", message_id=MessageId(1), key="reply-1"), seen=seen, versions=versions)
    assert of(EndRun, reaction) == [EndRun(run().id, EnrollmentState.EXITED, "replied", "replied")]
    (task,) = of(OpenTaskFor, reaction)
    assert isinstance(task, OpenTaskFor)
    assert (task.kind, task.title, task.key) == ("reply", "Answer Ann Example", "reply:test:reply-1")
    assert task.enrollment_id == run().id
    assert task.step_id is None
    assert task.due_at == NOW + DAY


def test_a_reply_ends_a_personal_run_by_its_exits_only() -> None:
    seen = situation(
        contact=person("prospect", owner=REP),
        enrollments=(run(sequence="prospect-introduction", version=2),),
        messages=(mail(voice=Voice.PERSONAL),),
    )
    reply = event("replied", message_id=MessageId(1))
    assert len(of(EndRun, happens(reply, seen=seen))) == 1
    patient = {run(version=2).version_id: replace(INTRODUCTION, exits=())}
    reaction = happens(reply, seen=seen, versions=patient)
    assert not of(EndRun, reaction)
    assert of(OpenTaskFor, reaction)


def test_each_run_ends_once_however_many_reasons_there_are() -> None:
    seen = situation(enrollments=(run(),), messages=(mail(),))
    everything = (
        event("replied", message_id=MessageId(1)),
        event("unsubscribed"),
        event("demo_requested"),
        event("bounced", data={"permanent": True}),
    )
    assert len(of(EndRun, happens(*everything, seen=seen))) == 1


def test_a_run_that_waits_for_a_task_is_woken_once() -> None:
    seen = situation(enrollments=(run(waiting_for="task"),))
    assert len(of(WakeRun, happens(event("task_done"), seen=seen))) == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("replied", "replied"), ("owner_changed", "owner changed"), ("rep_wrote", "rep wrote by hand")],
)
def test_what_voids_approvals(kind: str, reason: str) -> None:
    seen = situation(contact=person("prospect", since=NOW - DAY))
    assert of(VoidApprovals, happens(event(kind), event(kind, key="again"), seen=seen)) == [VoidApprovals(reason)]


@pytest.mark.parametrize("kind", ["auto_replied", "opened", "clicked", "page_viewed"])
def test_what_does_not_void_approvals(kind: str) -> None:
    assert not of(VoidApprovals, happens(event(kind)))


PERSONAL = run(sequence="prospect-introduction", version=2)
WROTE = event("rep_wrote")


def test_personal_runs_rest_for_three_business_days_after_the_rep_wrote() -> None:
    friday = datetime.fromisoformat("2026-02-27T15:00:00+00:00")
    seen = situation(contact=person("prospect", since=friday), enrollments=(PERSONAL,))
    reaction = happens(event("rep_wrote", friday), seen=seen, at=friday + timedelta(minutes=5))
    assert of(PauseRun, reaction) == [PauseRun(PERSONAL.id, "rep wrote by hand", friday + 5 * DAY)]


@pytest.mark.parametrize(
    ("enrollment", "wrote"),
    [
        (run(), WROTE),
        (replace(PERSONAL, state=EnrollmentState.COMPLETED), WROTE),
        (replace(PERSONAL, state=EnrollmentState.PAUSED, paused_until=NOW + 9 * DAY), WROTE),
        (replace(PERSONAL, state=EnrollmentState.PAUSED), WROTE),
        (PERSONAL, event("rep_wrote", NOW - 9 * DAY)),
    ],
)
def test_what_does_not_have_to_rest(enrollment: object, wrote: Event) -> None:
    stage = "lead" if enrollment == run() else "prospect"
    seen = situation(contact=person(stage, since=NOW - DAY), enrollments=(enrollment,))
    assert not of(PauseRun, happens(wrote, seen=seen))


def test_a_shorter_rest_is_made_longer() -> None:
    short = replace(PERSONAL, state=EnrollmentState.PAUSED, paused_until=NOW + DAY)
    seen = situation(contact=person("prospect", since=NOW - DAY), enrollments=(short,))
    assert len(of(PauseRun, happens(WROTE, seen=seen))) == 1


# --- what begins ------------------------------------------------------------------------------------------------------


def test_a_sequence_may_be_entered_again_by_what_ended_it() -> None:
    loop = sequence("lead-welcome", Trigger("event", {"kind": "replied"}), reentry=Reentry.ALWAYS)
    versions = {run().version_id: loop}
    reaction = happens(event("replied"), seen=situation(enrollments=(run(),)), to=program(loop), versions=versions)
    assert of(EndRun, reaction)
    assert of(Enroll, reaction) == [Enroll("lead-welcome", 2, "replied")]


def test_a_condition_of_an_audience_reads_the_new_score() -> None:
    hot = sequence("hot", Trigger("event", {"kind": "form_submitted"}))
    hot = replace(hot, audience=replace(hot.audience, when=at_least("engagement", 15)))
    assert of(Enroll, happens(event("form_submitted"), to=program(hot)))
    assert not of(Enroll, happens(event("form_submitted", NOW - 60 * DAY), to=program(hot)))


def test_whoever_comes_back_is_not_welcomed_twice() -> None:
    done = run(state=EnrollmentState.COMPLETED)
    seen = situation(contact=person("prospect"), enrollments=(done,))
    assert not of(Enroll, happens(event("time_passed"), seen=seen))
    again = replace(WELCOME, reentry=Reentry.AFTER, reentry_after=days(5))
    assert of(Enroll, happens(event("time_passed"), seen=seen, to=program(again)))


# --- always -----------------------------------------------------------------------------------------------------------

NEWS = st.lists(
    st.builds(
        event,
        st.sampled_from(
            ["created", "replied", "unsubscribed", "bounced", "demo_requested", "purchased", "rep_wrote", "time_passed"]
        ),
        st.integers(0, 48).map(lambda hours: NOW - timedelta(hours=hours)),
        data=st.sampled_from([{}, {"permanent": True}, {"scope": "all"}, {"stage": "lead"}]),
        message_id=st.sampled_from([None, MessageId(1)]),
    ),
    max_size=4,
).map(tuple)


@given(NEWS, events(), st.sampled_from(["lead", "prospect", "customer", "out"]), st.booleans())
def test_the_same_news_always_leads_to_the_same(
    news: tuple[Event, ...], before: tuple[Event, ...], stage: str, busy: bool
) -> None:
    seen = situation(*before, contact=person(stage), enrollments=(run(),) if busy else (), messages=(mail(),))
    reaction = happens(*news, seen=seen)
    assert reaction == happens(*news, seen=seen)
    assert reaction.review_at is None or reaction.review_at > NOW
    moves = of(MoveStage, reaction)
    assert [moves[n].to_stage for n in range(len(moves) - 1)] == [moved.from_stage for moved in moves[1:]]
    assert len({moved.to_stage for moved in moves}) == len(moves) < len(SCORED.stages)
    ended = [end.enrollment_id for end in of(EndRun, reaction)]
    assert len(set(ended)) == len(ended)


@given(NEWS, events())
def test_reacting_again_to_nothing_new_changes_nothing(news: tuple[Event, ...], before: tuple[Event, ...]) -> None:
    """What the effects lead to is at rest: a review right afterwards finds nothing to do."""
    reaction = happens(*news, seen=situation(*before))
    stage, changes = "lead", []
    for moved in of(MoveStage, reaction):
        stage = moved.to_stage
        changes.append(StageChange(moved.from_stage, moved.to_stage, NOW, moved.reason, moved.actor))
    contact = person(stage, since=NOW) if changes else person(stage)
    after = situation(*before, *news, contact=contact, stage_changes=tuple(changes))
    again = happens(event("time_passed"), seen=after)
    assert again.effects == ()
    assert again.standing == reaction.standing


def test_a_lifecycle_without_rules_is_a_lifecycle() -> None:
    bare = replace(SCORED, moves=(), levels=(), categories=(), fit=replace(SCORED.fit, rules=(), disqualifiers=()))
    reaction = happens(
        event("created"), seen=situation(contact=person(account=ACME)), to=program(WELCOME, lifecycle=bare)
    )
    assert (reaction.standing.engagement, reaction.standing.grade, reaction.review_at) == (0, "D", None)
    assert ENTERS_NURTURE in WELCOME.triggers
    assert of(Enroll, reaction)


def test_idle_rules_of_sequences_are_not_watched() -> None:
    """Only the lifecycle's own rules set a review: audiences and goals are asked when something happens."""
    goal = replace(WELCOME, exits=(Exit("goal", when=Idle(days(5))),))
    seen = situation(enrollments=(run(),), contact=person(since=NOW))
    versions = {run().version_id: goal}
    assert happens(event("delivered"), seen=seen, to=program(goal), versions=versions).review_at is None
    late = replace(seen, contact=person(since=NOW - 5 * DAY))
    assert of(EndRun, happens(event("time_passed"), seen=late, to=program(goal), versions=versions))
