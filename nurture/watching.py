"""Applying the working folder whenever a file in it changes: for writing sequences, never for real mail."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import structlog

from nurture import live
from nurture.db.session import Database
from nurture.errors import ProgramError, Refused
from nurture.postroom import Postroom
from nurture.program.load import load

_FILES = ("*.toml", "*.yaml", "*.yml", "sequences/**/*", "templates/**/*")
_log = structlog.get_logger()


def require_outbox(postroom: Postroom) -> None:
    """Refuse to apply by itself where mail could leave this machine."""
    if real := sorted(postroom.policy.real_providers):
        raise Refused(
            f"--dev applies every change at once, so nothing may leave this machine: {', '.join(real)} would; "
            'set provider = "outbox" in nurture.toml, or use `nurture apply`'
        )


class Watch:
    """A folder and what its files looked like last."""

    def __init__(self, folder: Path) -> None:
        """Watch `folder`; everything in it counts as new."""
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] | None = None

    def apply(self, database: Database, now: datetime) -> bool:
        """Apply the folder if it changed since the last time, and tell whether it did; mistakes are logged."""
        found = self._look()
        if found == self._seen:
            return False
        self._seen = found
        try:
            loaded = load(self._folder)
            with database.write() as connection:
                applied = live.apply(connection, loaded, "run --dev", now)
        except ProgramError as error:
            _log.error("not applied", problems=[str(problem) for problem in error.problems])
        except Refused as error:
            _log.error("not applied", reason=str(error))
        else:
            if not applied.unchanged:
                _log.info("applied", program=applied.hash[:12])
        return True

    def _look(self) -> dict[Path, tuple[int, int]]:
        """Return moment of change and size of every file; one that vanishes meanwhile is not there."""
        found = {}
        for pattern in _FILES:
            for path in self._folder.glob(pattern):
                try:
                    status = path.stat()
                except OSError:
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
        return found
