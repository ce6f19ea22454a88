"""The witness: a small file in the working folder that notices when its database was restored, or is a copy.

`.nurture/instance` holds the name of the database, how many messages it has seen leave, and its own place on the disk.
Before every page is claimed the database is held against it. Behind the witness, the database was restored from a
backup and would send again what went out since. Another name, or a file that was copied, and this may be a clone whose
original is at work elsewhere. Then nothing is sent until a person says so (`nurture db confirm`); all else goes on.

Only what leaves the machine counts: an outbox sends nobody anything.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import Connection

from nurture.db import instance, quotas
from nurture.errors import Fenced

FILE = Path(".nurture", "instance")
CONFIRM = (
    "Nothing is sent until you have made sure that no other copy of it sends, and have said so: `nurture db confirm`."
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a witness has seen: the database's name, how many messages left, and which file it was (its inode)."""

    instance_id: str
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
        seen, name, sent, problem = self._compare(connection)
        if problem:
            raise Fenced(f"{problem} {CONFIRM}")
        if seen is None or seen.sent < sent:
            self._write(name, sent)

    def problem(self, connection: Connection) -> str | None:
        """Return why this database may not send from this folder, None when it may. Changes nothing."""
        return self._compare(connection)[3]

    def confirm(self, connection: Connection) -> None:
        """Take the database as it is from now on: a person has made sure that no other copy sends."""
        self.path.unlink(missing_ok=True)
        self._write(*_now(connection))

    def _compare(self, connection: Connection) -> tuple[Seen | None, str, int, str | None]:
        """Return what was seen, the database's name and count, and what speaks against sending.

        What was seen is read first: meanwhile other processes send, and nothing they saw may be news to the database.
        """
        try:
            seen = _read(self.path)
        except (OSError, ValueError, KeyError, TypeError):
            return None, *_now(connection), f"{self.path} cannot be read."
        name, sent = _now(connection)
        return seen, name, sent, self._problem(seen, name, sent)

    def _problem(self, seen: Seen | None, name: str, sent: int) -> str | None:
        if seen is None:
            return None if sent == 0 or self.trusted == name else _STRANGER.format(sent=sent)
        if seen.instance_id != name:
            return _ANOTHER
        if sent < seen.sent:
            return _BEHIND.format(missing=seen.sent - sent)
        if seen.inode != self.path.stat().st_ino and self.trusted != name:
            return _COPIED
        return None

    def _write(self, name: str, sent: int) -> None:
        """Write in place: the file keeps its inode, and a copy of it never has the same.

        A new one appears whole, because other processes of this folder may be reading it.
        """
        new = not self.path.exists()
        path = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}") if new else self.path
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            if self.trusted == name:
                return
            raise Fenced(
                f"{self.path} cannot be written ({error.strerror}), and without it nobody would notice a restored "
                f"database: make it writable, or set NURTURE_INSTANCE={name} where this is the only installation."
            ) from None
        with os.fdopen(handle, "wb") as file:
            seen = {"instance": name, "sent": sent, "inode": os.fstat(file.fileno()).st_ino}
            file.write(orjson.dumps(seen).ljust(_LENGTH) + b"\n")
        if new:
            path.rename(self.path)


_LENGTH = 200
"""Every state of the file is as long, so that one write replaces all of it."""

_STRANGER = (
    "This folder has never sent from this database, and {sent:,} messages have left it already: it may be a copy "
    "whose original is at work."
)
_ANOTHER = "This folder worked with another database."
_BEHIND = (
    "This database was restored from a backup: it does not know of {missing:,} messages that left after that, "
    "and would send them again."
)
_COPIED = "This working folder is a copy of another one (or was restored from a backup), and that may be at work."


def _now(connection: Connection) -> tuple[str, int]:
    return instance.read(connection).instance_id, quotas.total(connection)


def _read(path: Path) -> Seen | None:
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Seen(str(found["instance"]), int(found["sent"]), int(found["inode"]))
