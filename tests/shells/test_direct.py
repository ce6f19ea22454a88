"""Sending directly: the same as on the plain way in fewer steps, and not at all where the plain way is needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from nurture import direct, failpoints, pausing, planning, sending
from nurture.core.model import ContactId
from nurture.core.rates import Limit, Rate, Rates
from nurture.db import instance, tables
from nurture.db.clock import database_clock
from nurture.db.session import Database
from nurture.direct import Direct
from nurture.errors import DatabaseError, Fenced, SuppressionKeyError
from nurture.mail.keys import KeyRing
from nurture.mail.wire import Outgoing
from nurture.postroom import Sent
from nurture.providers.base import Outcome, Receipt
from nurture.scheduler import Scheduler, run_once
from nurture.witness import FILE, Witness
from tests import databases
from tests.programs import HOUSE, LEAD_TEXT, NURTURE
from tests.shells.alike import contents
from tests.world import LINKS, RING, Ledger, World

WIDE = 500
"""How many mails the ledger carries at once: enough to be sent to directly."""


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Straight(World):
    """A world whose work is done as `nurture run --once` does it."""

    def work(self) -> Sent:
        """Do everything that is due now."""
        return run_once(self.database, self.postroom, self.now).sent


@dataclass
class Counting(Ledger):
    """A ledger that says how many mails came in each call."""

    sizes: list[int] = field(default_factory=list)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        self.sizes.append(len(group))
        return super().send(group, seconds=seconds)


def page(world: World) -> Sent:
    """Send a page directly, and nothing on the plain way."""
    with Direct(world.database, world.postroom) as sender:
        return sender.page(world.now)


def states(world: World) -> list[str]:
    """Return the state of each message, by the contact's key."""
    return [row.state for row in sorted(world.rows(tables.Message), key=lambda row: row.contact_id)]


def words(world: World) -> list[Any]:
    return world.rows(tables.Lease)


def pages_answer(world: World, days: int = 30) -> None:
    """Let the unsubscribe pages have answered."""
    with world.database.write() as connection:
        instance.record_unsubscribe_test(connection, LINKS.public_url, world.now + timedelta(days=days))


# --- the same as on the plain way -------------------------------------------------------------------------------------


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[tuple[World, World]]:
    """Two worlds that are alike, on databases of one kind: one works on the plain way, the other directly."""
    with ExitStack() as stack:
        other = (
            databases.sqlite_url(tmp_path)
            if database.dialect == "sqlite"
            else stack.enter_context(databases.postgresql_url())
        )
        second = stack.enter_context(closing_database(other))
        yield World(database, tmp_path / "plain"), Straight(second, tmp_path / "direct")


class closing_database:  # noqa: N801 - reads as the call it is
    """A database for a block."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def __enter__(self) -> Database:
        return self.database

    def __exit__(self, *_: object) -> None:
        self.database.dispose()


SEQUENCE = """\
kind: sequence
name: nurture
voice: marketing
audience: {role: nurture}
enroll_when: [{stage_entered: {role: nurture}}, {event: created}]
reentry: {after: 30 days}
sender: newsletter
window: {days: [mon, tue, wed, thu, fri], hours: "08:00-18:00", spread: 10 minutes}
steps:
  - {id: begin, update: {set: {fields.plan: pro}}}
  - {id: hello, email: leads/hello}
  - id: fork
    delay: 1 day
    branch:
      - if: did('page_viewed')
        then: [{id: more, email: leads/more, on_refused: advance}]
      - else: [{id: pause, wait: 2 days}]
  - {id: again, email: leads/more, late: skip}
"""

RICH = {
    "sequences/nurture.yaml": SEQUENCE,
    "templates/leads/hello.txt": LEAD_TEXT.format(subject="Hello {{ title }}", body="welcome."),
}

ANSWERS = {
    "refused@example.com": Receipt(0, Outcome.REFUSED, detail="550 no such user"),
    "later@example.com": Receipt(0, Outcome.NOT_SENT, detail="421 busy"),
    "limited@example.com": Receipt(0, Outcome.NOT_SENT, detail="429", retry_after=90.0),
    "unknown@example.com": Receipt(0, Outcome.AMBIGUOUS, detail="read timeout"),
}


def peopled(world: World) -> Ledger:
    """Let people of every kind be in a world; return the provider through which it sends."""
    world.apply(RICH)
    ledger = Ledger(answers=dict(ANSWERS))
    world.use(ledger)
    rita = world.rep()
    acme = {"name": "Acme", "employees": 80}
    world.contact("late@example.com", title="CFO")
    world.now += timedelta(hours=2)
    world.contacts(["ann@example.com", "cleo@example.com"], title="CTO", time_zone="Europe/Berlin", account=acme)
    world.contacts(["kim@example.com"], title="CTO", time_zone="Asia/Tokyo")
    world.contacts(["gone@example.com", *ANSWERS], title="CEO")
    world.contact("untitled@example.com")
    bob = world.contact("bob@example.com", title="COO", owner=rita, account=acme)
    for _ in range(3):
        world.record(bob, "content_downloaded")
    gone = {"address_hash": RING.address_hash("gone@example.com"), "scope": "marketing", "reason": "asked"}
    with world.database.write() as connection:
        row = {**gone, "actor": "them", "source": "test", "created_at": world.now}
        connection.execute(tables.Suppression.__table__.insert().values(row))
    return ledger


@contextmanager
def directly() -> Iterator[list[int]]:
    """Count the pages whose mail was decided for being sent directly."""
    pages: list[int] = []
    failpoints.armed[failpoints.DECIDED] = lambda: pages.append(1)
    try:
        yield pages
    finally:
        failpoints.armed.clear()


def test_whoever_goes_directly_or_the_plain_way_gets_the_same_rows(pair: tuple[World, World]) -> None:
    ledgers = [peopled(world) for world in pair]
    with directly() as pages:
        for days in (0, 1, 1.5, 4):
            for world in pair:
                world.advance(days=days)
                world.record(ContactId(2), "page_viewed")
            same_rows(pair, f"after {days} days")
            for ledger in ledgers:
                ledger.answers.clear()
    assert len(pages) >= 3, "the other world has its mail sent directly"
    took = [sorted((mail.to_address, mail.message_id, mail.text, mail.date) for mail in each.taken) for each in ledgers]
    assert took[0] == took[1]
    assert set(states(pair[1])) >= {"accepted", "cancelled", "refused"}
    assert not words(pair[1])


def same_rows(pair: tuple[World, World], when: str) -> None:
    plain, straight = map(contents, pair)
    for table, rows in plain.items():
        assert straight[table] == rows, f"{table} {when}"


PERSON = st.fixed_dictionaries(
    {
        "zone": st.sampled_from([None, "Asia/Tokyo", "America/New_York"]),
        "titled": st.booleans(),
        "answer": st.sampled_from([None, *ANSWERS.values()]),
        "downloads": st.integers(0, 3),
        "waits": st.sampled_from([0, 0, 5, 30]),
        "leaves": st.sampled_from([None, None, "unsubscribed", "replied", "bounced"]),
    }
)


@pytest.mark.parametrize(
    "examples", [pytest.param(3, id="a-few"), pytest.param(150, id="many", marks=pytest.mark.soak)]
)
def test_any_world_gets_the_same_rows_directly(examples: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(PERSON, min_size=1, max_size=5), st.lists(st.sampled_from([0.1, 1, 3, 9]), min_size=1, max_size=2))
    def alike(crowd: list[dict[str, Any]], days: list[float]) -> None:
        folder = tmp_path_factory.mktemp("pair")
        opened = [Database(databases.sqlite_url(folder)) for _ in range(2)]
        pair = World(opened[0], folder / "plain"), Straight(opened[1], folder / "direct")
        for world in pair:
            lived(world, crowd, days)
        same_rows(pair, "in the end")
        for database in opened:
            database.dispose()

    alike()


def lived(world: World, crowd: list[dict[str, Any]], days: list[float]) -> None:
    """Let people come to a world, days pass there, and some of them leave."""
    world.apply(RICH)
    rita = world.rep()
    answers: dict[str, Receipt] = {}
    world.use(Ledger(answers=answers))
    ids = []
    for number, who in enumerate(crowd):
        address = f"c{number}@example.com"
        title = "CTO" if who["titled"] else None
        ids.append(world.contact(address, time_zone=who["zone"], title=title, owner=rita, account={"employees": 80}))
        if who["answer"]:
            answers[address] = who["answer"]
        for _ in range(who["downloads"]):
            world.record(ids[-1], "content_downloaded")
        world.now += timedelta(hours=who["waits"])
    for span in days:
        world.advance(days=span)
        answers.clear()
        for key, who in zip(ids, crowd, strict=True):
            if who["leaves"]:
                world.record(key, who["leaves"], **({"permanent": True} if who["leaves"] == "bounced" else {}))


def test_a_contact_with_two_runs_and_runs_of_older_versions_get_the_same_rows(pair: tuple[World, World]) -> None:
    """And contacts whose zone comes from themselves, their country or their account, some of it no zone."""
    second = NURTURE.replace("name: nurture", "name: second").replace(
        "voice: marketing", "voice: marketing\npriority: 9"
    )
    weekly = NURTURE.replace("window: always", "window: {days: [mon], hours: '08:00-09:30'}")
    for world in pair:
        world.use(Ledger())
        world.apply({"sequences/second.yaml": second})
        world.contacts(["ann@example.com", "bob@example.com"])
        world.advance(minutes=1)
        assert len(world.rows(tables.Message)) == 4
        world.apply({"sequences/second.yaml": second, "sequences/nurture.yaml": weekly.replace("3 days", "2 days")})
        for number, zone in enumerate([{"country": "DE"}, {"time_zone": "No/Where", "account": {"country": "DE"}}]):
            world.contacts([f"c{number}@example.com", f"d{number}@example.com"], **zone)
        world.advance(days=8)
    assert set(states(pair[1])) == {"accepted"}
    same_rows(pair, "after a week")


def test_what_is_left_of_the_launch_cap_is_told_as_on_the_plain_way(pair: tuple[World, World]) -> None:
    for world in pair:
        pages_answer(world)
        world.use(Ledger(real=True), launch_cap=10)
        world.contacts(f"c{number}@example.com" for number in range(4))
        world.work()
    same_rows(pair, "under the cap")


# --- what goes the plain way ------------------------------------------------------------------------------------------


SLOW_SENDER = HOUSE + 'rate = "3 per minute"\n'
GMAIL = Rates(domains={"example.com": Limit("domain:example.com:60", "example.com", Rate(1, timedelta(minutes=1)))})
POSTMARKS = Rates(providers={"outbox": Rate(1, timedelta(minutes=1))})


def sends_through(world: World, sender: str, provider: str) -> None:
    with world.database.write() as connection:
        connection.execute(update(tables.Sender).where(tables.Sender.name == sender).values(provider=provider))


def kill_switch(world: World) -> None:
    with world.database.write() as connection:
        pausing.pause_all(connection, "stop")


def pause_sender(world: World) -> None:
    with world.database.write() as connection:
        pausing.pause_sender(connection, "newsletter", "stop", world.now)


def pause_sequence(world: World) -> None:
    with world.database.write() as connection:
        pausing.pause_sequence(connection, "nurture", "stop", world.now)


NOT_DIRECTLY: list[Any] = [
    pytest.param(lambda world: world.apply({"nurture.toml": SLOW_SENDER}), {}, Ledger(), id="the sender has a rate"),
    pytest.param(None, {"rates": POSTMARKS}, Ledger(), id="the provider's mailboxes have a rate"),
    pytest.param(None, {"rates": GMAIL}, Ledger(), id="a domain has a rate"),
    pytest.param(None, {"allow_domains": frozenset({"other.example"})}, Ledger(), id="domains are not allowed"),
    pytest.param(lambda world: sends_through(world, "newsletter", "gone"), {}, Ledger(), id="no such provider"),
    pytest.param(kill_switch, {}, Ledger(), id="all sending is paused"),
    pytest.param(pause_sender, {}, Ledger(), id="the sender is paused"),
    pytest.param(pause_sequence, {}, Ledger(), id="the sequence is paused"),
    pytest.param(None, {}, Ledger(real=True), id="the unsubscribe pages did not answer"),
    pytest.param(None, {"launch_cap": 1}, Ledger(real=True), id="the launch cap has no room for all"),
    pytest.param(None, {}, Ledger(batch=direct.LEAST - 1), id="the provider carries few at once"),
]


@pytest.mark.parametrize(("prepare", "rules", "ledger"), NOT_DIRECTLY)
def test_what_may_not_go_at_once_is_planned_and_goes_the_plain_way(
    world: World, prepare: Any, rules: dict[str, Any], ledger: Ledger
) -> None:
    if "launch_cap" in rules:
        pages_answer(world)
    if prepare:
        prepare(world)
    world.use(ledger := replace(ledger, taken=[]), **rules)
    world.contacts(["ann@example.com", "bob@example.com"])
    assert page(world) == Sent(due=2)
    assert ledger.taken == []
    assert states(world) == ["ready", "ready"]
    assert world.rows(tables.Decision) == world.rows(tables.Meter) == world.rows(tables.SendCount) == []
    assert {row.attempts for row in world.rows(tables.Timer, kind="message")} == {0}


def test_personal_mail_is_drafted_and_waits_for_its_rep(world: World) -> None:
    bob = world.contact("bob@example.com", owner=world.rep(), account={"name": "Acme", "employees": 80})
    for _ in range(3):
        world.record(bob, "content_downloaded")
    world.use(ledger := Ledger())
    world.now += timedelta(days=2)
    while page(world).due:
        pass
    assert [(row.voice, row.state) for row in world.rows(tables.Message)] == [("personal", "planned")]
    assert ledger.taken == []


def test_more_than_the_provider_carries_at_once_goes_the_plain_way(world: World) -> None:
    """Nobody knows who is to carry the first page, so it is as long as the fastest could carry."""
    world.use(ledger := Counting(batch=60))
    world.postroom = replace(world.postroom, providers={"outbox": ledger, "idle": Ledger(name="idle")})
    world.contacts(f"c{number}@example.com" for number in range(130))
    with Direct(world.database, world.postroom) as sender:
        assert sender.page(world.now).accepted == 60
        assert (sender.most, states(world).count("ready")) == (500, 70)
        world.contacts(f"d{number}@example.com" for number in range(100))
        pages = [sender.page(world.now) for _ in range(2)]
    assert [(sent.due, sent.accepted) for sent in pages] == [(60, 60), (40, 40)]
    assert sender.most == 60
    sending.send_due(world.database, world.postroom, world.now)
    assert (ledger.sizes, set(states(world))) == ([60, 60, 40, 60, 10], {"accepted"})


SECOND = """
[senders.second]
voice = "marketing"
address = "second@northwind.example"
display_name = "Northwind Analytics"
provider = "outbox"
"""


@pytest.mark.parametrize(("batch", "first"), [(500, [3, 0]), (1, [0, 1])], ids=["both-are-fast", "one-is-slow"])
def test_of_two_providers_in_a_page_one_is_sent_to_directly(world: World, batch: int, first: list[int]) -> None:
    """The one with more mail, of those that carry enough at once."""
    of_ctos = NURTURE.replace("name: nurture", "name: second").replace(
        "sender: newsletter", "sender: second\npriority: 10"
    )
    of_ctos = of_ctos.replace("audience: {role: nurture}", "audience: {role: nurture, when: title == 'CTO'}")
    of_others = NURTURE.replace("audience: {role: nurture}", "audience: {role: nurture, when: title == 'CEO'}")
    files = {"sequences/second.yaml": of_ctos, "sequences/nurture.yaml": of_others}
    world.apply({"nurture.toml": HOUSE + SECOND, **files})
    sends_through(world, "second", "other")
    world.contacts((f"c{number}@example.com" for number in range(3)), title="CEO")
    world.contact("ann@example.com", title="CTO")
    one, other = Ledger(batch=batch), Ledger(name="other")
    world.postroom = replace(world.postroom, providers={"outbox": one, "other": other})
    page(world)
    assert [len(one.taken), len(other.taken)] == first
    world.work()
    assert [len(one.taken), len(other.taken)] == [3, 1]


def test_after_a_slow_provider_mail_for_a_fast_one_goes_directly_again(world: World) -> None:
    world.use(Ledger(batch=1))
    slow = replace(world.postroom, providers={**world.postroom.providers, "other": (fast := Ledger(name="other"))})
    with Direct(world.database, slow) as sender:
        for number in range(2):
            world.contact(f"c{number}@example.com")
            assert sender.page(world.now).accepted == 0
        sends_through(world, "newsletter", "other")
        world.contact("last@example.com")
        assert sender.page(world.now).accepted == 1
    assert [mail.to_address for mail in fast.taken] == ["last@example.com"]


# --- what comes up within a page --------------------------------------------------------------------------------------


def test_a_message_that_was_planned_before_is_not_sent_twice_and_looked_at_soon(world: World) -> None:
    world.use(ledger := Ledger())
    world.contacts(["ann@example.com", "bob@example.com"])
    page(world)
    before = world.rows(tables.Message)
    with world.database.write() as connection:
        again = {"state": "active", "step_id": "hello", "waiting_for": None, "base_at": world.now}
        connection.execute(update(tables.Enrollment).values(again))
        connection.execute(update(tables.Timer).where(tables.Timer.kind == "enrollment").values(due_at=world.now))
    assert page(world) == Sent(due=2)
    assert len(ledger.taken) == 2
    assert world.rows(tables.Message) == before
    soon = {row.due_at - world.now for row in world.rows(tables.Timer, kind="enrollment")}
    assert soon == {planning.SOON}
    world.advance(minutes=2)
    assert {row.step_id for row in world.rows(tables.Enrollment)} == {"pause"}


def test_what_cannot_be_written_for_one_is_held_and_the_others_go(world: World) -> None:
    world.apply(RICH)
    world.use(ledger := Ledger())
    world.contact("ann@example.com", title="CTO")
    world.contact("bob@example.com")
    with Direct(world.database, world.postroom) as sender:
        while sender.page(world.now).due:
            pass
    assert (states(world), len(ledger.taken)) == (["accepted", "ready"], 1)
    assert world.work().held == 1
    assert "title" in world.row(tables.Decision, outcome="hold").reason


def test_a_staging_system_gets_it_all_at_its_own_address(world: World) -> None:
    world.use(ledger := Ledger(), redirect_all_to="qa@northwind.example", allow_domains=frozenset({"other.example"}))
    world.contact("ann@example.com")
    assert page(world).accepted == 1
    assert [(mail.to_address, mail.subject) for mail in ledger.taken] == [
        ("qa@northwind.example", "[to ann@example.com] Hello & welcome")
    ]


def test_the_launch_cap_is_kept_to_the_message_and_who_waits_longest_goes_first(world: World) -> None:
    """Direct sending looks only at what is new: near the cap everybody goes in turn."""
    pages_answer(world)
    world.use(ledger := Ledger(real=True), launch_cap=5)
    for went, wave in ((4, "a"), (5, "b"), (5, "c")):
        world.contacts(f"{wave}{number}@example.com" for number in range(4))
        run_once(world.database, world.postroom, world.now)
        assert len(ledger.taken) == went
    world.now = world.now.replace(hour=0, minute=31) + timedelta(days=1)
    world.contacts(f"d{number}@example.com" for number in range(4))
    run_once(world.database, world.postroom, world.now)
    assert "".join(mail.to_address[0] for mail in ledger.taken) == "aaaab" + "bbbcc"
    assert [row.count for row in world.rows(tables.SendCount)] == [5, 5]


# --- fences -----------------------------------------------------------------------------------------------------------


def fence_by_rehearsal(world: World, folder: Path) -> None:
    with world.database.write() as connection:
        instance.make_rehearsal(connection, world.now)


def fence_by_witness(world: World, folder: Path) -> None:
    """Let the folder have seen more mail than the database knows of."""
    witness = Witness(folder / FILE)
    with world.database.write() as connection:
        row = {"day": world.now.date(), "sender_id": world.row(tables.Sender).id, "count": 3}
        connection.execute(tables.SendCount.__table__.insert().values(row))
        witness.confirm(connection)
        connection.execute(tables.SendCount.__table__.delete())
    world.postroom = replace(world.postroom, witness=witness)


def fence_by_strange_folder(world: World, folder: Path) -> None:
    """Let the database have sent from another folder."""
    fence_by_witness(world, folder)
    world.postroom = replace(world.postroom, witness=Witness(folder / "elsewhere" / FILE))
    with world.database.write() as connection:
        row = {"day": world.now.date(), "sender_id": 1, "count": 3}
        connection.execute(tables.SendCount.__table__.insert().values(row))


def fence_by_key(world: World, folder: Path) -> None:
    links = replace(LINKS, ring=KeyRing((("k1", bytes(32)),)))
    world.postroom = replace(world.postroom, links=links)


FENCES = [
    pytest.param(fence_by_rehearsal, Fenced, id="a rehearsal"),
    pytest.param(fence_by_witness, Fenced, id="a restored database"),
    pytest.param(fence_by_strange_folder, Fenced, id="a copy"),
    pytest.param(fence_by_key, SuppressionKeyError, id="another key"),
]


@pytest.mark.parametrize(("fence", "error"), FENCES)
def test_from_behind_a_fence_nothing_is_sent_and_all_else_goes_on(
    world: World, tmp_path: Path, fence: Any, error: type[Exception]
) -> None:
    pages_answer(world)
    world.use(ledger := Ledger(real=True))
    world.contact("ann@example.com")
    fence(world, tmp_path)
    assert page(world) == Sent(due=1)
    assert states(world) == ["ready"]
    with pytest.raises(error):
        run_once(world.database, world.postroom, world.now)
    assert ledger.taken == []
    assert not words(world)


# --- the word ---------------------------------------------------------------------------------------------------------


def run_out(world: World, *, seconds: int = 1) -> None:
    """Let every word have run out so many seconds ago."""
    with world.database.write() as connection:
        connection.execute(update(tables.Lease).values(expires_at=database_clock(-seconds)))


def test_word_is_left_before_the_first_page_and_taken_back_at_the_end(world: World) -> None:
    left: list[str] = []
    failpoints.armed[failpoints.DECIDED] = lambda: left.extend(row.name for row in seen.rows(tables.Lease))
    seen = copy.copy(world)
    seen.database = Database(world.database.url.render_as_string(hide_password=False))
    world.contact("ann@example.com")
    try:
        assert run_once(world.database, world.postroom, world.now).sent.accepted == 1
    finally:
        failpoints.armed.clear()
        seen.database.dispose()
    assert left == ["direct:tester"], "it is committed before the page: a process that dies there has left it"
    assert not words(world)


def test_word_is_taken_back_when_a_page_raises(world: World) -> None:
    def fail() -> None:
        raise DatabaseError("the disk is full")

    world.contact("ann@example.com")
    failpoints.armed[failpoints.DECIDED] = fail
    try:
        with pytest.raises(DatabaseError):
            run_once(world.database, world.postroom, world.now)
    finally:
        failpoints.armed.clear()
    assert not words(world)


def test_a_stopped_heartbeat_takes_its_word_back(world: World) -> None:
    with world.database.write() as connection:
        instance.make_rehearsal(connection, world.now)
    world.contact("ann@example.com")
    scheduler = Scheduler(world.database, world.postroom)
    scheduler.send()
    assert [row.name for row in words(world)] == ["direct:tester"]
    scheduler.stop()
    assert not words(world)
    assert len(world.mails()) == 1


def test_a_process_that_idles_or_was_stopped_renews_its_own_word(world: World) -> None:
    world.use(ledger := Ledger())
    sender = Direct(world.database, world.postroom, renew_seconds=0)
    sender.page(world.now)
    run_out(world, seconds=10_000)
    world.contact("ann@example.com")
    assert sender.page(world.now).accepted == 1, "it is alive: nobody goes the plain way for its sake"
    run_out(world)
    assert goes(world) == "plain", "the others cannot know"
    sender.page(world.now)
    assert goes(world) == "directly"
    assert ledger.taken
    sender.close()
    assert not words(world)


def goes(world: World) -> str:
    """Say how the mail of another process goes now."""
    other = copy.copy(world)
    other.postroom = replace(world.postroom, owner=f"other-{next(world.keys)}")
    world.contact(f"{other.postroom.owner}@example.com")
    sent = page(other)
    assert sent.due >= 1
    return "directly" if sent.accepted else "plain"


def test_after_a_word_that_ran_out_everybody_goes_the_plain_way_for_an_hour(world: World) -> None:
    dead = Direct(world.database, replace(world.postroom, owner="dead"))
    dead.page(world.now)
    assert goes(world) == "directly", "nobody knows yet"
    run_out(world, seconds=30 * 86_400)
    assert goes(world) == "plain", "however long nobody looked"
    run_out(world, seconds=int(direct.PLAIN_SECONDS) - 60)
    assert goes(world) == "plain"
    run_out(world, seconds=int(direct.PLAIN_SECONDS) + 60)
    assert goes(world) == "directly"
    assert not words(world), "it is forgotten"


def test_the_plain_way_is_taken_back_by_whoever_wakes_up(world: World) -> None:
    stopped = Direct(world.database, replace(world.postroom, owner="stopped"))
    stopped.page(world.now)
    run_out(world)
    assert goes(world) == "plain"
    stopped.close()
    assert goes(world) == "directly"


# --- a process that ends in between -----------------------------------------------------------------------------------


def dies_at(world: World, point: str) -> None:
    """Let a process end at a failpoint of direct sending; nobody takes anything back."""

    def die() -> None:
        raise Killed

    failpoints.armed[point] = die
    try:
        with pytest.raises(Killed):
            Direct(world.database, replace(world.postroom, owner="dead")).page(world.now)
    finally:
        failpoints.armed.clear()


@pytest.mark.parametrize("last", [False, True], ids=["a-step-follows", "the-last-step"])
@pytest.mark.parametrize("late", ["skip", "{expire: 1 day}"])
def test_a_run_whose_process_ended_waits_for_its_message_however_late_it_is(
    world: World, late: str, last: bool
) -> None:
    """Its step would be skipped as too late by now; but its message may have gone out."""
    sequence = NURTURE.replace("email: leads/hello", f"email: leads/hello, late: {late}")
    world.apply({"sequences/nurture.yaml": sequence.partition("  - {id: pause")[0] if last else sequence})
    world.use(ledger := Ledger())
    world.contact("ann@example.com")
    dies_at(world, failpoints.DISPATCHING)
    run_out(world)
    with world.database.write() as connection:
        over = database_clock(-1)
        connection.execute(update(tables.Timer).where(tables.Timer.owner.is_not(None)).values(lease_until=over))
    world.now += timedelta(days=2)
    world.work()
    world.advance(days=1)
    assert states(world) == ["ambiguous"]
    assert [(row.state, row.step_id, row.waiting_for) for row in world.rows(tables.Enrollment)] == [
        ("waiting", "hello", "message")
    ]
    world.advance(days=3)
    assert states(world)[0] == "settled_sent"
    assert (world.rows(tables.Enrollment)[0].state == "completed") is last
    world.advance(days=4)
    assert [mail.subject for mail in ledger.taken] == ([] if last else ["More for you"])
