"""Random histories: people and processes do what they like in any order, and the promises hold after every step.

The model is tiny: to whom nothing may go any more, and what was approved when. The rest is read from the database.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from nurture import drafts, engine, failpoints, handoff, pausing, sending
from nurture.core.model import ContactId
from nurture.core.words import MessageState
from nurture.db import tables, timers
from nurture.db.session import Database
from nurture.direct import LEAST, Direct
from nurture.errors import Refused
from nurture.mail.wire import Outgoing
from nurture.providers.base import Outcome, Receipt
from nurture.scheduler import new_owner
from tests import databases
from tests.faults import promises
from tests.faults.copies import end_leases
from tests.world import LINKS, World

OUTCOMES = [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.REFUSED, Outcome.NOT_SENT, Outcome.AMBIGUOUS]


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class Fickle:
    """A provider that answers as the history says. Of an ambiguous mail it may have taken it or not."""

    name: str = "fickle"
    batch: int = 2
    real: bool = False
    mood: Outcome = Outcome.ACCEPTED
    takes: bool = True
    taken: Counter[str] = field(default_factory=Counter)
    to: list[tuple[str, str]] = field(default_factory=list)

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        if self.mood is Outcome.ACCEPTED or (self.mood is Outcome.AMBIGUOUS and self.takes):
            self.taken.update(mail.message_id for mail in group)
            self.to.extend((mail.to_address, mail.voice.value) for mail in group)
        return [Receipt(mail.id, self.mood, provider_id="p", detail="so it goes") for mail in group]

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


class Histories(RuleBasedStateMachine):
    """One database, a few people, and everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="nurture-history-"))
        self.world = World(Database(databases.sqlite_url(self.folder)), self.folder)
        self.rita = self.world.rep()
        self.provider = Fickle()
        self.world.use(self.provider)
        self.people: list[ContactId] = []
        self.gone: dict[str, int] = {}
        self.latest = self.world.now
        self.enter()

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            failpoints.armed.clear()
            self.world.database.dispose()
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- people ---

    @precondition(lambda self: len(self.people) < 6)
    @rule()
    def enter(self) -> None:
        address = f"c{len(self.people)}@example.com"
        self.people.append(self.world.contact(address, owner=self.rita, account={"name": "Acme"}))

    @rule(who=st.integers(0, 5), kind=st.sampled_from(["content_downloaded", "page_viewed", "replied", "rep_wrote"]))
    def act(self, who: int, kind: str) -> None:
        self.world.record(self.people[who % len(self.people)], kind)

    @rule(who=st.integers(0, 5), kind=st.sampled_from(["unsubscribed", "complained"]))
    def leave(self, who: int, kind: str) -> None:
        number = who % len(self.people)
        self.world.record(self.people[number], kind)
        address = f"c{number}@example.com"
        self.gone.setdefault(address, self.marketing_to(address))

    @rule(edits=st.booleans())
    def decide(self, edits: bool) -> None:
        """The rep approves, or edits, the draft that waits longest."""
        waiting = self.world.rows(tables.Message, state=MessageState.AWAITING_APPROVAL)
        if not waiting:
            return
        row, now = waiting[0], self.world.now
        with self.world.database.write() as connection:
            if edits:
                drafts.edit(connection, row.id, self.rita, subject="Edited", text=None, now=now)
            else:
                drafts.approve(connection, row.id, self.rita, row.content_hash, "rita", now)

    @rule()
    def change_mind(self) -> None:
        """The rep rejects what was approved, unless it is too late."""
        for row in self.world.rows(tables.Message, voice="personal")[-1:]:
            try:
                with self.world.database.write() as connection:
                    drafts.reject(connection, row.id, self.rita, "no", self.world.now)
            except Refused:
                return

    @rule(off=st.booleans())
    def switch(self, off: bool) -> None:
        with self.world.database.write() as connection:
            pausing.pause_all(connection, "stop") if off else pausing.resume_all(connection)

    # --- time ---

    @rule(hours=st.sampled_from([1, 6, 24, 72, 120]))
    def pass_time(self, hours: int) -> None:
        self.world.now += timedelta(hours=hours)
        self.latest = max(self.latest, self.world.now)

    @rule(minutes=st.sampled_from([1, 90, 60 * 30]))
    def turn_the_clock_back(self, minutes: int) -> None:
        self.world.now -= timedelta(minutes=minutes)

    # --- processes ---

    @rule()
    def tick(self) -> None:
        engine.review(self.world.database, "tester", self.world.now)
        handoff.watch(self.world.database, "tester", self.world.now)
        engine.tick(self.world.database, "tester", self.world.now)
        drafts.draft_due(self.world.database, LINKS, "tester", self.world.now)

    @rule(mood=st.sampled_from(OUTCOMES), takes=st.booleans())
    def send(self, mood: Outcome, takes: bool) -> None:
        self.provider.mood, self.provider.takes = mood, takes
        sending.send_due(self.world.database, self.world.postroom, self.world.now)

    @rule(mood=st.sampled_from(OUTCOMES), takes=st.booleans())
    def send_directly(self, mood: Outcome, takes: bool) -> None:
        self.provider.mood, self.provider.takes = mood, takes
        with self.direct() as direct:
            direct.page(self.world.now)

    @rule(point=st.sampled_from(failpoints.POINTS))
    def crash(self, point: str) -> None:
        """A process dies while it sends."""
        with self.dying(point):
            sending.send_due(self.world.database, self.world.postroom, self.world.now)

    @rule(point=st.sampled_from(failpoints.DIRECT_POINTS))
    def crash_directly(self, point: str) -> None:
        """A process dies while it sends directly: its word stays behind."""
        with self.dying(point):
            self.direct().page(self.world.now)

    def direct(self) -> Direct:
        """Return what sends directly in a process that has just begun, through a provider that carries much."""
        wide = replace(self.provider, batch=LEAST)  # its books are the same
        return Direct(self.world.database, replace(self.world.postroom, providers={"outbox": wide}, owner=new_owner()))

    @contextmanager
    def dying(self, point: str) -> Iterator[None]:
        """Let a block be a process that dies at a point."""
        self.provider.mood = Outcome.ACCEPTED

        def die() -> None:
            raise Killed

        failpoints.armed[point] = die
        try:
            with suppress(Killed):
                yield
        finally:
            failpoints.armed.clear()

    @rule()
    def words_are_forgotten(self) -> None:
        """Whoever sent directly and died was long ago."""
        with self.world.database.write() as connection:
            connection.execute(tables.Lease.__table__.delete())

    @rule()
    def leases_run_out(self) -> None:
        end_leases(self.world.database)

    # --- what must hold ---

    @invariant()
    def promises_hold(self) -> None:
        promises.check(self.world.database, self.provider.taken, drained=False)

    @invariant()
    def nothing_goes_to_whoever_left(self) -> None:
        for address, before in self.gone.items():
            assert self.marketing_to(address) == before

    def marketing_to(self, address: str) -> int:
        return sum(to == (address, "marketing") for to in self.provider.to)

    def drain(self) -> None:
        """Let all be well and time pass: nothing stays open for ever but what waits for a rep."""
        self.switch(off=False)
        self.provider.mood = Outcome.ACCEPTED
        self.world.now = self.latest
        for _ in range(30):
            end_leases(self.world.database)
            self.world.work()
            self.world.now += timedelta(days=1)
        states = promises.check(self.world.database, self.provider.taken)
        open_states = set(states) - {"accepted", "settled_sent", "refused", "cancelled", "awaiting_approval", "planned"}
        assert not open_states, f"after thirty quiet days there are still {open_states}"
        with self.world.database.read() as connection:
            due = select(tables.Timer.__table__).where(tables.Timer.due_at < self.world.now - timedelta(days=1))
            assert connection.execute(due).fetchall() == []
            assert timers.lost(connection) == []
        self.nothing_goes_to_whoever_left()


SIZES = [
    pytest.param(4, 40, id="a-few"),
    pytest.param(60, 60, id="many", marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("histories", "steps"), SIZES)
def test_no_history_sends_twice_loses_anything_or_writes_to_whoever_left(histories: int, steps: int) -> None:
    few = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(Histories, settings=few)  # type: ignore[no-untyped-call]
