"""Rates hold over all workers; who does not fit gets a slot and a reason, and nobody else waits for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from nurture import drafts, engine, sending, why
from nurture.core.model import ContactId, Rep
from nurture.core.rates import Limit, Rate, Rates
from nurture.db import senders, tables, timers
from nurture.db.session import Database
from nurture.postroom import Postroom
from tests.databases import count_queries
from tests.programs import HOUSE, small
from tests.world import LINKS, Ledger, World

MINUTE = timedelta(minutes=1)
THREE_PER_MINUTE = HOUSE + 'rate = "3 per minute"\n'
GMAIL = Limit("domain:gmail.com:60", "gmail.com", Rate(1, MINUTE))


def test_a_senders_rate_is_part_of_the_applied_program(world: World) -> None:
    world.apply({"nurture.toml": THREE_PER_MINUTE + "per_day = 500\n"})
    row = world.row(tables.Sender)
    assert (row.rate, row.per_day) == ("3 per minute", 500)
    world.apply({})
    row = world.row(tables.Sender)
    assert (row.rate, row.per_day) == (None, None)


def test_who_is_over_the_rate_goes_in_the_next_windows_and_is_told_why(world: World) -> None:
    world.apply({"nurture.toml": THREE_PER_MINUTE})
    people = world.contacts(f"c{number}@example.com" for number in range(8))
    sent = world.work()
    assert (sent.accepted, sent.held) == (3, 5)
    held = people[-1]
    (coming,) = _why(world, held).next
    assert coming.waits == "sender newsletter has reached its rate of 3 per minute (hold)"
    assert coming.about == world.row(tables.Message, contact_id=held).rate_slot
    assert _sent_in_each_minute(world, 4) == [3, 2, 0, 0]
    assert [row.count for row in world.rows(tables.Decision, outcome="hold")] == [1] * 5


def test_a_backlog_is_looked_at_once_and_costs_the_same_for_any_page(world: World) -> None:
    world.apply({"nurture.toml": THREE_PER_MINUTE})
    statements = []
    world.contact("first@example.com")
    world.work()
    for count in (6, 60):
        world.now += timedelta(hours=1)
        world.contacts(f"{count}-{number}@example.com" for number in range(count))
        _plan(world)
        with count_queries(world.database) as counter:
            sending.send_due(world.database, world.postroom, world.now)
        statements.append(counter.count)
        assert sending.send_due(world.database, world.postroom, world.now).due == 0
    assert statements[0] == statements[1]
    assert max(row.count for row in world.rows(tables.Decision)) == 1


def test_without_a_rate_the_database_is_asked_nothing_more(world: World) -> None:
    world.contact("ann@example.com")
    _plan(world)
    with count_queries(world.database) as counter:
        sending.send_due(world.database, world.postroom, world.now)
    assert [statement for statement in counter.statements if "meters" in statement] == []


def test_another_senders_mail_in_the_same_page_goes(world: World) -> None:
    second = HOUSE.replace("[senders.newsletter]", "[senders.events]").partition("[senders")[2]
    house = THREE_PER_MINUTE + "\n[senders" + second.replace("newsletter@", "events@")
    sequence = (
        world_file("nurture.yaml")
        .replace("name: nurture", "name: other")
        .replace("newsletter", "events")
        .replace("voice:", "priority: 60\nvoice:")
    )
    world.apply({"nurture.toml": house, "sequences/other.yaml": sequence})
    world.contacts(f"c{number}@example.com" for number in range(8))
    assert world.work().accepted == 3 + 8


def test_a_domain_has_its_rate_whoever_sends(world: World) -> None:
    world.postroom = replace(world.postroom, rates=Rates(domains={"gmail.com": GMAIL, "googlemail.com": GMAIL}))
    world.contacts(["a@gmail.com", "b@googlemail.com", "c@example.com", "d@gmail.com"])
    assert world.work().accepted == 2
    assert _sent_in_each_minute(world, 3) == [1, 1, 0]
    assert {row.reason for row in world.rows(tables.Decision, outcome="hold")} == {
        "gmail.com has reached its rate of 1 per minute"
    }


def test_a_daily_rate_lets_the_rest_go_on_the_next_days(world: World) -> None:
    world.apply({"nurture.toml": HOUSE + "per_day = 2\n"})
    world.contacts(f"c{number}@example.com" for number in range(5))
    assert world.work().accepted == 2
    sent = []
    for _ in range(3):
        world.advance(days=1)
        sent.append(len(world.rows(tables.Message, state="accepted", step_id="hello")))
    assert sent == [3, 5, 5], "two went today; tomorrow's slots lie over the day, and nine o'clock is before the second"


def test_claims_at_the_same_time_share_one_rate(world: World) -> None:
    world.apply({"nurture.toml": HOUSE + 'rate = "10 per minute"\n'})
    world.contacts(f"c{number}@example.com" for number in range(40))
    _plan(world)
    ready = threading.Barrier(3)
    counts: list[int] = []

    def work(name: str) -> None:
        database = Database(world.database.url.render_as_string(hide_password=False))
        postroom = Postroom({"outbox": Ledger()}, LINKS, name)
        ready.wait(30)
        counts.extend(sending.send_due(database, postroom, world.now, limit=7).accepted for _ in range(4))
        database.dispose()

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == 10
    world.work()
    assert len(world.rows(tables.Message, state="accepted")) == 10
    with world.database.read() as connection:
        assert timers.lost(connection) == []


def test_mail_that_lay_through_a_downtime_does_not_burst(world: World) -> None:
    world.apply({"nurture.toml": THREE_PER_MINUTE})
    world.contacts(f"c{number}@example.com" for number in range(12))
    world.work()
    world.now += timedelta(hours=2)
    assert world.work().accepted == 0, "it missed its slot: each has a new one"
    sent = []
    for _ in range(200):
        world.now += timedelta(seconds=15)
        sent.append(world.work().accepted)
    assert sum(sent) == 9
    assert all(sum(sent[place : place + 4]) <= 3 for place in range(3, 200, 4))


def test_what_a_provider_says_of_its_mailboxes_holds_where_nobody_says_more(world: World) -> None:
    world.postroom = replace(world.postroom, rates=Rates(providers={"outbox": Rate(1, MINUTE)}))
    world.contacts(f"c{number}@example.com" for number in range(3))
    assert world.work().accepted == 1
    world.apply({"nurture.toml": THREE_PER_MINUTE})
    world.contacts(f"d{number}@example.com" for number in range(3))
    assert world.work().accepted == 2, "the sender's own rate wins, and one went already"


def test_a_default_for_reps_holds_for_each_mailbox_of_a_rep_and_for_no_other_sender(world: World) -> None:
    world.postroom = replace(world.postroom, rates=Rates(reps=(Rate(1, MINUTE),)))
    world.contacts(f"c{number}@example.com" for number in range(3))
    assert world.work().accepted == 3
    reps = [world.rep(f"{name}@northwind.example", name) for name in ("rita", "tom")]
    for rep in reps:
        for number in range(2):
            world.record(
                world.contact(f"p{number}.{rep.name}@example.com", owner=rep, stage="prospect"), "stage_entered"
            )
    world.advance(days=2)
    _approve(world, reps)
    assert world.work().accepted == 2, "one from each mailbox"


# --- words ------------------------------------------------------------------------------------------------------------


def world_file(name: str) -> str:
    return small()[f"sequences/{name}"]


def _approve(world: World, reps: Sequence[Rep]) -> None:
    for row in world.rows(tables.Message, state="awaiting_approval"):
        with world.database.write() as connection:
            sender = senders.by_ids(connection, [row.sender_id])[row.sender_id]
            rep = next(rep for rep in reps if rep.id == sender.rep_id)
            drafts.approve(connection, row.id, rep, row.content_hash, rep.name, world.now)


def _plan(world: World) -> None:
    while engine.tick(world.database, "tester", world.now):
        pass


def _why(world: World, contact: ContactId) -> why.Why:
    with world.database.read() as connection:
        return why.explain(connection, contact, world.postroom.policy, world.now)


def _sent_in_each_minute(world: World, minutes: int) -> list[int]:
    """Let time pass a minute at a time; return how many first mails went out in each."""
    counts = []
    world.advance(seconds=59)
    before = len(world.rows(tables.Message, state="accepted"))
    for _ in range(minutes):
        world.advance(seconds=60)
        after = len(world.rows(tables.Message, state="accepted"))
        counts.append(after - before)
        before = after
    return counts
