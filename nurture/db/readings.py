"""What decisions have in common, stored once: the rule, the program, and what the gates read for many alike.

A decision names its readings and keeps only the values that are its own (`Check.own`). Readings are never changed and
never waited for: whoever finds none of the same content that is young enough adds one, even if another process does the
same at this moment. That also lets old ones go without a lock: nobody new takes what is old enough to be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, func, select

from nurture import __version__
from nurture.core.decision import Check
from nurture.db import tables
from nurture.db.bulk import in_given, in_page, insert_rows, reserve_ids

TABLE = tables.Readings.__table__
_C = TABLE.c
_DECISION = tables.Decision.__table__.c

TAKEN_FOR = timedelta(days=30)
"""How long readings are taken by new decisions; far less than how long decisions are kept."""

OF_DECISION = (
    _DECISION.own,
    _DECISION.checks,
    func.coalesce(_C.rule, _DECISION.rule).label("rule"),
    func.coalesce(_C.program_hash, _DECISION.program_hash).label("program_hash"),
    func.coalesce(_C.code_version, _DECISION.code_version).label("code_version"),
    _C.checks.label("shared"),
)
"""The columns that say what a decision rests on, for a query that joins its readings, if it has any, from outside."""

Readings = Mapping[str, Any]


def of(rule: str | None, checks: Sequence[Check], program_hash: str) -> Readings:
    """Return what a decision shares with others, with the hash of it."""
    read = [_shared(check) for check in checks]
    content = orjson.dumps([rule, program_hash, __version__, read])
    return {
        "hash": sha256(content).hexdigest(),
        "rule": rule,
        "program_hash": program_hash,
        "code_version": __version__,
        "checks": read,
    }


def _shared(check: Check) -> dict[str, object]:
    """Return what is shared of a check. Why it did not let a message pass stands in the decision."""
    reading = check.reading
    return {"gate": reading.gate, "passed": check.passed, "inputs": reading.inputs, "own": reading.own}


def whole(row: Any) -> list[dict[str, Any]]:
    """Return all that the gates of a decision read; `row` has its reason and what is `OF_DECISION`."""
    if row.shared is None:
        return row.checks or []
    own = iter(row.own or ())
    return [
        {
            "gate": check["gate"],
            "passed": check["passed"],
            "reason": "" if check["passed"] else row.reason,
            "inputs": {**check["inputs"], **{name: next(own) for name in check["own"]}},
        }
        for check in row.shared
    ]


def keep(connection: Connection, wanted: Sequence[Readings], now: datetime) -> dict[str, int]:
    """Return the keys of readings by their hash, after adding those that nobody has added lately."""
    by_hash = {each["hash"]: each for each in wanted}
    rows = connection.execute(_LATELY, {"ids": list(by_hash), "since": now - TAKEN_FOR})
    known: dict[str, int] = {row.hash: row.id for row in rows}
    missing = [each for key, each in by_hash.items() if key not in known]
    ids = reserve_ids(connection, TABLE, len(missing))
    insert_rows(
        connection, TABLE, [{"id": key, "made_at": now, **each} for key, each in zip(ids, missing, strict=True)]
    )
    return known | {each["hash"]: key for key, each in zip(ids, missing, strict=True)}


_LATELY = (
    select(_C.hash, func.max(_C.id).label("id"))
    .where(in_given(_C.hash), _C.made_at > bindparam("since", type_=_C.made_at.type))
    .group_by(_C.hash)
)


def forget(connection: Connection, before: datetime) -> None:
    """Delete readings from before a moment that no decision names any more."""
    old = set(connection.scalars(select(_C.id).where(_C.made_at < before)))
    if old:
        old -= set(connection.scalars(select(_DECISION.readings_id).distinct()))
        connection.execute(delete(TABLE).where(in_page(_C.id, sorted(old))))
