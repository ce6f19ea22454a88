"""What must hold after every fault: promises 1 to 4 of the project, read from the database and the ledger's book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from nurture.core.words import FINAL_MESSAGES, MessageState
from nurture.db import tables, timers
from nurture.db.session import Database

WAITING = (MessageState.PLANNED, MessageState.AWAITING_APPROVAL)


def check(database: Database, taken: Mapping[str, int], *, drained: bool = True) -> Counter[str]:
    """Hold the promises against what happened; return how many messages are in which state.

    `drained` says that everything due was worked at: each message is over, ambiguous, or waits in the open.
    """
    with database.read() as connection:
        rows = connection.execute(select(tables.Message.__table__)).fetchall()
        sent = Counter(connection.scalars(select(tables.Event.message_id).where(tables.Event.kind == "sent")))
        lost = timers.lost(connection)
    assert lost == []
    assert [key for key, times in taken.items() if times > 1] == [], "the provider took a message twice"
    assert set(taken) <= {row.message_id_header for row in rows}, "the provider has a mail that nobody knows"
    assert len({row.origin_key for row in rows}) == len(rows)
    for row in rows:
        _check_one(row, taken, sent, drained)
    _check_order(rows)
    return Counter(row.state for row in rows)


def _check_one(row: Any, taken: Mapping[str, int], sent: Mapping[Any, int], drained: bool) -> None:
    what = f"message {row.id} to {row.to_address} is {row.state} ({row.reason})"
    has_it = bool(taken.get(row.message_id_header))
    if row.state == MessageState.ACCEPTED:
        assert has_it, f"{what}, and the provider never took it"
    if row.state in (MessageState.ACCEPTED, MessageState.SETTLED_SENT):
        assert sent[row.id] == 1, f"{what}, and its timeline says so {sent[row.id]} times"
    else:
        assert sent[row.id] == 0, f"{what}, and its timeline says it was sent"
    if has_it:
        known = (MessageState.ACCEPTED, MessageState.SETTLED_SENT, MessageState.AMBIGUOUS, MessageState.DISPATCHING)
        assert row.state in known, f"{what}, and the provider has it"
    if drained:
        assert row.state != MessageState.DISPATCHING, what
        assert row.state in (*FINAL_MESSAGES, MessageState.AMBIGUOUS, *WAITING) or row.reason or not row.sent_at, what


def _check_order(rows: list[Any]) -> None:
    """Hold promise 4: of one run, no message while an earlier one is open."""
    by_run: dict[int, list[Any]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        by_run.setdefault(row.enrollment_id, []).append(row)
    for run in by_run.values():
        for earlier in run[:-1]:
            assert earlier.state in FINAL_MESSAGES, f"a step went before message {earlier.id} was over"
