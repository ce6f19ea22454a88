"""What kills its process: found out by attempts, which are counted before anything is tried, and put aside.

A page that was claimed twice without an end is tried in small parts and then one by one, so that everything else in it
goes out. What then still ends its process waits a day between tries, alone, with its reason; `nurture doctor` names it.
A message that is in flight is never here: it is ambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from nurture.core.words import MessageState, TimerKind
from nurture.db import decisions, dispatching, timers
from nurture.db.decisions import Decided
from nurture.db.timers import Claimed

TOGETHER = {1: None, 2: None, 3: 20}
"""How many are tried together at the first attempts (None: all); later each is tried alone."""

TRIES = 5
"""After how many attempts a message waits for AGAIN before the next one."""

AGAIN = timedelta(days=1)


def apart(connection: Connection, claimed: Sequence[Claimed], owner: str) -> Sequence[Claimed]:
    """Keep of a page what may be tried together, and give the rest back untried."""
    most = max(timer.attempts for timer in claimed)
    together = TOGETHER.get(most, 1)
    if together is None:
        return claimed
    kept = [timer for timer in claimed if timer.attempts == most][:together]
    mine = {timer.subject_id for timer in kept}
    others = [timer.subject_id for timer in claimed if timer.subject_id not in mine]
    timers.release(connection, TimerKind.MESSAGE, others, owner)
    return kept


def hold(
    connection: Connection,
    claimed: Sequence[Claimed],
    rows: Sequence[Row[Any]],
    owner: str,
    program_hash: str,
    now: datetime,
) -> Sequence[Row[Any]]:
    """Let wait what was tried too often, its attempts kept; return the other rows. One try follows each such wait."""
    if claimed[0].attempts <= TRIES:  # a page that was tried so often is one message
        return rows
    attempts = {timer.subject_id: timer.attempts for timer in claimed}
    aside = [row for row in rows if _waits(attempts[row.id]) and row.state in _UNSENT]
    if not aside:
        return rows
    until = now + AGAIN
    dispatching.give_back(connection, [row.id for row in aside], owner, now)
    timers.postpone(connection, TimerKind.MESSAGE, [row.id for row in aside], owner, until)
    decisions.record(connection, [_decided(row, until) for row in aside], program_hash, now)
    put_aside = {row.id for row in aside}
    return [row for row in rows if row.id not in put_aside]


_UNSENT = (*dispatching.CLAIMABLE, MessageState.CLAIMED)


def _waits(attempts: int) -> bool:
    return attempts > TRIES and (attempts - TRIES) % 2 == 1


def _decided(row: Row[Any], until: datetime) -> Decided:
    reason = f"quarantined: its process ended {TRIES} times while it was at work on it; one try a day"
    return Decided(row.contact_id, row.enrollment_id, row.id, row.step_id, "hold", reason, (), until)
