"""What is wrong with an installation, and what to do about it: every check is a sentence. Changes nothing.

Checks run from the ground up; when one that the others stand on fails, they are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from nurture import live
from nurture.core.words import Voice
from nurture.db import handoffs, health, instance, leases, listings, migrate, programs, reps, senders, timers
from nurture.db.session import Database, place, write_problem
from nurture.deciding import unsubscribe_problem
from nurture.direct import PLAIN_SECONDS, WORD
from nurture.errors import NotFound, NurtureError
from nurture.settings import Settings
from nurture.wiring import leaves_here, witness_of

LATE = timedelta(minutes=10)
"""How long what is due may lie: a cron job every five minutes is on time."""

SKEW = timedelta(seconds=30)
AMBIGUOUS_FOR = timedelta(hours=1)
TRIES = 5


class State(StrEnum):
    """How a check ended. `chosen` is what a person switched off on purpose."""

    OK = "ok"
    CHOSEN = "chosen"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it is, and (where it is wrong) what to do."""

    name: str
    state: State
    what: str
    todo: str | None = None


def examine(settings: Settings, database: Database, clock: Callable[[], datetime]) -> list[Finding]:
    """Check everything; `clock` tells the real time."""
    ground = _ground(database)
    if ground.state is State.WRONG:
        return [ground]
    try:
        with database.read() as connection:
            return [ground, *_writing(database), *_all(settings, connection, clock)]
    except SQLAlchemyError as error:
        broken = Finding("database", State.WRONG, f"a question was not answered: {type(error).__name__}", _LOG)
        return [ground, broken]


_LOG = "look into the log of the database"


def _ground(database: Database) -> Finding:
    try:
        migrate.check(database)
    except NurtureError as error:
        return Finding("database", State.WRONG, str(error))
    return Finding("database", State.OK, f"{place(database.url)} answers, revision {migrate.head()}")


def _writing(database: Database) -> Iterator[Finding]:
    """Say when this user may read the database and not write it: then only questions are answered."""
    if (problem := write_problem(database.url)) is not None:
        yield Finding("writing", State.WRONG, problem, "until then only commands work that change nothing")


def _all(settings: Settings, connection: Connection, clock: Callable[[], datetime]) -> Iterator[Finding]:
    home = instance.read(connection)
    real = clock()
    now = (home.rehearsal_now if home.rehearsal else None) or real
    yield _keys(settings, connection)
    yield _program(connection)
    yield _instance(settings, connection, home)
    if not home.rehearsal:
        yield _clock(connection, real)
    yield _late(connection, now)
    yield _lost(connection)
    yield _tried(connection)
    yield _in_flight(connection)
    yield _directly(connection)
    yield _ambiguous(connection, now)
    yield _switch(home)
    yield from _senders(connection)
    yield from _sequences(connection)
    yield from _handoffs(connection, now)
    if not home.rehearsal:
        yield _unsubscribe(settings, connection, home, now)


def _in_flight(connection: Connection) -> Finding:
    """Say what a process has in its hands: should it be gone, its messages are seen to when its leases have run out."""
    count, until = health.in_flight(connection)
    if not count:
        return Finding("in flight", State.OK, "nothing is being sent right now")
    later = f"after {until:%H:%M:%S} UTC" if until else "at the next run"
    what = f"{count:,} messages are claimed or being sent; should that process be gone, they are seen to {later}"
    return Finding("in flight", State.OK, what)


def _directly(connection: Connection) -> Finding:
    """Say whether a process that sent directly did not survive, so that everybody goes the plain way for an hour."""
    ended = leases.ran_out(connection, WORD)
    if ended is None:
        return Finding("direct sending", State.OK, "every process that sent directly ended well, or is at work")
    until = ended + timedelta(seconds=PLAIN_SECONDS)
    what = f"a process did not end well while it sent directly: until {until:%H:%M} UTC all go the plain way, slower"
    return Finding("direct sending", State.OK, what)


def _keys(settings: Settings, connection: Connection) -> Finding:
    try:
        instance.verify_keys(connection, settings.ring)
    except NurtureError as error:
        todo = "bring back the keys from where they are kept apart from the database, then `nurture doctor` again"
        return Finding("suppression keys", State.WRONG, str(error), todo)
    ids = ", ".join(settings.ring.ids) if settings.ring else ""
    return Finding("suppression keys", State.OK, f"this database's key is in the ring ({ids})")


def _program(connection: Connection) -> Finding:
    try:
        program = live.current(connection)
    except NotFound as error:
        return Finding("program", State.WRONG, str(error))
    return Finding("program", State.OK, f"{program.hash[:12]} is live, {len(program.sequences)} sequences")


def _instance(settings: Settings, connection: Connection, home: instance.Instance) -> Finding:
    if home.rehearsal:
        return Finding("instance", State.OK, f"{home.instance_id}, a rehearsal: nothing leaves this machine")
    witness = witness_of(settings)
    problem = witness.problem(connection)
    if problem is None:
        known = "as this folder's witness knows it" if witness.path.exists() else "from which nothing has left yet"
        return Finding("instance", State.OK, f"{home.instance_id}, {known}")
    if not any(leaves_here(settings, sender.provider) for sender in senders.every(connection)):
        return Finding("instance", State.OK, f"{home.instance_id}; nothing leaves this machine")
    return Finding("instance", State.WRONG, problem, "make sure that no other copy sends, then `nurture db confirm`")


def _clock(connection: Connection, now: datetime) -> Finding:
    apart = now - health.clock(connection)
    if abs(apart) > SKEW:
        what = f"this machine's clock and the database's are {abs(apart).total_seconds():,.0f} seconds apart"
        return Finding("clock", State.WRONG, what, "let both follow a time server")
    last = health.last_recorded(connection)
    if last is not None and last - now > SKEW:
        what = f"something was recorded at {last:%Y-%m-%d %H:%M} UTC, which is yet to come: the clock went back"
        return Finding("clock", State.WRONG, what, "let this machine follow a time server")
    return Finding("clock", State.OK, "this machine and the database agree what time it is")


def _late(connection: Connection, now: datetime) -> Finding:
    found = health.late(connection, now)
    if not found:
        return Finding("work", State.OK, "nothing is late")
    since = min(late.since for late in found)
    what = ", ".join(f"{late.count:,} {_KINDS[late.kind]} ({late.held:,} in work)" for late in found)
    what = f"late by {_length(now - since)}: {what}"
    if now - since <= LATE:
        return Finding("work", State.OK, what)
    todo = "is `nurture run` (or `nurture serve`, or the cron job) running, and keeping up? Its log says what fails"
    return Finding("work", State.WRONG, what, todo)


_KINDS = {
    "enrollment": "runs",
    "message": "messages",
    "review": "contacts to review",
    "draft": "drafts",
    "sla": "handoffs to watch",
}


def _lost(connection: Connection) -> Finding:
    found = timers.lost(connection)
    if not found:
        return Finding("timers", State.OK, "everything unfinished has its timer")
    some = ", ".join(f"{lost.kind} {lost.subject_id} ({lost.state})" for lost in found[:5])
    what = f"{len(found):,} unfinished things will never be woken: {some}"
    return Finding("timers", State.WRONG, what, "this is a bug in nurture: please report it with the log")


def _tried(connection: Connection) -> Finding:
    found = health.tried(connection, TRIES)
    if not found:
        return Finding("tries", State.OK, "nothing is tried again and again")
    some = ", ".join(f"{kind} {subject} ({times} times)" for kind, subject, times in found[:5])
    what = f"claimed again and again without an end: {some}"
    return Finding("tries", State.WRONG, what, "does it kill its process? Its log ends where the trouble is")


def _ambiguous(connection: Connection, now: datetime) -> Finding:
    found = health.ambiguous(connection)
    if not found:
        return Finding("ambiguous messages", State.OK, "of every message it is known whether it was sent")
    since = min((each.since for each in found if each.since), default=None)
    whose = ", ".join(f"{each.sender} {each.count:,}" for each in found)
    age = f", the oldest for {_length(now - since)}" if since else ""
    what = f"of {sum(each.count for each in found):,} messages nobody knows whether they were sent ({whose}){age}"
    state = State.WRONG if since is None or now - since > AMBIGUOUS_FOR else State.OK
    todo = "ask the provider, then `nurture messages settle`; `nurture messages list --state ambiguous` names them"
    return Finding("ambiguous messages", state, what, todo)


def _switch(home: instance.Instance) -> Finding:
    if home.sending_paused is None:
        return Finding("sending", State.OK, "switched on")
    return Finding("sending", State.CHOSEN, f"paused: {home.sending_paused}", "`nurture resume --all`")


def _senders(connection: Connection) -> Iterator[Finding]:
    for sender in senders.every(connection):
        name = f"sender {sender.name}"
        if not sender.paused_reason:
            yield Finding(name, State.OK, f"sends as {sender.address} through {sender.provider}")
        elif sender.paused_reason == programs.GONE:
            yield Finding(name, State.CHOSEN, sender.paused_reason)
        else:
            todo = f"mend it, then `nurture resume --sender {sender.name}`"
            yield Finding(name, State.WRONG, f"paused: {sender.paused_reason}", todo)


def _sequences(connection: Connection) -> Iterator[Finding]:
    for name, reason in sorted(listings.paused_sequences(connection).items()):
        todo = f"`nurture resume --sequence {name}`"
        yield Finding(f"sequence {name}", State.CHOSEN, f"paused: {reason}", todo)


def _handoffs(connection: Connection, now: datetime) -> Iterator[Finding]:
    """Say whether somebody takes what marketing hands over, and can write to them."""
    team = reps.rows(connection)
    count, since = handoffs.queued(connection)
    if count and not any(row.active for row in team):
        what = f"{count:,} contacts wait for sales, and there is no rep"
        yield Finding("handoffs", State.WRONG, what, "`nurture reps import`, or `nurture reps add`")
    elif since is not None:
        what = f"{count:,} wait in the queue since {_length(now - since)}: no rep is free"
        yield Finding("handoffs", State.WRONG, what, "`nurture handoffs list` names them, `show` says why")
    else:
        yield Finding("handoffs", State.OK, "none waits for a rep")
    for row in team:
        if row.active and not row.has_mailbox:
            todo = f'`nurture reps add --email {row.email} --name "{row.name}"`'
            yield Finding(f"rep {row.email}", State.WRONG, "has no mailbox that personal mail can go out from", todo)
    if (program := live.current_if_any(connection)) is not None:
        unknown = program.lifecycle.handoff.named - {row.email for row in team if row.active}
        for address in sorted(unknown):
            what = f"{program.lifecycle.file} hands over to {address}, and there is no such active rep"
            yield Finding(f"rep {address}", State.WRONG, what, "`nurture reps import`, or mend the file")


def _unsubscribe(settings: Settings, connection: Connection, home: instance.Instance, now: datetime) -> Finding:
    name = "unsubscribe pages"
    marketing = [s for s in senders.every(connection) if s.voice is Voice.MARKETING and not s.paused_reason]
    if not any(leaves_here(settings, sender.provider) for sender in marketing):
        return Finding(name, State.OK, "not needed: no marketing mail leaves this machine")
    if (problem := unsubscribe_problem(home, settings.public_url, now)) is not None:
        return Finding(name, State.WRONG, problem, "marketing mail is held until they answer")
    return Finding(name, State.OK, f"{settings.public_url} answered at {home.unsubscribe_tested_at:%Y-%m-%d %H:%M} UTC")


def _length(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    if minutes < 1:
        return f"{max(0, int(span.total_seconds()))} seconds"
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
