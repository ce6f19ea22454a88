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
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from nurture import composing, deciding, engine, failpoints, live, planning, rationing, runs, sending
from nurture.core.cohorts import Spoken, cohorts
from nurture.core.decision import Check, Send
from nurture.core.effects import Plan
from nurture.core.model import Contact, ContactId, Enrollment, EnrollmentId
from nurture.core.quick import altered, quick_init
from nurture.core.words import EnrollmentState, MessageState, TimerKind, Voice
from nurture.db import decisions, enrollments, instance, leases, messages, quotas, situations, tables, timers
from nurture.db.bulk import reserve_ids
from nurture.db.decisions import Decided
from nurture.db.session import Database
from nurture.deciding import Pending
from nurture.engine import Page
from nurture.errors import DatabaseError, Fenced, SuppressionKeyError
from nurture.mail.wire import Outgoing
from nurture.providers.base import Deadline, Outcome, Receipt
from nurture.sending import Postroom, Sent

LEAST = 20
"""How many mails a provider has to carry at once for a page of its own; slower ones are sent to the plain way."""

WORD = "direct:"
WORD_SECONDS = 180.0
"""How long the word that a process left counts as fresh, by the database's clock: longer than a page takes."""

RENEW_SECONDS = 60.0
"""How long a process goes on with the word that it left, before it says it again."""

PLAIN_SECONDS = 3600.0
"""How long everybody goes the plain way after a process that sent directly has not been heard of any more."""

_UNSENT = {"approval_id": None, "content_hash": None, "sent_at": None, "date_header": None}
"""What the row of a message that is only planned has not, and is asked for."""


@quick_init
@dataclass(frozen=True, slots=True)
class _Letter:
    """A message that goes: its row, its mail, and the plan of its run for as long as it has not ended."""

    row: Mapping[str, Any]
    mail: Outgoing
    contact: Contact
    run: Enrollment
    checks: tuple[Check, ...]
    speaker: _Speaker


@dataclass(frozen=True, slots=True)
class _Speaker:
    """One run that speaks for its cohort: its plan, the row of its message, and what the gates read of that."""

    cohort: Sequence[Enrollment]
    plan: Plan
    row: Mapping[str, Any]
    pending: Pending


@dataclass(frozen=True, slots=True)
class _Going:
    """What a page came to before its mail went: how many runs were due, and what its provider is to carry.

    The runs of its letters are not written before the provider has answered: their timers are held instead.
    """

    due: int
    page: Page | None = None
    carrier: str = ""
    letters: Sequence[_Letter] = ()


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
        if not going.letters:
            return Sent(due=going.due)
        receipts = sending.carry(
            self._database,
            self._postroom,
            going.carrier,
            [letter.mail for letter in going.letters],
            {letter.contact.id: letter.contact for letter in going.letters},
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
        """Return how many mails the provider that was last needed carries at once; before the first, how many any."""
        providers = self._postroom.providers
        carrier = providers.get(self._carrier or "")
        return carrier.batch if carrier else max((each.batch for each in providers.values()), default=engine.PAGE)

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
        carrier, letters = self._dispatch(connection, page, now)
        gone = {letter.run.id for letter in letters}
        timers.take(connection, TimerKind.ENROLLMENT, list(gone), self._postroom.owner, sending.LEASE_SECONDS)
        engine.write(connection, page, [run for key, run in page.before.items() if key not in gone])
        return _Going(page.due, page, carrier, letters)

    def _is_fenced(self, connection: Connection) -> bool:
        """Say whether nothing may be sent from here. The plain way refuses it, and everything else goes on."""
        try:
            sending.check_fence(connection, self._postroom)
        except (Fenced, SuppressionKeyError):
            return True
        return False

    def _dispatch(self, connection: Connection, page: Page, now: datetime) -> tuple[str, Sequence[_Letter]]:
        """Insert the messages that may go as `dispatching`; return who carries them, and them."""
        speakers = self._speakers(connection, page, now)
        carrier = self._carrier_of(speakers)
        room = self._postroom.providers[carrier].batch if carrier else 0
        mine = [speaker for speaker in speakers if speaker.pending.due.sender.provider == carrier]
        wanted = min(room, sum(len(speaker.cohort) for speaker in mine))
        if room < LEAST or not self._within_budget(connection, mine, wanted, now):
            return carrier, ()
        letters = self._written(connection, page, mine, room, now)
        failpoints.reach(failpoints.DECIDED)
        self._insert(connection, letters, carrier, now)
        if connection.dialect.name == "postgresql":
            letters = self._withdraw(connection, letters, now)
        if self._postroom.providers[carrier].real:
            quotas.count(connection, now.date(), Counter(letter.row["sender_id"] for letter in letters))
        decisions.record(connection, [_decided(letter) for letter in letters], page.program.hash, now, fresh=True)
        return carrier, letters

    def _speakers(self, connection: Connection, page: Page, now: datetime) -> list[_Speaker]:
        """Plan the next mail of one run of each cohort; return those whose mail is due now, to no rate's sender."""
        able = [run for run in page.before.values() if _may_mail(page, run)]
        people = {run.contact_id: page.loaded[run.contact_id].contact for run in able}
        apart = deciding.told_of(connection, page.program, people, able, now)
        found = {group[0].id: group for group in cohorts(able, people, apart, page.versions, page.program.company)}
        speaking = replace(page, plans=[], failed=[])
        engine.plan(connection, speaking, [page.before[key] for key in found])
        prepared = planning.prepare(connection, page.program, page.versions, page.loaded, speaking.plans, now)
        plans = {plan.enrollment.id: plan for plan in prepared.plans}
        rows = {
            key: row
            for key, row in enumerate(prepared.rows, 1)
            if row["due_at"] <= now and row["step_id"] == page.before[row["enrollment_id"]].step_id
        }
        return [
            _Speaker(found[pending.row.enrollment_id], plans[pending.row.enrollment_id], rows[pending.row.id], pending)
            for pending in self._pendings(connection, page, rows, plans, people, now)
            if not rationing.is_limited(self._postroom.rates, pending.due.sender)
        ]

    def _pendings(
        self,
        connection: Connection,
        page: Page,
        rows: Mapping[int, Mapping[str, Any]],
        plans: Mapping[EnrollmentId, Plan],
        people: Mapping[ContactId, Contact],
        now: datetime,
    ) -> list[Pending]:
        """Return what the gates read of the messages of speakers, which have no keys yet but these."""
        planned: list[Any] = [SimpleNamespace(id=key, **_UNSENT, **row) for key, row in rows.items()]
        return deciding.load(
            connection,
            page.program,
            planned,
            self._postroom.policy,
            {row.id: row.due_at for row in planned},
            now,
            people={row.contact_id: people[row.contact_id] for row in planned},
            runs={row.enrollment_id: plans[row.enrollment_id].enrollment for row in planned},
        )

    def _carrier_of(self, speakers: Sequence[_Speaker]) -> str:
        """Return the provider that most of the mail is for, an empty name where there is none.

        One that carries few at once comes last.
        """
        counts: Counter[str] = Counter()
        providers = self._postroom.providers
        if self._postroom.allow_domains and not self._postroom.redirect_all_to:
            return ""  # each has to be asked for its domain
        for speaker in speakers:
            if (name := speaker.pending.due.sender.provider) in providers:
                counts[name] += len(speaker.cohort)
        return max(counts, key=lambda name: (providers[name].batch >= LEAST, counts[name]), default="")

    def _within_budget(self, connection: Connection, speakers: Sequence[_Speaker], wanted: int, now: datetime) -> bool:
        """Say whether today's budget suffices for a page and for all that waits already: else all go in turn."""
        budget = deciding.budget(connection, self._postroom.policy, now)
        if budget is None or not speakers[0].pending.real:
            return True
        return wanted + timers.count_due(connection, TimerKind.MESSAGE, now, budget + 1) <= budget

    def _written(
        self, connection: Connection, page: Page, speakers: Sequence[_Speaker], room: int, now: datetime
    ) -> list[_Letter]:
        """Decide for each cohort, and write what may go; what else there is to say of one, the plain way says."""
        by_key = {speaker.pending.row.id: speaker for speaker in speakers}
        pendings = [speaker.pending for speaker in speakers]
        going = [
            (by_key[pending.row.id], Spoken(answer), run)
            for pending, answer in sending.decide_page(pendings, None, self._postroom, now)
            if isinstance(answer, Send)
            for run in by_key[pending.row.id].cohort
        ]
        origins = messages.known(connection, [engine.origin_key(run) for _, _, run in going])
        going = [each for each in going if engine.origin_key(each[2]) not in origins][:room]
        salt = instance.read(connection).instance_id
        keys = reserve_ids(connection, tables.Message, len(going))
        artifacts = live.artifacts(connection, {speaker.row["template_hash"] for speaker in speakers})
        writer = composing.Writer(page.program, self._postroom.links)
        letters = []
        for key, (speaker, spoken, run) in zip(keys, going, strict=True):
            situation = page.loaded[run.contact_id]
            sender = speaker.pending.due.sender
            row = {"id": key, **planning.like(speaker.row, run, situation.contact, sender, salt)}
            try:
                said = writer.compose(artifacts[row["template_hash"]], Voice.MARKETING, situation)
                mail = composing.outgoing(
                    SimpleNamespace(date_header=now, **row), said, sender, situation.contact, run.sequence, now
                )
                mail = composing.redirected(mail, self._postroom.redirect_all_to)
                row |= sending.what_is_kept(mail, said.values)
            except Exception:  # noqa: BLE001 - third of four: the plain way meets it again, and holds the message for it
                continue
            letters.append(_Letter(row, mail, situation.contact, run, spoken.checks(run), speaker))
        return letters

    def _insert(self, connection: Connection, letters: Sequence[_Letter], carrier: str, now: datetime) -> None:
        common = {
            "state": MessageState.DISPATCHING,
            "owner": self._postroom.owner,
            "attempts": 1,
            "dispatching_at": now,
            "date_header": now,
            "provider": carrier,
        }
        messages.begin(connection, [{**letter.row, **common} for letter in letters])
        held = [(letter.mail.id, letter.row["due_at"]) for letter in letters]
        timers.hold(connection, held, self._postroom.owner, sending.LEASE_SECONDS)

    def _withdraw(self, connection: Connection, letters: Sequence[_Letter], now: datetime) -> list[_Letter]:
        """Take those back that somebody has forbidden since they were decided: the plain way decides them again."""
        ids = [letter.mail.id for letter in letters]
        lost = messages.forbidden(connection, ids, self._postroom.owner, now)
        messages.withdraw(connection, lost, now)
        timers.set_timers(connection, [(TimerKind.MESSAGE, key, now + sending.LOST_GUARD_RETRY) for key in lost])
        return [letter for letter in letters if letter.mail.id not in lost]


def _may_mail(page: Page, run: Enrollment) -> bool:
    """Say whether a run stands at marketing mail that answers no other, and waits for nothing but time."""
    sequence = page.versions.get(run.version_id)
    step = sequence.step(run.step_id or "") if sequence else None
    if sequence is None or step is None or step.kind != "email" or step.thread:
        return False
    free = run.state in _GOING_ON and run.paused_until is None and run.waiting_for in (None, "time")
    return free and sequence.voice is Voice.MARKETING


_GOING_ON = (EnrollmentState.ACTIVE, EnrollmentState.WAITING)


def _decided(letter: _Letter) -> Decided:
    row, rule = letter.row, letter.speaker.pending.rule
    return Decided(letter.contact.id, letter.run.id, row["id"], row["step_id"], "send", "", letter.checks, None, rule)


def _let_wait(connection: Connection, going: _Going, receipts: Sequence[Receipt], now: datetime) -> None:
    """Let the runs wait whose message has not ended, unless somebody has changed them meanwhile.

    Nobody changes the runs of contacts that are locked.
    """
    ended = {receipt.id for receipt in receipts if receipt.outcome in (Outcome.ACCEPTED, Outcome.REFUSED)}
    waiting = {letter.run.id: letter for letter in going.letters if letter.mail.id not in ended}
    if not waiting or going.page is None:
        return
    situations.lock(connection, {letter.contact.id for letter in going.letters})
    page, found = going.page, enrollments.by_ids(connection, list(waiting))
    plans = [_plan_of(waiting[key]) for key, run in found.items() if run == waiting[key].run]
    runs.save(connection, page.program, plans, page.versions, page.loaded, page.before, now)


def _plan_of(letter: _Letter) -> Plan:
    """Return the plan of a run, which the speaker of its cohort has."""
    plan, run = letter.speaker.plan, letter.run
    return altered(plan, enrollment=altered(plan.enrollment, id=run.id, contact_id=run.contact_id))
