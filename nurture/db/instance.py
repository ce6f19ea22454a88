"""What this database is: its name, the check value of its suppression key, and whether it is a rehearsal, for ever."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from nurture.db import tables
from nurture.errors import DatabaseError, Fenced, Refused, SuppressionKeyError
from nurture.mail.keys import KeyRing

_INSTANCE = tables.Instance.__table__


@dataclass(frozen=True, slots=True)
class Instance:
    """The one row. `launch_cap` is messages a day (None: as the settings say); `sending_paused` is the reason."""

    instance_id: str
    key_id: str
    key_check: str
    rehearsal: bool
    rehearsal_now: datetime | None
    launch_cap: int | None
    sending_paused: str | None
    unsubscribe_tested_url: str | None
    unsubscribe_tested_at: datetime | None
    created_at: datetime


def create(
    connection: Connection, instance_id: str, ring: KeyRing, now: datetime, *, rehearsal: bool = False
) -> Instance:
    """Say once what this database is, bound to the newest key of `ring`; where it is said already, change nothing.

    `instance_id` is a new UUID, made by the caller.
    """
    found = _find(connection)
    if found is not None:
        return found
    values = {"id": 1, "instance_id": instance_id, "key_id": ring.newest, "key_check": ring.check_value(instance_id)}
    moment = now if rehearsal else None
    connection.execute(sa.insert(_INSTANCE).values(**values, rehearsal=rehearsal, rehearsal_now=moment, created_at=now))
    return read(connection)


def read(connection: Connection) -> Instance:
    """Return what this database is.

    Raises:
        DatabaseError: nobody has said it yet.
    """
    found = _find(connection)
    if found is None:
        raise DatabaseError("This database was not set up to the end: run `nurture db upgrade`.")
    return found


def lock(connection: Connection) -> None:
    """Wait until nobody else who has asked for the same is at work, until the transaction ends."""
    connection.execute(_LOCKING)


_LOCKING = sa.select(_INSTANCE.c.id).with_for_update()


def verify_keys(connection: Connection, ring: KeyRing | None) -> None:
    """Refuse to go on without the key under which this database's suppressions are kept.

    Raises:
        SuppressionKeyError: the key is missing or another one.
    """
    home = read(connection)
    if ring is None:
        raise SuppressionKeyError(
            f"The suppression key {home.key_id} is missing: put .nurture/keys back (or set NURTURE_KEYS). "
            "Until then nothing is sent, because nobody can tell who must not be written to."
        )
    if home.key_id not in ring.ids:
        raise SuppressionKeyError(
            f"This database needs the suppression key {home.key_id}, and the ring has only {', '.join(ring.ids)}: "
            "put its line back into .nurture/keys. Until then nothing is sent."
        )
    if not hmac.compare_digest(ring.check_value(home.instance_id, home.key_id), home.key_check):
        raise SuppressionKeyError(
            f"The suppression key {home.key_id} is not the one that this database was made with: "
            "put the right .nurture/keys back. Until then nothing is sent."
        )


# --- rehearsals -------------------------------------------------------------------------------------------------------


def make_rehearsal(connection: Connection, now: datetime | None) -> None:
    """Turn this database (a copy) into a rehearsal that begins at `now` (None: where it is first moved to).

    There is no way back.
    """
    _change(connection, rehearsal=True, rehearsal_now=now)


def require_rehearsal(connection: Connection) -> Instance:
    """Return what this database is; raise Fenced unless it is a rehearsal."""
    home = read(connection)
    if not home.rehearsal:
        raise Fenced(
            "Only a rehearsal may pretend a moment, and this is a real database: make one with `nurture rehearse`."
        )
    return home


def advance_rehearsal(connection: Connection, now: datetime) -> None:
    """Move the pretended moment of a rehearsal to `now`.

    Raises:
        Fenced: this is not a rehearsal.
        Refused: it would go backwards.
    """
    reached = require_rehearsal(connection).rehearsal_now
    if reached is not None and now < reached:
        raise Refused(
            f"This rehearsal has reached {reached:%Y-%m-%dT%H:%M:%SZ} and never goes back: "
            "pretend a later moment, or make a new one with `nurture rehearse`."
        )
    _change(connection, rehearsal_now=now)


# --- what people set --------------------------------------------------------------------------------------------------


def set_launch_cap(connection: Connection, cap: int | None) -> None:
    """Set how many messages a day may go out through real providers (None: as the settings say)."""
    _change(connection, launch_cap=cap)


def pause_sending(connection: Connection, reason: str) -> None:
    """Stop all sending, until it is resumed."""
    _change(connection, sending_paused=reason)


def resume_sending(connection: Connection) -> None:
    """Let sending go on."""
    _change(connection, sending_paused=None)


def record_unsubscribe_test(connection: Connection, url: str, now: datetime) -> None:
    """Note that the unsubscribe pages answered under this public `url`."""
    _change(connection, unsubscribe_tested_url=url, unsubscribe_tested_at=now)


def _find(connection: Connection) -> Instance | None:
    row = connection.execute(_WHOLE).first()
    return Instance(*row) if row else None


_WHOLE = sa.select(*(_INSTANCE.c[name] for name in Instance.__dataclass_fields__))


def _change(connection: Connection, **values: Any) -> None:
    read(connection)
    connection.execute(sa.update(_INSTANCE).values(**values))
