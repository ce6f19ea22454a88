"""Named races between processes: one stops at a failpoint (SIGSTOP), the world changes, it wakes up and goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from nurture import drafts, failpoints, pausing, scheduler
from nurture.core.model import ContactId
from nurture.db import people, tables
from nurture.errors import Refused
from nurture.postroom import Postroom
from tests.faults import promises
from tests.faults.conftest import Forker, url_of
from tests.faults.copies import end_leases
from tests.faults.forker import BATCH, WIDE
from tests.faults.ledger import Ledger
from tests.programs import LEAD_TEXT, NURTURE
from tests.world import LINKS, RING, World

KILLED = -9
LEADS = ["ann", "cleo", "dan"]

Meddle = Callable[[World], object]


def events(kind: str, who: str) -> Meddle:
    """Let something happen to somebody."""
    return lambda world: world.record(contact(world, who), kind)


def by_rep(act: Callable[..., object], *words: Any, **more: Any) -> Meddle:
    """Let Rita do something with Bob's draft."""

    def meddle(world: World) -> None:
        with world.database.write() as connection:
            (rita,) = people.reps(connection)
            act(connection, draft(world).id, rita, *words, **more, now=world.now)

    return meddle


def switched(act: Callable[..., object], *words: Any) -> Meddle:
    """Switch something off."""

    def meddle(world: World) -> None:
        with world.database.write() as connection:
            act(connection, *words)

    return meddle


def pause_newsletter(world: World) -> None:
    with world.database.write() as connection:
        pausing.pause_sender(connection, "newsletter", "stop", world.now)


def pause_nurture(world: World) -> None:
    with world.database.write() as connection:
        pausing.pause_sequence(connection, "nurture", "stop", world.now)


def merge(world: World) -> None:
    changed(world, "ann", merged_into=contact(world, "cleo"))


def erase(world: World) -> None:
    changed(world, "ann", erased_at=world.now)


def changed(world: World, who: str, **values: Any) -> None:
    with world.database.write() as connection:
        connection.execute(update(tables.Contact).where(tables.Contact.id == contact(world, who)).values(values))


def edit_template(world: World) -> None:
    world.apply({"templates/leads/hello.txt": LEAD_TEXT.format(subject="Edited", body="edited.")})


def remove_step(world: World) -> None:
    world.apply({"sequences/nurture.yaml": NURTURE.replace("  - {id: hello, email: leads/hello}\n", "")})


MEDDLING = [
    ("ann unsubscribes", events("unsubscribed", "ann"), ["ann"]),
    ("ann complains", events("complained", "ann"), ["ann"]),
    ("bob replies", events("replied", "bob"), ["bob"]),
    ("the rep writes by hand", events("rep_wrote", "bob"), ["bob"]),
    ("bob gets another owner", events("owner_changed", "bob"), ["bob"]),
    ("bob moves to another voice", events("purchased", "bob"), ["bob"]),
    ("all sending is paused", switched(pausing.pause_all, "stop"), [*LEADS, "refused", "bob"]),
    ("the sender is paused", pause_newsletter, [*LEADS, "refused"]),
    ("the sequence is paused", pause_nurture, [*LEADS, "refused"]),
    ("ann's address bounces", lambda world: world.record(contact(world, "ann"), "bounced", permanent=True), ["ann"]),
    ("ann is merged into cleo", merge, ["ann"]),
    ("the sequence is removed, and its runs finish", lambda world: world.apply({"sequences/nurture.yaml": ""}), []),
]
RARER = [
    ("ann is erased", erase, ["ann"]),
    ("the template is edited, and what was written goes", edit_template, []),
    ("the step is removed, and its runs finish on their version", remove_step, []),
]


CASES = [pytest.param(*rest, id=name) for name, *rest in MEDDLING]
CASES += [pytest.param(*rest, id=name, marks=pytest.mark.soak) for name, *rest in RARER]


@pytest.mark.parametrize(("meddle", "spared"), CASES)
def test_what_happens_between_claim_and_dispatch_is_obeyed(
    scene: World, forker: Forker, ledger: Ledger, meddle: Meddle, spared: list[str]
) -> None:
    begin(scene, forker, ledger, failpoints.CLAIMED)
    meddle(scene)
    assert forker.ask("go on") == [0]
    reached = {who for who in [*LEADS, "bob"] if sent(scene, ledger, who)}
    assert reached == {*LEADS, "bob"} - set(spared)
    assert {who for who in [*LEADS, "bob"] if state(scene, who) == "accepted"} == reached
    promises.check(scene.database, ledger.taken())


CHANGES_OF_MIND = [
    pytest.param(by_rep(drafts.edit, subject="Another", text=None), "awaiting_approval", id="edit"),
    pytest.param(by_rep(drafts.reject, "no"), "cancelled", id="reject"),
    pytest.param(by_rep(drafts.snooze, datetime(2027, 1, 1, tzinfo=UTC)), "approved", id="snooze"),
]


@pytest.mark.parametrize(("act", "after"), CHANGES_OF_MIND)
def test_a_rep_takes_back_what_is_claimed_and_nothing_of_it_leaves(
    scene: World, forker: Forker, ledger: Ledger, act: Meddle, after: str
) -> None:
    """Of a process that is alive; one that was killed has no say either."""
    begin(scene, forker, ledger, failpoints.CLAIMED)
    assert draft(scene).state == "claimed"
    act(scene)
    assert forker.ask("go on") == [0]
    assert draft(scene).state == after
    assert not sent(scene, ledger, "bob")
    promises.check(scene.database, ledger.taken())


@pytest.mark.parametrize("act", [case.values[0] for case in CHANGES_OF_MIND[:2]])
def test_a_rep_who_comes_too_late_is_told_so_and_what_they_approved_goes_out(
    scene: World, forker: Forker, ledger: Ledger, act: Meddle
) -> None:
    begin(scene, forker, ledger, failpoints.DISPATCHING, batch=10)
    with pytest.raises(Refused, match="is dispatching"):
        act(scene)
    assert forker.ask("go on") == [0]
    assert (draft(scene).state, draft(scene).subject) == ("accepted", "A question")
    promises.check(scene.database, ledger.taken())


def test_a_pause_holds_and_a_resume_sends_each_once(scene: World, forker: Forker, ledger: Ledger) -> None:
    begin(scene, forker, ledger, failpoints.CLAIMED)
    switched(pausing.pause_all, "stop")(scene)
    assert forker.ask("go on") == [0]
    work(scene, ledger)
    assert ledger.taken() == {}
    switched(pausing.resume_all)(scene)
    for _ in range(2):  # they missed their slots, and get new ones
        scene.now += timedelta(hours=1)
        work(scene, ledger)
    assert len(ledger.taken()) == 4
    promises.check(scene.database, ledger.taken())


@pytest.mark.parametrize("batch", [BATCH, WIDE], ids=["plain", "direct"])
def test_after_dispatch_an_unsubscribe_is_recorded_and_nothing_follows(
    scene: World, forker: Forker, ledger: Ledger, batch: int
) -> None:
    begin(scene, forker, ledger, failpoints.ANSWERED, batch=batch)
    in_flight = [row.contact_id for row in scene.rows(tables.Message, state="dispatching")]
    assert in_flight
    for key in in_flight:
        scene.record(key, "complained")
    assert forker.ask("go on") == [0]
    for days in (4, 8):
        scene.now += timedelta(days=days)
        work(scene, ledger)
    later = [row for key in in_flight for row in scene.rows(tables.Message, contact_id=key)]
    went = {row.to_address: row.state for row in later}
    assert went == {to: "refused" if to.startswith("refused") else "accepted" for to in went}
    assert len(later) == len(in_flight), "nothing follows"
    promises.check(scene.database, ledger.taken())


# --- sent directly ----------------------------------------------------------------------------------------------------


def suppress_ann(world: World) -> None:
    """Suppress an address, as an import does, without touching whose it is."""
    row = {"address_hash": RING.address_hash("ann@example.com"), "scope": "marketing", "reason": "imported"}
    with world.database.write() as connection:
        values = {**row, "actor": "olga", "source": "import", "created_at": world.now}
        connection.execute(insert(tables.Suppression).values(values))


LATE_WORDS = [
    pytest.param(switched(pausing.pause_all, "stop"), LEADS, id="all sending is paused"),
    pytest.param(pause_newsletter, LEADS, id="the sender is paused"),
    pytest.param(pause_nurture, LEADS, id="the sequence is paused"),
    pytest.param(suppress_ann, ["ann"], id="ann's address is suppressed"),
]


@pytest.mark.parametrize("prepared", [pytest.param("postgresql", marks=pytest.mark.pg)], indirect=True)
@pytest.mark.parametrize(("meddle", "spared"), LATE_WORDS)
def test_what_is_committed_while_a_page_is_decided_directly_is_obeyed(
    scene: World, forker: Forker, ledger: Ledger, meddle: Meddle, spared: list[str]
) -> None:
    """SQLite has one writer: there nobody commits anything meanwhile."""
    begin(scene, forker, ledger, failpoints.DECIDED, batch=WIDE)
    meddle(scene)
    assert forker.ask("go on") == [0]
    assert {who for who in LEADS if sent(scene, ledger, who)} == set(LEADS) - set(spared)
    assert {who for who in LEADS if state(scene, who) == "accepted"} == set(LEADS) - set(spared)
    promises.check(scene.database, ledger.taken())
    work(scene, ledger)
    scene.now += timedelta(hours=1)
    work(scene, ledger)
    assert {who for who in LEADS if sent(scene, ledger, who)} == set(LEADS) - set(spared)
    promises.check(scene.database, ledger.taken())


@pytest.mark.parametrize("point", [failpoints.DISPATCHING, failpoints.ANSWERED])
@pytest.mark.parametrize("meddle", [events("unsubscribed", "ann"), pause_nurture], ids=["leaves", "is-paused"])
def test_what_happens_to_a_run_that_is_sent_to_directly_is_kept(
    scene: World, forker: Forker, ledger: Ledger, point: str, meddle: Meddle
) -> None:
    """Its row is written only when the provider has answered: nothing is written over meanwhile."""
    begin(scene, forker, ledger, point, batch=WIDE)
    assert state(scene, "ann") == "dispatching"
    meddle(scene)
    before = scene.row(tables.Enrollment, contact_id=contact(scene, "ann"))
    assert forker.ask("go on") == [0]
    after = scene.row(tables.Enrollment, contact_id=contact(scene, "ann"))
    assert state(scene, "ann") == "accepted"
    assert (after.state == "exited") is (before.state == "exited")
    promises.check(scene.database, ledger.taken())
    for days in (4, 8):
        scene.now += timedelta(days=days)
        work(scene, ledger)
    promises.check(scene.database, ledger.taken())


# --- past the lease ---------------------------------------------------------------------------------------------------


WAYS = [
    *(pytest.param(point, BATCH, id=f"plain-{point}") for point in failpoints.POINTS),
    *(pytest.param(point, WIDE, id=f"direct-{point}") for point in failpoints.DIRECT_POINTS),
]


@pytest.mark.parametrize(("point", "batch"), WAYS)
def test_one_that_is_stopped_past_its_lease_and_wakes_up_sends_nothing_twice(
    scene: World, forker: Forker, ledger: Ledger, point: str, batch: int
) -> None:
    if point == failpoints.DECIDED and scene.database.dialect == "sqlite":
        return  # it holds the only lock there is: whoever stops it there stops everybody
    begin(scene, forker, ledger, point, batch=batch)
    in_flight = [row.id for row in scene.rows(tables.Message, state="dispatching")]
    end_leases(scene.database, alone=False)
    work(scene, ledger)
    states = {row.id: row.state for row in scene.rows(tables.Message)}
    assert all(states[key] == "ambiguous" for key in in_flight)
    before = ledger.taken()
    assert forker.ask("go on") == [0]
    woken = promises.check(scene.database, ledger.taken())
    assert woken["ambiguous"] == 0, "its late receipt is the truth"
    assert woken["accepted"] == 4
    if point not in (failpoints.DECIDED, failpoints.DISPATCHING):  # there the bytes leave only now
        assert ledger.taken() == before


@pytest.mark.parametrize(("point", "batch"), WAYS)
def test_one_that_is_killed_is_taken_over_and_what_was_in_flight_is_ambiguous(
    scene: World, forker: Forker, ledger: Ledger, point: str, batch: int
) -> None:
    """Each failpoint is reached, or nothing would have killed it."""
    race = {"url": url_of(scene), "http": ledger.http, "now": scene.now.isoformat(), "point": point, "batch": batch}
    assert forker.ask("race", then="kill", **race) == [KILLED]
    end_leases(scene.database)
    work(scene, ledger)
    states = promises.check(scene.database, ledger.taken())
    in_flight = point in (failpoints.DISPATCHING, failpoints.ANSWERED)
    assert bool(states["ambiguous"]) is in_flight
    assert states["ambiguous"] + states["accepted"] + states["refused"] == 5


# --- many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processes", "count"), [(3, 90), pytest.param(8, 1000, marks=pytest.mark.soak)], ids=["3-of-90", "8-of-1000"]
)
def test_many_schedulers_at_once_send_each_message_once(
    scene: World, forker: Forker, ledger: Ledger, processes: int, count: int
) -> None:
    scene.contacts(f"c{number}@example.com" for number in range(count))
    url = url_of(scene)
    ended = forker.ask("race", url=url, http=ledger.http, now=scene.now.isoformat(), processes=processes, batch=10)
    assert ended == [0] * processes
    work(scene, ledger)
    states = promises.check(scene.database, ledger.taken())
    assert states["accepted"] == len(ledger.taken()) == count + 4
    assert {row.attempts for row in scene.rows(tables.Message, state="accepted")} == {1}


# --- words ------------------------------------------------------------------------------------------------------------


def begin(world: World, forker: Forker, ledger: Ledger, point: str, **more: Any) -> None:
    """Let a process run until it stops at a failpoint."""
    race = {"url": url_of(world), "http": ledger.http, "now": world.now.isoformat(), "point": point, **more}
    ended = forker.ask("race", then="stop", **race)
    assert ended == ["stopped"]


def work(world: World, ledger: Ledger) -> None:
    """Let a healthy process do all that is due."""
    with closing(ledger.provider("postmark")) as provider:
        postroom = Postroom({"outbox": provider}, LINKS, scheduler.new_owner())
        scheduler.run_once(world.database, postroom, world.now)


def contact(world: World, who: str) -> ContactId:
    return ContactId(world.row(tables.Address, email=f"{who}@example.com").contact_id)


def draft(world: World) -> Any:
    return world.row(tables.Message, to_address="bob@example.com")


def state(world: World, who: str) -> str:
    return str(world.row(tables.Message, to_address=f"{who}@example.com").state)


def sent(world: World, ledger: Ledger, who: str) -> bool:
    return bool(ledger.taken()[world.row(tables.Message, to_address=f"{who}@example.com").message_id_header])
