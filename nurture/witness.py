"""The witness: a small file in the working folder that notices when its database was restored, or is a copy.

`.nurture/instance` is made with the database. It holds that one's name and place, how many messages it has seen leave,
and its own place on the disk. Before every page is claimed the database is held against it; before every group leaves,
it is told. Behind the witness, the database was restored from a backup and would send again what went out since.
Another name or place, or a witness that was copied, and this may be a clone whose original is at work elsewhere. Then
nothing is sent until a person says so (`nurture db confirm`); all else goes on.

Only what leaves the machine counts: an outbox sends nobody anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
from sqlalchemy import Connection, text

from nurture.db import instance, quotas
from nurture.errors import Fenced

FILE = Path(".nurture", "instance")
CONFIRM = (
    "Nothing is sent until you have made sure that no other copy of it sends, and have said so: `nurture db confirm`."
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a witness has seen: which database, where (None: an older version wrote it), and how many messages left.

    `inode` is the witness's own file as it was.
    """

    instance_id: str
    place: str | None
    sent: int
    inode: int


@dataclass(frozen=True, slots=True)
class Witness:
    """The witness of one working folder. `trusted` names a database that needs none (from NURTURE_INSTANCE)."""

    path: Path
    trusted: str | None = None

    def check(self, connection: Connection) -> None:
        """Hold the database against what was seen, and see what is new.

        Raises:
            Fenced: the database was restored, or is not the one that this folder worked with.
        """
        if problem := self._look(connection):
            raise Fenced(f"{problem} {CONFIRM}")

    def see(self, connection: Connection) -> None:
        """See how many messages have left, before the last of them do: their intent is committed.

        Raises:
            Fenced: it cannot be written down.
        """
        self._write(self._now(connection))

    def begin(self, connection: Connection) -> None:
        """Begin with the database, where nothing has left it yet and the folder can be written."""
        now = self._now(connection)
        if now.sent == 0 and not self.path.exists():
            with suppress(Fenced):  # it is said again before anything leaves
                self._write(now)

    def problem(self, connection: Connection) -> str | None:
        """Return why this database may not send from this folder, None when it may. Changes nothing."""
        return self._look(connection, writing=False)

    def confirm(self, connection: Connection) -> None:
        """Take the database as it is from now on: a person has made sure that no other copy sends."""
        self.path.unlink(missing_ok=True)
        self._write(self._now(connection))

    def _look(self, connection: Connection, *, writing: bool = True) -> str | None:
        """Return what speaks against sending; write down what is new.

        What was seen is read first: meanwhile other processes send, and nothing they saw may be news to the database.
        """
        try:
            seen = _read(self.path)
        except (OSError, ValueError, KeyError, TypeError):
            return f"{self.path} cannot be read."
        now = self._now(connection)
        problem = self._problem(seen, now)
        if writing and not problem and (seen is None or seen.sent < now.sent or seen.place is None):
            self._write(now)
        return problem

    def _problem(self, seen: Seen | None, now: Seen) -> str | None:
        trusted = self.trusted == now.instance_id
        if seen is None:
            return None if now.sent == 0 or trusted else _STRANGER.format(sent=now.sent)
        if seen.instance_id != now.instance_id:
            return _ANOTHER
        if now.sent < seen.sent:
            return _BEHIND.format(missing=seen.sent - now.sent)
        if trusted:
            return None
        if seen.inode != now.inode:
            return _COPIED
        return _ELSEWHERE if seen.place not in (None, now.place) else None

    def _now(self, connection: Connection) -> Seen:
        """Return what a look at the database tells now; its inode is 0 where there is no file yet."""
        name, sent = instance.read(connection).instance_id, quotas.total(connection)
        inode = self.path.stat().st_ino if self.path.exists() else 0
        return Seen(name, _place(connection, self.path.parent.parent), sent, inode)

    def _write(self, now: Seen) -> None:
        """Write in place: the file keeps its inode, and a copy of it never has the same.

        A new one appears whole, because other processes of this folder may be reading it; and none writes less than
        another has.
        """
        new = not self.path.exists()
        path = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}") if new else self.path
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if new or _parsed(file.read()).sent <= now.sent:
                    _put(file, now)
            if new:
                path.rename(self.path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if self.trusted == now.instance_id:
                return
            raise Fenced(
                f"{self.path} cannot be written ({error}), and without it nobody would notice a restored database: "
                f"make it writable, or set NURTURE_INSTANCE={now.instance_id} where this is the only installation."
            ) from None


def _put(file: BinaryIO, seen: Seen) -> None:
    values = {"instance": seen.instance_id, "sent": seen.sent, "inode": os.fstat(file.fileno()).st_ino}
    file.seek(0)
    file.write(orjson.dumps(values | {"place": seen.place}).ljust(_LENGTH) + b"\n")


_LENGTH = 200
"""Every state of the file is as long, so that one write replaces all of it."""

_STRANGER = (
    "This folder has never sent from this database, and {sent:,} messages have left it already: it may be a copy "
    "whose original is at work."
)
_ELSEWHERE = (
    "This is not where this folder's database was: it may be a copy of it, or was restored or moved, and the other may "
    "be at work."
)
_ANOTHER = "This folder worked with another database."
_BEHIND = (
    "This database was restored from a backup: it does not know of {missing:,} messages that left after that, "
    "and would send them again."
)
_COPIED = "This working folder is a copy of another one (or was restored from a backup), and that may be at work."


def _read(path: Path) -> Seen | None:
    try:
        return _parsed(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _parsed(octets: bytes) -> Seen:
    found = orjson.loads(octets)
    place = found.get("place")
    return Seen(str(found["instance"]), str(place) if place else None, int(found["sent"]), int(found["inode"]))


def _place(connection: Connection, folder: Path) -> str:
    """Return a hash of where a database is: of SQLite its path seen from the folder, of PostgreSQL server and key."""
    where: str | None = connection.info.get(_PLACE)
    if where is None:
        where = connection.info[_PLACE] = _path(connection, folder) or _server(connection)
    return hashlib.sha256(where.encode()).hexdigest()[:32]


def _path(connection: Connection, folder: Path) -> str | None:
    if connection.dialect.name != "sqlite":
        return None
    return os.path.relpath(Path(str(connection.engine.url.database)).resolve(), folder.resolve())


def _server(connection: Connection) -> str:
    key = connection.scalar(_KEY)
    return f"{connection.scalar(_SYSTEM)}/{key}" if connection.scalar(_MAY_ASK) else str(key)


_PLACE = "nurture_place"
_KEY = text("SELECT oid FROM pg_database WHERE datname = current_database()")
_MAY_ASK = text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
_SYSTEM = text("SELECT system_identifier FROM pg_control_system()")
