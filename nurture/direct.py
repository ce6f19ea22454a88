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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from nurture import carrying, deciding, engine, failpoints, letters, runs, sending
from nurture.core.words import TimerKind
from nurture.db import enrollments, leases, situations, timers
from nurture.db.session import Database
from nurture.engine import Page
from nurture.errors import DatabaseError, Fenced, SuppressionKeyError
from nurture.letters import Letter
from nurture.mail.wire import Outgoing
from nurture.postroom import Postroom, Sent
from nurture.providers.base import Deadline, Outcome, Receipt
from nurture.speakers import Speaker, speakers

LEAST = 20
"""How many mails a provider has to carry at once for a page of its own; slower ones are sent to the plain way."""

WORD = "direct:"
WORD_SECONDS = 180.0
"""How long the word that a process left counts as fresh, by the database's clock: longer than a page takes."""

RENEW_SECONDS = 60.0
"""How long a process goes on with the word that it left, before it says it again."""

PLAIN_SECONDS = 3600.0
"""How long everybody goes the plain way after a process that sent directly has not been heard of any more."""


@dataclass(frozen=True, slots=True)
class _Going:
    """What a page came to before its mail went: how many runs were due, and what its provider is to carry.

    The runs of its letters are not written before the provider has answered: their timers are held instead.
    """

    due: int
    page: Page | None = None
    carrier: str = ""
    letters: Sequence[Letter] = ()


class Direct:
    """Sends directly with one postroom, in one thread. Use as a context manager: it leaves word and takes it back."""

    def __init__(
        self,
        database: Database,
        postroom: Postroom,
        *,
        renew_seconds: float = RENEW_SECONDS,
        held_seconds: float = sending.HELD_SECONDS,
    ) -> None:
        """Touch nothing yet."""
        self._database, self._postroom = database, postroom
        self._renew_seconds, self._held_seconds = renew_seconds, held_seconds
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
        if self._word is not None or room >= LEAST:
            self._leave_word()
        if room < LEAST:
            return self._plainly(now)
        held = Deadline(self._held_seconds)
        going = self._database.unit(lambda connection: self._begin(connection, now))
        self._carrier = going.carrier or self._carrier
        return self._sent(going, held, now) if going.letters else Sent(due=going.due)

    def _plainly(self, now: datetime) -> Sent:
        due = engine.tick(self._database, self._postroom.owner, now, limit=self.most)
        self._carrier = self._carrier if due >= self.most else None  # the next of them may be for another one
        return Sent(due=due)

    def _sent(self, going: _Going, held: Deadline, now: datetime) -> Sent:
        receipts = carrying.carry(
            self._database,
            self._postroom,
            going.carrier,
            [letter.mail for letter in going.letters],
            {letter.contact.id: letter.contact for letter in going.letters},
            held,
            now,
            again=lambda: self._database.unit(lambda connection: self._still(connection, going, now)),
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

    def _still(self, connection: Connection, going: _Going, now: datetime) -> Sequence[Outgoing]:
        """Return the mail of a page that nobody has forbidden while it waited for its turn."""
        return [letter.mail for letter in letters.allowed(connection, going.letters, self._postroom.owner, now)]

    def _room(self) -> int:
        """Return how many mails the provider that was last needed carries at once; before the first, how many any."""
        providers = self._postroom.providers
        carrier = providers.get(self._carrier or "")
        return carrier.batch if carrier else max((each.batch for each in providers.values()), default=engine.PAGE)

    def _leave_word(self) -> None:
        """Leave word before a page, or renew it: what that page does not survive must be known.

        By time, not by what is due or which way it goes: a process that idles or whose provider is slow is alive, and
        one that was stopped says so when it wakes.
        """
        if self._word is None or not self._word.left():
            with self._database.write() as connection:
                leases.acquire(connection, WORD + self._postroom.owner, self._postroom.owner, WORD_SECONDS)
            self._word = Deadline(self._renew_seconds)

    # --- one transaction ----------------------------------------------------------------------------------------------

    def _begin(self, connection: Connection, now: datetime) -> _Going:
        """Plan a page of due runs, and let the mail that may go enter `dispatching`."""
        page = engine.read(connection, now, self.most)
        if page is None:
            return _Going(0)
        if self._is_fenced(connection) or leases.abandoned(connection, WORD, PLAIN_SECONDS):
            engine.write(connection, page, page.before.values())
            return _Going(page.due)
        carrier, sent = self._dispatch(connection, page, now)
        gone = {letter.run.id for letter in sent}
        timers.take(connection, TimerKind.ENROLLMENT, list(gone), self._postroom.owner, sending.LEASE_SECONDS)
        engine.write(connection, page, [run for key, run in page.before.items() if key not in gone])
        return _Going(page.due, page, carrier, sent)

    def _is_fenced(self, connection: Connection) -> bool:
        """Say whether nothing may be sent from here. The plain way refuses it, and everything else goes on."""
        try:
            sending.check_fence(connection, self._postroom)
        except (Fenced, SuppressionKeyError):
            return True
        return False

    def _dispatch(self, connection: Connection, page: Page, now: datetime) -> tuple[str, Sequence[Letter]]:
        """Let the mail that may go enter `dispatching`; return who carries it, and it."""
        found = speakers(connection, page, self._postroom, now)
        carrier = self._carrier_of(found)
        room = self._postroom.providers[carrier].batch if carrier else 0
        mine = [speaker for speaker in found if speaker.pending.due.sender.provider == carrier]
        wanted = min(room, sum(len(speaker.cohort) for speaker in mine))
        budget = self._budget(connection, mine, now) if room >= LEAST else None
        if room < LEAST or not self._within_budget(connection, budget, wanted, now):
            return carrier, ()
        written = letters.write(connection, page, self._postroom, mine, room, now, budget=budget)
        failpoints.reach(failpoints.DECIDED)
        return carrier, letters.dispatch(connection, written, self._postroom, carrier, page.program.hash, now)

    def _carrier_of(self, found: Sequence[Speaker]) -> str:
        """Return the provider that most of the mail is for, an empty name where there is none.

        One that carries few at once comes last.
        """
        if self._postroom.allow_domains and not self._postroom.redirect_all_to:
            return ""  # each has to be asked for its domain
        providers, counts = self._postroom.providers, Counter[str]()
        for speaker in found:
            if (name := speaker.pending.due.sender.provider) in providers:
                counts[name] += len(speaker.cohort)
        return max(counts, key=lambda name: (providers[name].batch >= LEAST, counts[name]), default="")

    def _budget(self, connection: Connection, mine: Sequence[Speaker], now: datetime) -> int | None:
        """Return how many mails of one provider may go today, None for any number."""
        return deciding.reserve(connection, self._postroom.policy, now) if mine[0].pending.real else None

    def _within_budget(self, connection: Connection, budget: int | None, wanted: int, now: datetime) -> bool:
        """Say whether today's budget suffices for a page and for all that waits already: else all go in turn."""
        return budget is None or wanted + timers.count_due(connection, TimerKind.MESSAGE, now, budget + 1) <= budget


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
    plans = [waiting[key].plan for key, run in found.items() if run == waiting[key].run]
    runs.save(connection, page.program, plans, page.versions, page.loaded, page.before, now)
