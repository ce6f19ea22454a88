"""Handoffs from marketing to sales: routed, watched, answered; on both databases."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete

from nurture import drafts, handoff, intake
from nurture import reps as calendars
from nurture.core.handoff import FOREVER
from nurture.core.model import ContactId, Event, Rep
from nurture.db import handoffs, reps, tables, timers
from nurture.errors import NotFound, Refused, UsageError
from nurture.people import add_rep
from nurture.reports.handoffs import handoffs as report
from tests.programs import LIFECYCLE
from tests.world import MONDAY, World

HANDOFF = """\
handoff:
  hours: {days: mon-fri, hours: "09:00-17:00"}
  routing: [contact_owner, account_owner, round_robin: everyone]
  capacity: {open: 3}
  sla:
    accept_within: 4 working hours
    warn_at: 50%
    escalate_after: 6 working hours
    reassign_after: 8 working hours
    reassign_at_most: 1
    escalate_to: vera@northwind.example
  reject:
    not_now: {cool_off: 90 days, unless: [demo_requested]}
    bad_fit: {cool_off: forever, to: lost}
    wrong_person: {cool_off: forever, task: Find a colleague}
"""
HANDED = {"sequences/lifecycle.yaml": LIFECYCLE + HANDOFF}


@pytest.fixture
def handed(world: World) -> World:
    """The small program with a handoff section."""
    world.apply(HANDED)
    return world


def qualify(world: World, *addresses: str, **columns: Any) -> list[ContactId]:
    """Let people become prospects, all in one page."""
    contacts = world.contacts(addresses, **columns)
    page = [Event("content_downloaded", world.now, "x", f"{key}:{n}", key) for key in contacts for n in (1, 2)]
    with world.database.write() as connection:
        intake.record(connection, world.program, page, world.now)
    return contacts


def accept(world: World, rep: Rep, key: int = 1, **how: Any) -> None:
    with world.database.write() as connection:
        handoff.accept(connection, world.program, key, rep, world.now, **how)


def reject(world: World, rep: Rep, reason: str, key: int = 1) -> Any:
    with world.database.write() as connection:
        return handoff.reject(connection, world.program, key, rep, reason, "said so", world.now)


def give_back(world: World, rep: Rep, days: float, key: int = 1) -> str:
    with world.database.write() as connection:
        until = world.now + timedelta(days=days)
        return handoff.give_back(connection, world.program, key, rep, until, "after the fair", world.now)


def kinds(world: World) -> list[str]:
    return [event.kind for event in world.rows(tables.Event) if event.kind.startswith("handoff_")]


def team(world: World) -> tuple[Rep, Rep, Rep]:
    """Rita and Sam sell; Vera leads them, and takes no handoffs."""
    rita, sam = world.rep(), world.rep("sam@northwind.example", "Sam Sen")
    vera = world.rep("vera@northwind.example", "Vera Voss")
    with world.database.write() as connection:
        reps.set_values(connection, vera.id, {"most_open_handoffs": 0})
    return rita, sam, vera


def off(world: World, rep: Rep, first: date, last: date) -> None:
    with world.database.write() as connection:
        calendars.take_off(connection, rep, first, last, None, world.now)


# --- stories ----------------------------------------------------------------------------------------------------------


def test_a_handoff_is_routed_warned_escalated_reassigned_and_accepted(handed: World) -> None:
    rita, sam, vera = team(handed)
    (ann,) = qualify(handed, "ann@acme.example", last_name="Bell")
    opened = handed.row(tables.Handoff)
    assert (opened.rep_id, opened.took_owner, opened.due_at) == (rita.id, True, handed.now + timedelta(hours=4))
    assert (opened.packet["rep"], opened.packet["assigned_because"]) == (rita.email, "whose turn it is")

    handed.advance(hours=2)
    (task,) = handed.rows(tables.Task, kind="handoff")
    assert (task.rep_id, task.title, task.due_at) == (rita.id, "Accept or reject Ann Bell", opened.due_at)

    handed.advance(hours=4)
    assert [(t.rep_id, t.title) for t in handed.rows(tables.Task, kind="handoff", rep_id=vera.id)] == [
        (vera.id, "Ann Bell waits for rita@northwind.example: see to it")
    ]

    handed.advance(hours=2)
    passed = handed.row(tables.Handoff)
    assert (passed.rep_id, passed.warned_at, passed.escalated_at) == (sam.id, None, None)
    assert handed.row(tables.Contact, id=ann).owner_id == sam.id
    assert passed.packet["conflicts"] == [], "rita was the owner only because she had it"
    assert {t.state for t in handed.rows(tables.Task, kind="handoff")} == {"cancelled"}
    first, second = handed.rows(tables.Assignment)
    assert (first.rep_id, first.ended_why, first.worked_minutes) == (rita.id, "did not answer in time", 480)
    assert (second.rep_id, second.ended_at) == (sam.id, None)

    handed.advance(hours=17)
    accept(handed, sam)
    closed = handed.row(tables.Handoff)
    assert (closed.state, closed.closed_by, closed.closed_at) == ("accepted", sam.email, handed.now)
    assert handed.rows(tables.Timer, kind="sla") == []
    assert kinds(handed) == [
        "handoff_opened",
        "handoff_warned",
        "handoff_escalated",
        "handoff_reassigned",
        "handoff_accepted",
    ]
    handed.advance(days=30)
    assert kinds(handed)[-1] == "handoff_accepted"


def test_a_rejected_contact_goes_back_and_stays_until_the_cool_off_is_over(handed: World) -> None:
    rita, _, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    assert reject(handed, rita, "not_now") == ("lead", handed.now + timedelta(days=90))
    contact = handed.row(tables.Contact, id=ann)
    assert (contact.stage, contact.owner_id, contact.barred_why) == ("lead", None, "not_now")
    change = handed.rows(tables.StageChange)[-1]
    assert (change.to_stage, change.reason, change.actor) == ("lead", "rejected by sales: not_now", rita.email)
    handed.advance(days=89)
    handed.record(ann, "content_downloaded")
    handed.record(ann, "content_downloaded")
    assert handed.row(tables.Contact, id=ann).stage == "lead"
    handed.advance(days=2)
    assert handed.row(tables.Contact, id=ann).stage == "prospect"
    assert [row.state for row in handed.rows(tables.Handoff)] == ["rejected", "open"]


def test_who_asks_for_a_demo_does_not_wait_for_the_end_of_the_cool_off(handed: World) -> None:
    rita, _, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    reject(handed, rita, "not_now")
    handed.advance(days=1)
    handed.record(ann, "demo_requested")
    contact = handed.row(tables.Contact, id=ann)
    assert (contact.stage, contact.barred_until) == ("prospect", None)


def test_who_does_not_fit_never_comes_back_and_goes_where_the_file_says(handed: World) -> None:
    rita, _, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    assert reject(handed, rita, "bad_fit") == ("lost", None)
    contact = handed.row(tables.Contact, id=ann)
    assert (contact.stage, contact.barred_until) == ("lost", FOREVER)


def test_a_way_back_that_the_lifecycle_does_not_have_is_refused(handed: World) -> None:
    rita, _, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    handed.record(ann, "purchased")
    with pytest.raises(Refused, match="has no move from 'customer' to 'lead'"):
        reject(handed, rita, "not_now")
    assert handed.row(tables.Handoff).state == "open"


def test_the_wrong_person_leaves_a_task_to_whoever_rejected(handed: World) -> None:
    rita, _, _ = team(handed)
    qualify(handed, "ann@acme.example")
    reject(handed, rita, "wrong_person")
    task = handed.row(tables.Task, kind="custom")
    assert (task.title, task.rep_id, task.note) == ("Find a colleague", rita.id, "Handoff 1: said so")


def test_a_returned_contact_comes_back_to_the_same_rep_at_the_moment_that_was_said(handed: World) -> None:
    rita, _, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    assert give_back(handed, rita, 30) == "lead"
    handed.record(ann, "content_downloaded")
    handed.advance(days=29)
    assert handed.row(tables.Contact, id=ann).stage == "lead"
    handed.advance(days=1, hours=1)
    first, second = handed.rows(tables.Handoff)
    assert (first.state, second.state, second.rep_id) == ("returned", "open", rita.id)
    assert "handoff_resumed" in kinds(handed)
    assert handed.row(tables.Contact, id=ann).stage == "prospect"


def test_what_sales_said_last_counts_when_the_day_of_an_earlier_return_comes(handed: World) -> None:
    rita, sam, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    give_back(handed, rita, 30)
    handed.record(ann, "updated", stage="prospect")
    assert handed.row(tables.Contact, id=ann).stage == "prospect"
    (second,) = handed.rows(tables.Handoff, state="open")
    reject(handed, rita if second.rep_id == rita.id else sam, "not_now", second.id)
    handed.advance(days=31)
    contact = handed.row(tables.Contact, id=ann)
    assert (contact.stage, contact.barred_why) == ("lead", "not_now")
    assert [(row.subject_id) for row in handed.rows(tables.Timer, kind="sla")] == []


def test_a_contact_may_be_returned_only_until_a_moment_ahead(handed: World) -> None:
    rita, _, _ = team(handed)
    qualify(handed, "ann@acme.example")
    for days in (-1, 366):
        with pytest.raises(UsageError, match="say one between"):
            give_back(handed, rita, days)


def test_a_contact_who_leaves_by_the_rules_takes_the_handoff_along(handed: World) -> None:
    team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    handed.record(ann, "complained")
    row = handed.row(tables.Handoff)
    assert (row.state, row.outcome, row.closed_by) == ("returned", "complained", "engine")
    assert handed.rows(tables.Timer, kind="sla") == []


# --- who gets it ------------------------------------------------------------------------------------------------------


def test_without_reps_a_handoff_waits_in_the_queue_until_there_is_one(handed: World) -> None:
    (ann,) = qualify(handed, "ann@acme.example")
    row = handed.row(tables.Handoff)
    assert row.rep_id is None
    assert row.packet["assigned_because"] == "there is no rep: nurture reps import, or nurture reps add"
    rita = handed.rep()
    handed.advance(hours=1)
    assert handed.row(tables.Handoff).rep_id == rita.id
    assert handed.row(tables.Contact, id=ann).owner_id == rita.id
    assert kinds(handed) == ["handoff_opened", "handoff_assigned"]


def test_a_page_goes_round_the_reps_and_nobody_gets_more_than_they_can_take(handed: World) -> None:
    rita, sam, _ = team(handed)
    qualify(handed, *(f"c{number}@example.com" for number in range(8)))
    owners = [row.rep_id for row in handed.rows(tables.Handoff)]
    assert owners == [rita.id, sam.id] * 3 + [None, None]
    skipped = handed.rows(tables.Handoff)[-1].packet["skipped"]
    assert min(skipped) == "Rita Roy: has 3 open handoffs, at most 3"
    accept(handed, rita)
    handed.work()
    assert [row.rep_id for row in handed.rows(tables.Handoff)][-2:] == [rita.id, None]


def test_who_is_away_is_passed_over_with_the_reason(handed: World) -> None:
    rita, sam, _ = team(handed)
    with handed.database.write() as connection:
        reps.add_time_off(connection, rita.id, date(2026, 3, 2), date(2026, 3, 6), "skiing", handed.now)
    qualify(handed, "ann@acme.example")
    row = handed.row(tables.Handoff)
    assert (row.rep_id, row.packet["skipped"]) == (sam.id, ["Rita Roy: is away until 2026-03-09"])


def test_conflicts_of_ownership_are_named(handed: World) -> None:
    rita, sam, _ = team(handed)
    with handed.database.write() as connection:
        reps.add_time_off(connection, rita.id, date(2026, 3, 2), date(2026, 3, 6), None, handed.now)
    qualify(handed, "ann@acme.example", owner=rita, account={"name": "Acme", "owner_id": rita.id})
    row = handed.row(tables.Handoff)
    assert (row.rep_id, row.took_owner) == (sam.id, False)
    assert row.packet["conflicts"] == ["the contact is owned by Rita Roy", "the account is owned by Rita Roy"]
    accept(handed, sam)
    assert handed.row(tables.Contact).owner_id == sam.id


def test_the_same_person_goes_to_the_rep_who_has_them_open_already(handed: World) -> None:
    rita, _, _ = team(handed)
    qualify(handed, "ann@acme.example", "a.bell@acme.example", last_name="Bell", account={"name": "Acme"})
    _, second = handed.rows(tables.Handoff)
    assert (second.rep_id, second.packet["assigned_because"]) == (rita.id, "has the same person open already")
    assert second.packet["conflicts"] == ["Ann Bell is open already, as contact 1, with Rita Roy"]


# --- answers ----------------------------------------------------------------------------------------------------------


def test_who_comes_second_is_told_who_was_first(handed: World) -> None:
    rita, sam, _ = team(handed)
    qualify(handed, "ann@acme.example")
    with pytest.raises(Refused, match="handoff 1 is with Rita Roy: answer it for them with --take"):
        accept(handed, sam)
    accept(handed, sam, take=True)
    with pytest.raises(Refused, match=r"1 was accepted by sam@northwind.example on 2026-03-02 09:00 UTC already"):
        accept(handed, rita)
    assert handed.row(tables.Contact).owner_id == sam.id
    assert [(row.rep_id, row.ended_why) for row in handed.rows(tables.Assignment)] == [
        (rita.id, "answered by sam@northwind.example"),
        (sam.id, "accepted"),
    ]


def test_a_rep_without_a_mailbox_gets_nothing_and_can_accept_nothing(handed: World) -> None:
    rita, sam, _ = team(handed)
    with handed.database.write() as connection:
        connection.execute(delete(tables.Sender).where(tables.Sender.rep_id == rita.id))
    qualify(handed, "ann@acme.example")
    row = handed.row(tables.Handoff)
    assert row.rep_id == sam.id
    assert row.packet["skipped"][0].startswith("Rita Roy: has no mailbox to write from")
    with pytest.raises(Refused, match=r"Rita Roy has no mailbox .* nurture reps add --email rita@northwind"):
        accept(handed, rita, take=True)
    with handed.database.write() as connection:
        add_rep(connection, rita.name, rita.email, "outbox", handed.now)
    accept(handed, rita, take=True)


def test_answers_to_what_is_not_there_are_refused(handed: World) -> None:
    rita, _, _ = team(handed)
    qualify(handed, "ann@acme.example")
    with pytest.raises(NotFound, match="there is no handoff 9"):
        accept(handed, rita, 9)
    with pytest.raises(UsageError, match="no reason 'lazy' to reject a handoff: it has bad_fit, not_now, wrong_person"):
        reject(handed, rita, "lazy")


# --- the clock --------------------------------------------------------------------------------------------------------


def test_the_clock_stands_still_while_the_rep_is_off(handed: World) -> None:
    rita = handed.rep()
    qualify(handed, "ann@acme.example")
    off(handed, rita, date(2026, 3, 2), date(2026, 3, 3))
    handed.advance(hours=10)
    assert kinds(handed) == ["handoff_opened"]
    handed.advance(hours=14 + 24 + 2)
    assert kinds(handed) == ["handoff_opened", "handoff_warned"]


def test_who_goes_away_does_not_keep_what_they_have_not_answered(handed: World) -> None:
    rita, sam, _ = team(handed)
    qualify(handed, "ann@acme.example")
    off(handed, rita, date(2026, 3, 2), date(2026, 3, 20))
    handed.work()
    row = handed.row(tables.Handoff)
    assert (row.rep_id, row.due_at) == (sam.id, handed.now + timedelta(hours=4))
    last = handed.rows(tables.Event, kind="handoff_reassigned")[-1]
    assert last.data["why"] == "is away until 2026-03-23"


def test_an_absence_that_is_known_before_rings_when_it_begins(handed: World) -> None:
    rita, sam, _ = team(handed)
    handed.now += timedelta(hours=7, minutes=30)  # half an hour before the end of Monday's work
    qualify(handed, "ann@acme.example")
    off(handed, rita, date(2026, 3, 3), date(2026, 3, 20))
    handed.work()
    assert handed.row(tables.Handoff).rep_id == rita.id
    handed.advance(hours=16)
    assert handed.row(tables.Handoff).rep_id == sam.id


def test_a_rep_who_leaves_hands_over_what_they_have(handed: World) -> None:
    rita, sam, _ = team(handed)
    qualify(handed, "ann@acme.example")
    with handed.database.write() as connection:
        reps.set_values(connection, rita.id, {"active": False})
        handoffs.wake_of(connection, rita.id, handed.now)
    handed.work()
    assert handed.row(tables.Handoff).rep_id == sam.id
    assert kinds(handed)[-1] == "handoff_reassigned"


def test_watching_and_opening_ask_a_constant_number_of_queries(
    handed: World, queries: Callable[[], AbstractContextManager[Any]]
) -> None:
    team(handed)
    opened, watched = [], []
    for size in (3, 60):
        addresses = [f"c{number}@page{size}.example" for number in range(size)]
        contacts = handed.contacts(addresses)
        for number in (1, 2):
            page = [Event("content_downloaded", handed.now, "x", f"{key}:{number}", key) for key in contacts]
            with queries() as counter, handed.database.write() as connection:
                intake.record(connection, handed.program, page, handed.now)
        opened.append(counter.count)
        with handed.database.write() as connection:
            rung = [("sla", row.id, handed.now) for row in handed.rows(tables.Handoff, state="open")]
            timers.set_timers(connection, rung)
        with queries() as counter:
            handoff.watch(handed.database, "tester", handed.now)
        watched.append(counter.count)
    assert opened[0] == opened[1]
    assert watched[0] == watched[1]


# --- at the same moment -----------------------------------------------------------------------------------------------


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Let threads act at the same moment; return what each returned or raised."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return act()
        except Refused as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_workers_who_open_handoffs_at_once_go_round_and_keep_the_capacity(handed: World) -> None:
    rita, sam, _ = team(handed)
    contacts = handed.contacts([f"c{number}@example.com" for number in range(8)])

    def download(mine: list[ContactId], number: int) -> None:
        page = [Event("content_downloaded", handed.now, "x", f"{key}:{number}", key) for key in mine]
        with handed.database.write() as connection:
            intake.record(connection, handed.program, page, handed.now)

    download(contacts, 0)
    at_once(*(partial(download, contacts[start::4], 1) for start in range(4)))
    got = Counter(row.rep_id for row in handed.rows(tables.Handoff))
    assert got == {rita.id: 3, sam.id: 3, None: 2}


def test_of_two_reps_who_accept_at_once_one_wins_and_the_other_is_told(handed: World) -> None:
    rita, sam, _ = team(handed)
    (ann,) = qualify(handed, "ann@acme.example")
    answers = at_once(partial(accept, handed, rita, take=True), partial(accept, handed, sam, take=True))
    (refused,) = [answer for answer in answers if answer is not None]
    row = handed.row(tables.Handoff)
    assert str(refused) == f"handoff 1 was accepted by {row.closed_by} on 2026-03-02 09:00 UTC already"
    assert handed.row(tables.Contact, id=ann).owner_id == row.rep_id
    assert kinds(handed) == ["handoff_opened", "handoff_accepted"]


def test_drafts_go_to_the_rep_who_has_the_contact_now(handed: World) -> None:
    rita, sam, _ = team(handed)
    qualify(handed, "ann@acme.example")
    handed.advance(days=1, hours=2)
    assert handed.row(tables.Handoff).rep_id == sam.id
    (draft,) = handed.rows(tables.Message, voice="personal")
    sender = handed.row(tables.Sender, id=draft.sender_id)
    assert (draft.state, sender.rep_id) == ("awaiting_approval", sam.id)
    assert "Sam Sen" in draft.text_body
    with handed.database.write() as connection:
        drafts.approve(connection, draft.id, sam, draft.content_hash, sam.email, handed.now)
    accept(handed, rita, take=True)
    handed.work()
    (again,) = handed.rows(tables.Message, voice="personal")
    assert (again.state, again.approval_id, again.void_reason) == ("awaiting_approval", None, "owner changed")
    assert "Rita Roy" in again.text_body


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_counts_answers_by_rep_by_reason_and_by_what_had_scored(handed: World) -> None:
    rita, sam, _ = team(handed)
    qualify(handed, "ann@acme.example", "bob@acme.example", "cy@acme.example", account={"name": "A", "employees": 90})
    qualify(handed, "dan@else.example")
    handed.advance(hours=1)
    accept(handed, rita, 1)
    reject(handed, sam, "not_now", 2)
    reject(handed, rita, "bad_fit", 3)
    handed.advance(days=1)
    with handed.database.read() as connection:
        found = report(connection, MONDAY, handed.now)
        later = report(connection, handed.now, handed.now)
    total = found.total
    assert (total.opened, total.accepted, total.rejected, total.open, total.late, total.minutes) == (4, 1, 2, 1, 1, 60)
    assert (total.passed_on, later.total.passed_on) == (1, 0)
    assert found.reasons == {"bad_fit": 1, "not_now": 1}
    by_rep = {line.name: (line.opened, line.accepted, line.rejected, line.late, line.passed_on) for line in found.reps}
    assert by_rep == {rita.email: (3, 1, 1, 0, 0), sam.email: (2, 0, 1, 1, 1)}
    (rule,) = found.rules
    assert (rule.name, rule.opened, rule.rejected_share) == ("big enough", 3, 0.667)
    assert rule.why_rejected == {"bad_fit": 1, "not_now": 1}
    (category,) = found.categories
    assert (category.name, category.opened) == ("downloads", 4)
    assert later.total.opened == 0
