"""What the definition packs claim, one story for each claim: who becomes a prospect under which, and back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from nurture.core.lives import Life, live_through
from nurture.core.model import Account, AccountId, Contact, ContactId, Event, Situation
from nurture.core.receipts import receipt
from nurture.core.words import Role, Team, Voice
from nurture.program.definitions import shipped_lifecycles

PACKS = {each.name: each for each in shipped_lifecycles()}
BEGIN = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
DAY = timedelta(days=1)

IDEAL = Account(
    AccountId(1), "Harbor Freight", "harbor.example", "Logistics", 400, 60_000_000, "DE", technologies=("SAP",)
)
RIVAL = Account(AccountId(2), "Rival", "rival.example", "Logistics", 400, fields={"competitor": True})
UNFIT = Account(AccountId(3), "Hair and Nails", "hair.example", "Beauty", 3, country="FR")


def on(day: float, kind: str, **data: object) -> Event:
    key = f"{kind}:{day}:{sorted(data.items())}"
    return Event(kind, BEGIN + day * DAY, "story", key, ContactId(1), data=data)


def said(day: float, slot: str, value: str) -> Event:
    return on(day, "slot_set", slot=slot, value=value)


def lives(
    pack: str,
    *events: Event,
    until: float = 10,
    account: Account | None = IDEAL,
    about_account: tuple[Event, ...] = (),
    **facts: str,
) -> Life:
    lifecycle = PACKS[pack]
    who = Contact(
        ContactId(1), lifecycle.start, BEGIN, "ann@harbor.example", account=account, created_at=BEGIN, **facts
    )  # type: ignore[arg-type]
    return live_through(Situation(who, events, account_events=about_account), lifecycle, BEGIN + until * DAY)


def role(pack: str, life: Life) -> Role:
    return PACKS[pack].stage(life.stage).role


def reasons(life: Life) -> list[str]:
    return [step.move.reason for step in life.steps]


CONTENT = tuple(
    on(day + hour / 24, kind)
    for day in range(1, 8)
    for hour, kind in enumerate(("page_viewed", "clicked", "content_downloaded", "opened", "webinar_watched"))
)
"""A busy week of content, and nothing else."""


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", PACKS)
def test_everybody_begins_with_marketing(pack: str) -> None:
    stage = PACKS[pack].stage(PACKS[pack].start)
    assert (stage.role, stage.voice, stage.owner) == (Role.NURTURE, Voice.MARKETING, Team.MARKETING)
    assert lives(pack).steps == ()


@pytest.mark.parametrize("pack", PACKS)
def test_personal_stages_are_owned_by_sales_and_say_which_content_they_allow(pack: str) -> None:
    for stage in PACKS[pack].stages:
        assert (stage.voice is Voice.PERSONAL) == (stage.role is Role.ENGAGE)
        assert stage.voice is not Voice.PERSONAL or stage.owner is Team.SALES
        assert bool(stage.content) == (stage.voice is not Voice.SILENT)
    early = PACKS[pack].stage(PACKS[pack].start).content
    assert not early & {"pricing", "meeting", "product"}, "never the hard sell too early"


@pytest.mark.parametrize("pack", PACKS)
def test_everybody_who_is_engaged_can_come_back_and_only_so_often(pack: str) -> None:
    lifecycle = PACKS[pack]
    ways = {(lifecycle.stage(m.from_stage).role, lifecycle.stage(m.to_stage).role) for m in lifecycle.moves}
    assert {(Role.NURTURE, Role.ENGAGE), (Role.ENGAGE, Role.NURTURE)} <= ways
    assert lifecycle.recycles == 3


@pytest.mark.parametrize("pack", PACKS)
def test_buyers_are_customers_and_rivals_are_nobodys(pack: str) -> None:
    assert role(pack, lives(pack, on(1, "purchased"))) is Role.CUSTOMER
    assert role(pack, lives(pack, account=RIVAL)) is Role.OUT


@pytest.mark.parametrize("pack", PACKS)
def test_whoever_is_disqualified_by_mistake_is_taken_back_by_hand_and_never_by_the_engine(pack: str) -> None:
    lifecycle = PACKS[pack]
    ways = [move for move in lifecycle.moves if lifecycle.stage(move.from_stage).role is Role.OUT]
    assert [(move.to_stage, move.when) for move in ways] == [(lifecycle.start, None)]


@pytest.mark.parametrize("pack", PACKS)
def test_a_handoff_that_nobody_answers_is_warned_of_and_passed_on(pack: str) -> None:
    sla = PACKS[pack].handoff.sla
    assert sla is not None
    assert None not in (sla.warn_after, sla.escalate_after, sla.reassign_after)


# --- two-way ----------------------------------------------------------------------------------------------------------


def test_two_way_a_thousand_clicks_never_make_a_prospect() -> None:
    clicks = tuple(on(1 + number // 100 / 10, "clicked", link=number) for number in range(1000))
    life = lives("two-way", *CONTENT, *clicks)
    assert life.standing.level == "sales ready"
    assert life.steps == ()


@pytest.mark.parametrize("answer", ["replied", "called", "meeting_held"])
def test_two_way_one_answer_of_a_sales_ready_lead_does(answer: str) -> None:
    life = lives("two-way", *CONTENT, on(8, answer))
    assert (life.stage, reasons(life)) == ("prospect", ["answered us"])


def test_two_way_an_automatic_reply_is_no_answer() -> None:
    assert lives("two-way", *CONTENT, on(8, "auto_replied")).steps == ()
    machine = Event("replied", BEGIN + 8 * DAY, "story", "machine", ContactId(1), trust=0.1)
    assert lives("two-way", *CONTENT, machine).steps == ()


def test_two_way_who_answers_without_being_sales_ready_stays_a_lead() -> None:
    assert lives("two-way", on(1, "replied"), account=UNFIT, country="FR").stage == "lead"


def test_two_way_when_the_conversation_ends_a_prospect_is_a_lead_again_clicks_or_not() -> None:
    clicking = tuple(on(day, "clicked") for day in range(10, 70, 5))
    life = lives("two-way", *CONTENT, on(8, "replied"), *clicking, until=70)
    assert reasons(life) == ["answered us", "the conversation ended"]
    assert life.stage == "lead"


# --- scored -----------------------------------------------------------------------------------------------------------


def test_scored_wants_fit_and_engagement_both() -> None:
    busy = (*CONTENT, on(8, "event_attended"))
    assert reasons(lives("scored", *busy, title="CFO")) == ["fit and engagement both passed"]
    assert lives("scored", *busy, account=UNFIT).stage == "lead"
    assert lives("scored", on(1, "page_viewed"), title="CFO").stage == "lead"


def test_scored_the_end_of_the_nurture_sequence_moves_whom_the_last_rule_says() -> None:
    reading = tuple(on(day, "content_downloaded") for day in (1, 2, 9))
    ended = on(10, "nurture_finished")
    assert reasons(lives("scored", *reading, ended, title="CFO")) == ["read everything and fits"]
    assert lives("scored", *reading, title="CFO").stage == "lead"
    assert lives("scored", *reading, ended, account=UNFIT).stage == "lead"


# --- icp-intent -------------------------------------------------------------------------------------------------------


def test_icp_intent_is_a_ladder_and_every_rung_asks_for_more() -> None:
    looking = tuple(on(day, "content_downloaded") for day in (1, 2))
    assert lives("icp-intent", on(1, "content_downloaded")).stage == "lead"
    assert lives("icp-intent", *looking).stage == "mql"
    asked = (*looking, on(3, "intent_signaled"), on(4, "demo_requested"))
    assert lives("icp-intent", *asked).stage == "sql"
    assert lives("icp-intent", *asked, said(5, "budget_authority", "decides")).stage == "hql"
    assert lives("icp-intent", *asked, title="Director of Finance").stage == "hql"


def test_icp_intent_whoever_turns_out_to_have_no_authority_leaves_the_top_rung() -> None:
    asked = (*(on(day, "content_downloaded") for day in (1, 2)), on(3, "intent_signaled"), on(4, "demo_requested"))
    climbed = (*asked, said(5, "budget_authority", "decides"))
    assert lives("icp-intent", *climbed, until=22).stage == "hql"
    assert lives("icp-intent", *climbed, said(6, "budget_authority", "none"), until=22).stage == "sql"


def test_icp_intent_any_score_without_a_meaningful_interaction_stays_with_marketing() -> None:
    signals = tuple(on(day, "intent_signaled", topic=day) for day in range(1, 9))
    life = lives("icp-intent", *CONTENT, *signals, on(8, "event_attended"))
    assert life.standing.engagement >= 6000
    assert life.stage == "mql"


def test_icp_intent_whoever_does_not_fit_the_profile_stays_a_lead() -> None:
    assert lives("icp-intent", *CONTENT, on(8, "demo_requested"), account=UNFIT).stage == "lead"


def test_icp_intent_found_by_intent_data_about_their_company() -> None:
    signal = Event("intent_signaled", BEGIN + DAY, "vendor", "s", account_id=AccountId(1), data={"strength": 1.0})
    life = lives("icp-intent", about_account=(signal,), until=2)
    assert life.stage == "mql"
    weak = Event("intent_signaled", BEGIN + DAY, "vendor", "w", account_id=AccountId(1), data={"strength": 0.3})
    assert lives("icp-intent", about_account=(weak,), until=2).stage == "lead"


def test_icp_intent_a_rung_is_left_at_a_lower_score_than_it_was_climbed_at() -> None:
    looking = tuple(on(day, "content_downloaded") for day in (1, 1.5))
    life = lives("icp-intent", *looking, until=120)
    assert reasons(life) == ["fits the profile and shows intent", "no intent any more"]
    stayed = life.steps[1].at - life.steps[0].at
    assert timedelta(days=25) < stayed < timedelta(days=45)


# --- bant and champ ---------------------------------------------------------------------------------------------------


def test_bant_three_of_four_known_slots_make_a_prospect_and_two_do_not() -> None:
    two = (said(1, "budget", "approved"), said(2, "need", "faster month-end close"))
    assert lives("bant", *CONTENT, *two).stage == "lead"
    assert reasons(lives("bant", *two, said(3, "timeline", "this quarter"))) == ["three of four are known"]
    assert lives("bant", *two, said(3, "timeline", "no plans")).stage == "lead", "known, but it speaks against"


def test_bant_evidence_goes_stale_and_with_it_the_prospect() -> None:
    told = (said(1, "budget", "approved"), said(1, "need", "reports"), said(1, "timeline", "this quarter"))
    signs = tuple(on(day, "clicked") for day in range(5, 200, 10))
    life = lives("bant", *told, *signs, until=200)
    assert reasons(life) == ["three of four are known", "what we knew is stale"]
    assert life.steps[1].at == BEGIN + 121 * DAY
    renewed = lives("bant", *told, *signs, said(110, "budget", "approved"), said(110, "need", "reports"), until=200)
    assert renewed.stage == "prospect"


def test_bant_a_form_and_a_request_fill_slots_too() -> None:
    form = on(1, "form_submitted", budget="planned", need="reports", authority="decides")
    assert lives("bant", form).stage == "prospect"
    assert lives("bant", on(1, "quote_requested"), on(2, "demo_requested")).stage == "prospect"


def test_bant_a_receipt_says_what_is_missing() -> None:
    life = lives("bant", said(1, "budget", "approved"), said(2, "need", "reports"))
    told = receipt(life.situation, PACKS["bant"], BEGIN + 10 * DAY)
    assert ("Authority is influences", "prospect") in [(change.what, change.stage) for change in told.changes]


def test_champ_asks_for_the_challenge_whatever_else_is_known() -> None:
    others = (said(1, "authority", "decides"), said(1, "money", "approved"), said(1, "prioritization", "at the top"))
    assert lives("champ", *others).stage == "lead"
    assert lives("champ", *others[:2], said(2, "challenges", "the close takes nine days")).stage == "prospect"


# --- interest-first ---------------------------------------------------------------------------------------------------


def test_interest_first_is_the_other_way_round_prospects_become_leads() -> None:
    lifecycle = PACKS["interest-first"]
    assert lifecycle.start == "prospect"
    assert (lifecycle.stage("prospect").role, lifecycle.stage("lead").role) == (Role.NURTURE, Role.ENGAGE)
    life = lives("interest-first", on(1, "page_viewed"), on(2, "form_submitted"))
    assert [(step.move.from_stage, step.move.to_stage) for step in life.steps] == [("prospect", "lead")]


def test_interest_first_looking_around_is_no_specific_action() -> None:
    exploring = tuple(event for event in CONTENT if event.kind != "webinar_watched")
    assert lives("interest-first", *exploring).stage == "prospect"


@pytest.mark.parametrize("action", ["form_submitted", "quote_requested", "demo_requested", "webinar_watched"])
def test_interest_first_a_specific_action_makes_a_lead(action: str) -> None:
    assert lives("interest-first", on(1, action), account=UNFIT).stage == "lead"


def test_interest_first_a_lead_who_goes_quiet_is_a_prospect_again_and_capped() -> None:
    asks = tuple(on(day, "form_submitted") for day in (1, 60, 120, 180))
    life = lives("interest-first", *asks, until=260)
    back = [step for step in life.steps if step.move.reason == "went quiet"]
    assert len(back) == 3, "three times, and not a fourth"
    assert life.stage == "lead"
