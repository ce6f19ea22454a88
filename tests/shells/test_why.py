"""`why`: every contact is either about to be written to, or explained."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from nurture import drafts, why
from nurture.core.model import ContactId, Rep
from nurture.core.words import Scope, Voice
from nurture.db import instance, tables
from nurture.deciding import Policy
from nurture.errors import NotFound
from nurture.people import suppress_address
from nurture.why import Why
from tests.programs import NURTURE
from tests.world import RING, World


@pytest.fixture
def rita(world: World) -> Rep:
    return world.rep()


def test_a_lead_in_a_sequence_is_told_the_last_decision_and_the_next_mail_with_their_rules(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.work()

    said = _why(world, ann)

    (coming,) = said.next
    assert (coming.sequence, coming.step_id, coming.template) == ("nurture", "more", "leads/more")
    assert coming.about == world.now + timedelta(days=3)
    assert coming.waits is None
    assert coming.rule == f"sequences/nurture.yaml:{_line(NURTURE, 'id: more')}"
    assert said.reasons == ()
    sent = next(answer for answer in said.decided if answer.what.startswith("send"))
    assert sent.what == "send: nurture, step hello"
    assert sent.rule == f"sequences/nurture.yaml:{_line(NURTURE, 'id: hello')}"
    assert [check["gate"] for check in sent.checks][:2] == ["program", "sender"]


def test_the_rule_is_that_of_the_version_in_which_the_run_began(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.work()
    line = _line(NURTURE, "id: more")
    world.apply({"sequences/nurture.yaml": NURTURE.replace("voice:", "description: moved down\npriority: 7\nvoice:")})
    assert _why(world, ann).next[0].rule == f"sequences/nurture.yaml:{line}"


def test_a_message_that_a_gate_would_hold_says_until_when(world: World) -> None:
    ann = world.contact("ann@example.com")
    with world.database.write() as connection:
        instance.pause_sending(connection, "we move offices")
    world.work()
    (coming,) = _why(world, ann).next
    assert coming.waits is not None
    assert "we move offices" in coming.waits
    assert coming.about > world.now


def test_a_stopped_sequence_keeps_the_next_mail(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.work()
    row = {"name": "nurture", "reason": "wrong prices", "paused_at": world.now}
    with world.database.write() as connection:
        connection.execute(insert(tables.PausedSequence).values(row))
    assert _why(world, ann).next[0].waits == "wrong prices"


def test_a_draft_waits_for_its_rep(world: World, rita: Rep) -> None:
    ann = _prospect(world, rita)
    (coming,) = _why(world, ann).next
    assert coming.voice is Voice.PERSONAL
    assert coming.waits == "waits for the approval of rita@northwind.example"
    draft = world.row(tables.Message, id=coming.message_id)
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, rita.email, world.now)
    (coming,) = _why(world, ann).next
    assert (coming.waits, coming.about) == (None, draft.due_at)


def test_a_void_approval_is_named(world: World, rita: Rep) -> None:
    ann = _prospect(world, rita)
    draft = world.row(tables.Message, voice="personal")
    with world.database.write() as connection:
        drafts.approve(connection, draft.id, rita, draft.content_hash, rita.email, world.now)
    world.record(ann, "owner_changed")
    assert "owner changed" in str(_why(world, ann).next[0].waits)


def test_a_prospect_without_an_owner_is_told(world: World) -> None:
    ann = world.contact("ann@example.com")
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.advance(days=1)
    (coming,) = _why(world, ann).next
    assert "no owner" in str(coming.waits)


def test_a_run_that_the_rep_interrupted_rests(world: World, rita: Rep) -> None:
    ann = world.contact("ann@example.com", owner=rita)
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.record(ann, "rep_wrote")
    assert "paused until" in str(_why(world, ann).next[0].waits)


def test_a_silent_stage_is_the_reason(world: World, rita: Rep) -> None:
    ann = world.contact("ann@example.com", owner=rita)
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.record(ann, "purchased")
    said = _why(world, ann)
    assert said.next == ()
    assert said.reasons[0].startswith("stage customer is silent")
    assert "sequences/lifecycle.yaml:" in said.reasons[0]
    assert any(answer.what == "moved: prospect → customer" and answer.rule for answer in said.decided)


def test_a_suppression_is_the_reason(world: World) -> None:
    ann = world.contact("ann@example.com")
    with world.database.write() as connection:
        suppress_address(connection, world.program, RING, "ann@example.com", Scope.ALL, "by phone", "cli", world.now)
    said = _why(world, ann)
    assert said.next == ()
    assert said.reasons[0].startswith("suppressed for all since 2026-03-02: by phone")
    assert said.suppressions[0].scope is Scope.ALL


def test_a_finished_run_is_the_reason(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.advance(days=4)
    said = _why(world, ann)
    assert said.next == ()
    assert any(reason.startswith("run 1 of nurture completed on 2026-03-05") for reason in said.reasons)
    assert any("may enter again on" in reason and "sequences/nurture.yaml:" in reason for reason in said.reasons)
    assert next(o for o in said.others if o.sequence == "introduction").reason.startswith("the sequence speaks with")


def test_a_stage_that_no_sequence_addresses_is_the_reason(world: World) -> None:
    world.apply({"sequences/nurture.yaml": ""})
    ann = world.contact("ann@example.com")
    assert "no sequence addresses stage lead" in _why(world, ann).reasons


def test_one_who_may_enter_is_told_what_that_waits_for(world: World) -> None:
    asked = NURTURE.replace("[{stage_entered: {role: nurture}}, {event: created}, manual]", "[{event: page_viewed}]")
    world.apply({"sequences/nurture.yaml": asked})
    ann = world.contact("ann@example.com")
    (reason,) = _why(world, ann).reasons
    assert reason.startswith("nurture: may enter, once this happens: the contact viewed a page")


def test_a_message_that_nobody_knows_about_is_told(world: World) -> None:
    ann = world.contact("ann@example.com")
    world.work()
    with world.database.write() as connection:
        connection.execute(update(tables.Message).values(state="ambiguous", reason="the connection broke"))
    assert _why(world, ann).next[0].waits == "nobody knows whether it went out: the connection broke"


def test_a_run_without_another_mail_says_where_it_waits(world: World) -> None:
    waiting = NURTURE.replace("  - {id: more, email: leads/more, on_refused: advance}\n", "")
    world.apply({"sequences/nurture.yaml": waiting})
    ann = world.contact("ann@example.com")
    world.work()
    assert _why(world, ann).reasons[0] == (
        "run 1 of nurture waits at step pause until 2026-03-05 09:00 UTC, and no mail follows in it "
        f"(sequences/nurture.yaml:{_line(waiting, 'id: pause')})"
    )


def test_nobody_is_left_without_an_answer(world: World, rita: Rep) -> None:
    ids = world.contacts([f"c{number}@example.com" for number in range(8)], owner=rita)
    kinds = ("content_downloaded", "content_downloaded", "replied", "complained", "unsubscribed", "bounced")
    for number, contact in enumerate(ids):
        for kind in kinds[: number + 1]:
            world.record(contact, kind, permanent=True)
    for _ in range(10):
        world.advance(days=4)
        silent = [key for key in ids if not (said := _why(world, key)).next and not said.reasons]
        assert silent == []


def test_an_unknown_contact_is_told(world: World) -> None:
    with pytest.raises(NotFound):
        _why(world, ContactId(77))


def _why(world: World, contact: ContactId) -> Why:
    with world.database.read() as connection:
        return why.explain(connection, contact, Policy(), world.now)


def _prospect(world: World, rita: Rep) -> ContactId:
    ann = world.contact("ann@example.com", owner=rita)
    for _ in range(2):
        world.record(ann, "content_downloaded")
    world.advance(days=1)
    return ann


def _line(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)
