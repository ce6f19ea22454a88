"""Direct sending: what is due and may go at once is planned, decided, written and dispatched in one transaction.

The plain way writes a message when its run is due (`engine.tick`), then claims it, reads it and all about it again,
decides, and writes it a second and a third time (`sending.send_due`). Where nothing lies between the two, that is one
piece of work: the message is inserted as `dispatching`, with its timer held, and the intent is committed before the
first byte as ever. Everything else goes the plain way, which is never wrong: what is held, what cannot be written, what
a rep approves, what has a rate, and every page while the provider is slow.

What kills its process is found out by attempts, which the plain way counts before it tries anything, and this one does
not. So a process that sends directly leaves word (a lease), and takes it back when it ends. While there is word of one
that did not end well, every process goes the plain way (see `quarantine`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from nurture import answering, deciding, engine, failpoints, live, planning, rationing, runs, sending
from nurture.core.effects import Plan
from nurture.core.model import Enrollment, EnrollmentId
from nurture.core.words import EnrollmentState, MessageState, TimerKind, Voice
from nurture.db import decisions, enrollments, leases, messages, quotas, situations, tables, timers
from nurture.db.bulk import reserve_ids
from nurture.db.session import Database
from nurture.deciding import Pending
from nurture.engine import Page
from nurture.errors import DatabaseError, Fenced, SuppressionKeyError
from nurture.planning import Prepared
from nurture.providers.base import Deadline, Outcome, Receipt
from nurture.sending import Postroom, Ready, Sent

LEAST = 50
"""How many mails a provider has to carry at once for a page of its own; slower ones are sent to the plain way."""

WORD = "direct:"
WORD_SECONDS = 180.0
"""How long the word that a process left counts as fresh, by the database's clock: longer than a page takes."""

RENEW_SECONDS = 60.0
"""How long a process goes on with the word that it left, before it says it again."""

PLAIN_SECONDS = 3600.0
"""How long everybody goes the plain way after a process that sent directly has not been heard of any more."""

Row = Mapping[str, Any]

_UNSENT = {"approval_id": None, "content_hash": None, "sent_at": None, "date_header": None}
"""What the row of a message that is only planned has not, and is asked for."""


@dataclass(frozen=True, slots=True)
class _Going:
    """What a page came to before its mail went: the mail for its provider, and the plans of the runs that it is of.

    These runs are not written before the provider has answered: their timers are held instead.
    """

    due: int
    carrier: str | None = None
    mails: Sequence[Ready] = ()
    plans: Mapping[EnrollmentId, Plan] = field(default_factory=dict)
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class _Dispatched:
    """What was inserted as `dispatching`, by origin, and the mail of it that its provider is to carry."""

    carrier: str | None = None
    mails: Sequence[Ready] = ()
    origins: frozenset[str] = frozenset()


class Direct:
    """Sends directly with one postroom, in one thread. Use as a context manager: it leaves word and takes it back."""

    def __init__(self, database: Database, postroom: Postroom, *, renew_seconds: float = RENEW_SECONDS) -> None:
        """Touch nothing yet."""
        self._database, self._postroom, self._renew_seconds = database, postroom, renew_seconds
        self._carrier: str | None = None
        self._word: Deadline | None = None
        self.most = engine.PAGE

    def __enter__(self) -> Direct:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the word back."""
        self.close()

    def close(self) -> None:
        """Take the word back: this process ended well. Where the database is gone, the word runs out."""
        if self._word is not None:
            self._word = None
            with suppress(DatabaseError, DBAPIError), self._database.write() as connection:
                leases.drop(connection, WORD + self._postroom.owner, self._postroom.owner)

    def page(self, now: datetime) -> Sent:
        """Do a page of due runs; return what became of the mail that went at once, and as `due` how many runs were due.

        At most `most` runs were looked at: fewer than that means that nothing more was due.
        """
        room = self._room()
        self.most = min(engine.PAGE, room) if room >= LEAST else engine.PAGE
        if room >= LEAST:
            self._leave_word()
            going = self._database.unit(lambda connection: self._begin(connection, now))
        else:
            going = None
        if going is None:
            due = engine.tick(self._database, self._postroom.owner, now, limit=self.most)
            self._carrier = self._carrier if due >= self.most else None  # the next of them may be for another one
            return Sent(due=due)
        self._carrier = going.carrier or self._carrier
        if not going.mails or going.carrier is None:
            return Sent(due=going.due)
        receipts = sending.carry(
            self._database,
            self._postroom,
            going.carrier,
            going.mails,
            now,
            also=lambda connection, found: _let_wait(connection, going, found, now),
        )
        counts = Counter(receipt.outcome for receipt in receipts)
        return Sent(
            due=going.due,
            accepted=counts[Outcome.ACCEPTED],
            refused=counts[Outcome.REFUSED],
            retrying=counts[Outcome.NOT_SENT] + counts[Outcome.SENDER_REFUSED],
            ambiguous=counts[Outcome.AMBIGUOUS],
        )

    def _room(self) -> int:
        """Return how many mails the provider that was last needed carries at once."""
        carrier = self._postroom.providers.get(self._carrier or "")
        return engine.PAGE if carrier is None else carrier.batch

    def _leave_word(self) -> None:
        """Leave word before a page, or renew it: what that page does not survive must be known.

        By time, not by what is due: a process that idles is alive, and one that was stopped says so when it wakes.
        """
        if self._word is None or not self._word.left():
            with self._database.write() as connection:
                leases.acquire(connection, WORD + self._postroom.owner, self._postroom.owner, WORD_SECONDS)
            self._word = Deadline(self._renew_seconds)

    # --- one transaction ----------------------------------------------------------------------------------------------

    def _begin(self, connection: Connection, now: datetime) -> _Going | None:
        """Plan a page of due runs, and let the mail that may go enter `dispatching`; None is to go the plain way."""
        if self._is_fenced(connection) or leases.abandoned(connection, WORD, PLAIN_SECONDS):
            return None
        page = engine.read(connection, now, self.most)
        if page is None:
            return _Going(0)
        prepared = planning.prepare(connection, page.program, page.versions, page.loaded, page.plans, now)
        sent = self._dispatch(connection, page, prepared, now)
        later = [row for row in prepared.rows if row["origin_key"] not in sent.origins]
        new = planning.insert(connection, later, now)
        decisions.record(connection, prepared.held, page.program.hash, now)
        plans = planning.saved(prepared, {*new, *sent.origins}, now)
        held = self._hold_runs(connection, page, plans, sent.mails)
        rest = [plan for plan in plans if plan.enrollment.id not in held]
        runs.save(connection, page.program, rest, page.versions, page.loaded, page.before, now)
        engine.record_failed(connection, page)
        return _Going(page.due, sent.carrier, sent.mails, held, page)

    def _is_fenced(self, connection: Connection) -> bool:
        """Say whether nothing may be sent from here. The plain way refuses it, and everything else goes on."""
        try:
            sending.check_fence(connection, self._postroom)
        except (Fenced, SuppressionKeyError):
            return True
        return False

    def _hold_runs(
        self, connection: Connection, page: Page, plans: Sequence[Plan], mails: Sequence[Ready]
    ) -> Mapping[EnrollmentId, Plan]:
        """Hold the timers of runs that stand at the step whose mail goes now, and return their plans, by run.

        They are written once, when the provider has answered. Until then they are as they were: should this process
        end, they come due again with its claim, and find that their message is there already.
        """
        going = {message.pending.row.enrollment_id for message in mails}
        held = {
            plan.enrollment.id: plan
            for plan in plans
            if plan.enrollment.id in going and _stays(page.before[plan.enrollment.id], plan.enrollment)
        }
        timers.take(connection, TimerKind.ENROLLMENT, list(held), self._postroom.owner, sending.LEASE_SECONDS)
        return held

    def _dispatch(self, connection: Connection, page: Page, prepared: Prepared, now: datetime) -> _Dispatched:
        """Insert the messages that may go as `dispatching`."""
        rows = [row for row in prepared.rows if row["voice"] is Voice.MARKETING and row["due_at"] <= now]
        keyed = dict(zip(reserve_ids(connection, tables.Message, len(rows)), rows, strict=True))
        carrier, mine = self._of_one_carrier(self._due(connection, page, prepared, keyed, now))
        if not mine or carrier is None:
            return _Dispatched(carrier)
        there = messages.known(connection, [pending.row.origin_key for pending in mine])
        new = [pending for pending in mine if pending.row.origin_key not in there]
        going = begun = self._written(connection, page, new, now)
        failpoints.reach(failpoints.DECIDED)
        self._insert(connection, begun, keyed, carrier, now)
        if connection.dialect.name == "postgresql":
            going = self._withdraw(connection, going, now)
        if self._postroom.providers[carrier].real:
            quotas.count(connection, now.date(), Counter(message.pending.row.sender_id for message in going))
        decided = [answering.decided(message.pending, message.answer) for message in going]
        decisions.record(connection, decided, page.program.hash, now, fresh=True)
        return _Dispatched(carrier, going, frozenset(message.pending.row.origin_key for message in begun))

    def _due(
        self, connection: Connection, page: Page, prepared: Prepared, keyed: Mapping[int, Row], now: datetime
    ) -> list[Pending]:
        """Return what the gates read of messages that are only planned."""
        rows: list[Any] = [SimpleNamespace(id=key, **_UNSENT, **row) for key, row in keyed.items()]
        after = {plan.enrollment.id: plan.enrollment for plan in prepared.plans}
        return deciding.load(
            connection,
            page.program,
            rows,
            self._postroom.policy,
            {row.id: row.due_at for row in rows},
            now,
            people={row.contact_id: page.loaded[row.contact_id].contact for row in rows},
            runs={row.enrollment_id: after[row.enrollment_id] for row in rows},
        )

    def _of_one_carrier(self, pendings: Sequence[Pending]) -> tuple[str | None, Sequence[Pending]]:
        """Return what one provider carries at once, of senders without a rate: the one that most of the mail is for.

        One that carries few at once comes last.
        """
        senders = {pending.due.sender.id: pending.due.sender for pending in pendings}
        providers, rates = self._postroom.providers, self._postroom.rates
        free = {
            key: sender.provider
            for key, sender in senders.items()
            if sender.provider in providers and not rationing.is_limited(rates, sender)
        }
        counts = Counter(free[pending.due.sender.id] for pending in pendings if pending.due.sender.id in free)
        if not counts:
            return None, ()
        carrier = max(counts, key=lambda name: (providers[name].batch >= LEAST, counts[name]))
        mine = [pending for pending in pendings if free.get(pending.due.sender.id) == carrier]
        room = providers[carrier].batch
        return carrier, mine[:room] if room >= LEAST else ()

    def _written(self, connection: Connection, page: Page, pendings: Sequence[Pending], now: datetime) -> list[Ready]:
        """Decide, and write the mail that may go; whatever else there is to say of a message, the plain way says."""
        budget = deciding.budget(connection, self._postroom.policy, now)
        if budget is not None and pendings[0].real and not _suffices(connection, budget, len(pendings), now):
            return []
        artifacts = live.artifacts(connection, {pending.row.template_hash for pending in pendings})
        decided = sending.decide_page(pendings, budget, self._postroom, now)
        ready, _ = sending.compose(self._postroom, page.program, decided, artifacts, now)
        return ready

    def _insert(
        self, connection: Connection, ready: Sequence[Ready], keyed: Mapping[int, Row], carrier: str, now: datetime
    ) -> None:
        common = {
            "state": MessageState.DISPATCHING,
            "owner": self._postroom.owner,
            "attempts": 1,
            "dispatching_at": now,
            "date_header": now,
            "provider": carrier,
        }
        rows = [{**keyed[message.mail.id], **common, **sending.kept(message)} for message in ready]
        messages.begin(connection, rows)
        held = [(row["id"], row["due_at"]) for row in rows]
        timers.hold(connection, held, self._postroom.owner, sending.LEASE_SECONDS)

    def _withdraw(self, connection: Connection, going: Sequence[Ready], now: datetime) -> list[Ready]:
        """Take those back that somebody has forbidden since they were decided: the plain way decides them again."""
        ids = [message.mail.id for message in going]
        lost = messages.forbidden(connection, ids, self._postroom.owner, now)
        messages.withdraw(connection, lost, now)
        timers.set_timers(connection, [("message", key, now + sending.LOST_GUARD_RETRY) for key in lost])
        return [message for message in going if message.mail.id not in lost]


def _suffices(connection: Connection, budget: int, wanted: int, now: datetime) -> bool:
    """Say whether a budget suffices for a page and for all that waits already: else everybody goes in turn."""
    return wanted + timers.count_due(connection, TimerKind.MESSAGE, now, budget + 1) <= budget


def _stays(before: Enrollment, after: Enrollment) -> bool:
    """Say whether a run was at the step already whose message it waits for now, and not paused."""
    same = (before.step_id, before.occurrence, before.paused_until) == (after.step_id, after.occurrence, None)
    return same and before.state in _GOING_ON


_GOING_ON = (EnrollmentState.ACTIVE, EnrollmentState.WAITING)


def _let_wait(connection: Connection, going: _Going, receipts: Sequence[Receipt], now: datetime) -> None:
    """Let the held runs wait whose message has not ended, unless somebody has changed them meanwhile.

    Nobody changes the runs of contacts that are locked.
    """
    ended = {receipt.id for receipt in receipts if receipt.outcome in (Outcome.ACCEPTED, Outcome.REFUSED)}
    open_runs = {m.pending.row.enrollment_id for m in going.mails if m.mail.id not in ended} & going.plans.keys()
    if not open_runs or going.page is None:
        return
    situations.lock(connection, {message.pending.row.contact_id for message in going.mails})
    page, found = going.page, enrollments.by_ids(connection, open_runs)
    plans = [going.plans[key] for key, run in found.items() if run == page.before[key]]
    runs.save(connection, page.program, plans, page.versions, page.loaded, page.before, now)
