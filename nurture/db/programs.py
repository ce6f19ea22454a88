"""Named queries for applied programs: files, versions and templates, the live pointer, stages and senders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from nurture.core.definition import Stage
from nurture.core.program import SenderSpec
from nurture.core.words import Voice
from nurture.db import tables
from nurture.db.bulk import in_given, in_page, insert_new, upsert

_BLOB = tables.Blob.__table__
_CONTACT = tables.Contact.__table__
_LIVE = tables.Live.__table__
_PROGRAM = tables.ProgramVersion.__table__
_SENDER = tables.Sender.__table__
_STANDING = tables.Standing.__table__
_STAGE = tables.Stage.__table__
_TEMPLATE = tables.Template.__table__
_VERSION = tables.SequenceVersion.__table__

_OF_SENDERS = ("address", "display_name", "reply_to", "provider", "rate", "per_day")

GONE = "no longer in nurture.toml"
"""Why a marketing sender is paused that the live program does not have."""


def live_hash(connection: Connection) -> str | None:
    """Return the hash of the program that runs, None when nothing was applied."""
    found: str | None = connection.scalar(_LIVE_HASH)
    return found


def manifest(connection: Connection, program_hash: str) -> Mapping[str, Any]:
    """Return `files` (path → hash) and `templates` (name → hash) of a program."""
    found: Mapping[str, Any] = connection.scalars(
        select(_PROGRAM.c.manifest).where(_PROGRAM.c.hash == program_hash)
    ).one()
    return found


def texts(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """Return stored files by hash."""
    query = select(_BLOB.c.hash, _BLOB.c.content).where(in_page(_BLOB.c.hash, sorted(hashes)))
    return {row.hash: row.content for row in connection.execute(query)}


def version_ids(connection: Connection, hashes: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return the keys of stored sequences by (name, hash)."""
    found = connection.execute(_VERSIONS_BY_HASH, {"ids": sorted(hashes)})
    return {(row.name, row.hash): row.id for row in found}


def versions(connection: Connection, ids: Collection[int]) -> list[Row[Any]]:
    """Return stored sequences (id, hash, definition) by key."""
    return list(connection.execute(_VERSIONS, {"ids": sorted(ids)}))


_LIVE_HASH = select(_LIVE.c.program_hash)
_VERSIONS_BY_HASH = select(_VERSION.c.id, _VERSION.c.name, _VERSION.c.hash).where(in_given(_VERSION.c.hash))
_VERSIONS = select(_VERSION.c.id, _VERSION.c.hash, _VERSION.c.definition).where(in_given(_VERSION.c.id))


def templates(connection: Connection, hashes: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return compiled templates by hash."""
    query = select(_TEMPLATE.c.hash, _TEMPLATE.c.artifact).where(in_page(_TEMPLATE.c.hash, sorted(hashes)))
    return {row.hash: row.artifact for row in connection.execute(query)}


def newest_templates(connection: Connection) -> dict[str, str]:
    """Return the hash of the newest template of every name that was ever applied."""
    query = select(_TEMPLATE.c.name, _TEMPLATE.c.hash).order_by(_TEMPLATE.c.created_at, _TEMPLATE.c.hash)
    return {row.name: row.hash for row in connection.execute(query)}


def stranded(connection: Connection, stages: Collection[str]) -> dict[str, int]:
    """Return how many contacts are in stages other than `stages`, by stage."""
    query = select(_CONTACT.c.stage, func.count().label("contacts")).where(_CONTACT.c.stage.not_in(stages))
    rows = connection.execute(query.group_by(_CONTACT.c.stage).order_by(_CONTACT.c.stage))
    return {row.stage: row.contacts for row in rows}


def store_files(connection: Connection, files: Mapping[str, str]) -> None:
    """Store texts by hash."""
    rows = [{"hash": key, "kind": "source", "content": text} for key, text in files.items()]
    insert_new(connection, _BLOB, rows, ("hash",))


def store_templates(connection: Connection, rows: Collection[Mapping[str, Any]]) -> None:
    """Store compiled templates: hash, name, source (path → hash), artifact, created_at."""
    insert_new(connection, _TEMPLATE, list(rows), ("hash",))


def store_versions(connection: Connection, rows: Collection[Mapping[str, Any]]) -> None:
    """Store sequences that are new: name, hash, voice, definition, created_at."""
    insert_new(connection, _VERSION, list(rows), ("name", "hash"))


def go_live(
    connection: Connection, program_hash: str, manifest: Mapping[str, Any], by: str, now: datetime, *, restand: bool
) -> None:
    """Store the program and let the live pointer name it; with `restand` everybody has to be scored anew."""
    program = {"hash": program_hash, "manifest": dict(manifest), "created_at": now}
    insert_new(connection, _PROGRAM, [program], ("hash",))
    pointer = {"id": 1, "program_hash": program_hash, "applied_at": now, "applied_by": by}
    upsert(connection, _LIVE, [{**pointer, "restand_from": 0} if restand else pointer], ("id",))


def restanding(connection: Connection) -> bool:
    """Return whether somebody may still stand as an earlier lifecycle scored them."""
    return connection.scalar(select(_LIVE.c.restand_from).where(_LIVE.c.restand_from.is_not(None))) is not None


def restand_from(connection: Connection) -> tuple[int, datetime] | None:
    """Return from which contact on some may stand as an earlier lifecycle scored them, and since when; None if none.

    The row is locked until the transaction ends, so that each page of them is somebody's; None while it is another's.
    """
    query = select(_LIVE.c.restand_from, _LIVE.c.applied_at).where(_LIVE.c.restand_from.is_not(None))
    found = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    return None if found is None else (found.restand_from, found.applied_at)


def restood_until(connection: Connection, contact_id: int | None) -> None:
    """Keep up to which contact everybody was scored anew; None: that was the last."""
    connection.execute(update(_LIVE).values(restand_from=contact_id))


def outdated(connection: Connection, after: int, model_hash: str, limit: int) -> list[int]:
    """Return the next contacts by key whom another lifecycle scored."""
    query = (
        select(_STANDING.c.contact_id)
        .where(_STANDING.c.contact_id > after, _STANDING.c.model_hash != model_hash)
        .order_by(_STANDING.c.contact_id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def sync_stages(connection: Connection, stages: Iterable[Stage]) -> None:
    """Let the table of stages be exactly `stages`, in their order."""
    rows = [
        {
            "name": stage.name,
            "label": stage.label,
            "role": stage.role,
            "voice": stage.voice,
            "owner": stage.owner,
            "position": position,
        }
        for position, stage in enumerate(stages)
    ]
    connection.execute(delete(_STAGE).where(_STAGE.c.name.not_in([row["name"] for row in rows])))
    upsert(connection, _STAGE, rows, ("name",))


def personal_names(connection: Connection, names: Collection[str]) -> list[str]:
    """Return which of `names` are senders of reps."""
    query = select(_SENDER.c.name).where(in_page(_SENDER.c.name, sorted(names)), _SENDER.c.voice == Voice.PERSONAL)
    return sorted(connection.scalars(query))


def sync_senders(connection: Connection, senders: Collection[SenderSpec], now: datetime) -> None:
    """Create and change the marketing senders, pause those that are gone, and let those go on that have come back."""
    rows = [
        {
            "name": sender.name,
            "voice": sender.voice,
            "address": sender.address,
            "display_name": sender.display_name,
            "reply_to": sender.reply_to,
            "provider": sender.provider,
            "rate": None if sender.rate is None else str(sender.rate),
            "per_day": sender.per_day,
            "created_at": now,
        }
        for sender in senders
    ]
    upsert(connection, _SENDER, rows, ("name",), _OF_SENDERS)
    here = in_page(_SENDER.c.name, [sender.name for sender in senders])
    back = update(_SENDER).where(here, _SENDER.c.paused_reason == GONE)
    connection.execute(back.values(paused_reason=None, paused_at=None))
    gone = update(_SENDER).where(~here, _SENDER.c.voice == Voice.MARKETING, _SENDER.c.paused_reason.is_(None))
    connection.execute(gone.values(paused_reason=GONE, paused_at=now))
