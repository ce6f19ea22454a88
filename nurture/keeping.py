"""Answers of providers that cannot be written just now: the process keeps them, and tries until the database is back.

Nobody else knows them. What is done again must change nothing where it had been done before: the database may have
committed it, and only its answer was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from nurture.db.passing import is_passing, reason
from nurture.db.session import Database
from nurture.errors import DatabaseError
from nurture.providers.base import Deadline

KEPT_SECONDS = 240.0
"""How long answers are kept: what a lease leaves (300) when the call took all its time (60). After that others say that
nobody knows what became of the mail."""

STOPPING_SECONDS = 30.0
"""How long a process that is asked to end goes on: with a call of a minute it ends within the 90 of `compose.yaml`."""

PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long answers are kept, at all and once the process is to end, and the first pause between two tries."""

    seconds: float = KEPT_SECONDS
    stopping_seconds: float = STOPPING_SECONDS
    pause_seconds: float = PAUSE_SECONDS


def write(
    database: Database,
    work: Callable[[Connection], None],
    mails: int,
    keeping: Keeping,
    stopping: Callable[[], bool],
) -> None:
    """Do `work`, which writes the answers for so many `mails`, in a writing transaction; again while that may help.

    Raises what the last try raised: at once where it is not about the state of the database (see `is_passing`), else
    when the time is over, which is short from when `stopping` is seen to say so.
    """
    deadline, hurried = Deadline(keeping.seconds), False
    for tried in count(1):
        try:
            database.unit(work)
        except (DatabaseError, DBAPIError) as error:
            if stopping() and not hurried:
                deadline, hurried = Deadline(min(deadline.left(), keeping.stopping_seconds)), True
            if not is_passing(error) or not deadline.left():
                raise
            if tried == 1:
                _log.warning("answers could not be written, and are kept", mails=mails, reason=reason(error))
            time.sleep(min(_pause(keeping, tried), deadline.left()))
        else:
            if tried > 1:
                _log.info("the answers that were kept are written", mails=mails, tries=tried)
            return


def _pause(keeping: Keeping, tried: int) -> float:
    return min(keeping.pause_seconds * (1 << min(tried - 1, 16)), LONGEST_PAUSE_SECONDS)
