"""Named queries for import runs: how far the import of a file came, so that it can be taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from nurture.db import tables
from nurture.db.bulk import insert_rows, reserve_ids

_RUN = tables.ImportRun.__table__


@dataclass(frozen=True, slots=True)
class ImportRun:
    """One import of one file under one mapping: `rows_done` rows are written, `counts` is what became of them."""

    id: int
    rows_done: int
    counts: Mapping[str, int]


def begin(
    connection: Connection, file_hash: str, mapping_hash: str, file_name: str, source: str, now: datetime
) -> ImportRun:
    """Return the run to take up, or a new one. A finished run begins again: it finds everything there already."""
    same = (_RUN.c.file_hash == file_hash, _RUN.c.mapping_hash == mapping_hash, _RUN.c.source == source)
    row = connection.execute(select(_RUN).where(*same).with_for_update()).one_or_none()
    if row is not None and row.finished_at is None:
        return ImportRun(row.id, row.rows_done, row.counts)
    if row is not None:
        fresh: dict[str, Any] = {"rows_done": 0, "counts": {}, "started_at": now, "finished_at": None}
        connection.execute(update(_RUN).where(_RUN.c.id == row.id).values(fresh))
        return ImportRun(row.id, 0, {})
    (key,) = reserve_ids(connection, _RUN, 1)
    values = {
        "id": key,
        "file_hash": file_hash,
        "mapping_hash": mapping_hash,
        "file_name": file_name,
        "source": source,
        "started_at": now,
        "rows_done": 0,
        "counts": {},
    }
    insert_rows(connection, _RUN, [values])
    return ImportRun(key, 0, {})


def save(
    connection: Connection, run_id: int, rows_done: int, counts: Mapping[str, int], finished_at: datetime | None = None
) -> None:
    """Keep how far the run came, in the transaction that wrote those rows."""
    values = {"rows_done": rows_done, "counts": dict(counts), "finished_at": finished_at}
    connection.execute(update(_RUN).where(_RUN.c.id == run_id).values(values))
