"""The default provider: every mail becomes a file `<directory>/<date>/<message id>.eml`. Nothing leaves the machine.

A file appears whole or not at all, and its name is the Message-ID: sending the same mail again finds the file and
changes nothing, and whether a mail was sent is whether its file is there.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path

from nurture.mail.wire import Outgoing, to_bytes
from nurture.providers.base import Deadline, Options, Outcome, Provider, Receipt, reason

MAX_NAME = 180
_UNSAFE = re.compile(rb"[^A-Za-z0-9._@+-]")


def create(options: Mapping[str, object], *, folder: Path, secrets: Mapping[str, str]) -> Provider:
    """Return an outbox. Options: `directory` ("outbox"), `fsync` (true; rehearsals may do without)."""
    read = Options("outbox", options, ("directory", "fsync"))
    directory = folder / read.text("directory", "outbox")
    fsync = read.flag("fsync", True)
    return Outbox(directory, fsync=fsync)


class Outbox:
    """Writes mails as files."""

    name = "outbox"
    batch = 500
    real = False

    def __init__(self, directory: Path, *, fsync: bool = True) -> None:
        """Write below `directory`, made when the first mail comes; `fsync` makes files survive a power cut."""
        self.directory = directory
        self._fsync = fsync

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Write the group's files; a mail whose file is there already is accepted as it is."""
        deadline = Deadline(seconds)
        receipts = [self._send_one(outgoing, deadline) for outgoing in group]
        return self._make_durable(group, receipts)

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say which mails have their file, whatever its date: certain either way, as long as the folder can be read."""
        try:
            days = [day for day in self.directory.iterdir() if day.is_dir()] if self.directory.exists() else []
            return {known: any((day / file_name(known)).exists() for day in days) for known in message_ids}
        except OSError:
            return {}

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def path(self, outgoing: Outgoing) -> Path:
        """Return where the file of a mail is or will be."""
        return self.directory / outgoing.date.astimezone(UTC).date().isoformat() / file_name(outgoing.message_id)

    def _send_one(self, outgoing: Outgoing, deadline: Deadline) -> Receipt:
        if deadline.left() <= 0:
            return Receipt(outgoing.id, Outcome.NOT_SENT, detail="the time was over before its turn")
        path = self.path(outgoing)
        try:
            octets = to_bytes(outgoing)
        except ValueError as error:
            return Receipt(outgoing.id, Outcome.REFUSED, detail=reason(error))
        try:
            if not path.exists():
                self._write(path, octets)
        except OSError as error:
            return _not_written(outgoing, path, error)
        return Receipt(outgoing.id, Outcome.ACCEPTED, provider_id=f"{path.parent.name}/{path.name}")

    def _write(self, path: Path, octets: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            with draft.open("wb") as file:
                file.write(octets)
                if self._fsync:
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _make_durable(self, group: Sequence[Outgoing], receipts: list[Receipt]) -> list[Receipt]:
        """Make the new names survive a power cut, once for each folder. Writing again after a failure is harmless."""
        if not self._fsync:
            return receipts
        accepted = [outgoing for outgoing, r in zip(group, receipts, strict=True) if r.outcome is Outcome.ACCEPTED]
        failed: dict[int, Receipt] = {}
        for parent in {self.path(outgoing).parent for outgoing in accepted}:
            try:
                _sync_folder(parent)
                _sync_folder(parent.parent)
            except OSError as error:
                failed |= {o.id: _not_written(o, parent, error) for o in accepted if self.path(o).parent == parent}
        return [failed.get(receipt.id, receipt) for receipt in receipts]


def file_name(message_id: str) -> str:
    """Return the file name of a Message-ID: other characters than letters, digits and `._@+-` as `%XX`."""
    bare = message_id.strip("<>").encode()
    safe = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], bare).decode()
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if len(safe) > MAX_NAME:
        safe = f"{safe[: MAX_NAME - 65]}-{hashlib.sha256(bare).hexdigest()}"
    return f"{safe or '%'}.eml"


def _not_written(outgoing: Outgoing, path: Path, error: OSError) -> Receipt:
    return Receipt(outgoing.id, Outcome.NOT_SENT, detail=f"cannot write {path}: {reason(error)}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
