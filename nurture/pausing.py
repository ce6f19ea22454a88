"""The kill switch: all sending, one sender or one sequence, off and on. It holds from the next group on.

What is in flight is finished; everything else is held where it is and is asked about again, spread over half an hour,
so that switching on again is no burst.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from nurture import live
from nurture.core.model import Sender
from nurture.db import instance, listings, pauses, programs, senders
from nurture.errors import NotFound, Refused


def pause_all(connection: Connection, reason: str) -> bool:
    """Stop all sending; tell whether it was on. The first reason stays."""
    if instance.read(connection).sending_paused is not None:
        return False
    instance.pause_sending(connection, reason)
    return True


def resume_all(connection: Connection) -> bool:
    """Switch sending on again; tell whether it was off."""
    was_off = instance.read(connection).sending_paused is not None
    instance.resume_sending(connection)
    return was_off


def pause_sender(connection: Connection, name: str, reason: str, now: datetime) -> bool:
    """Stop what goes out from a sender; tell whether it was on. Raises NotFound."""
    sender = _sender(connection, name)
    senders.pause(connection, sender.id, reason, now)
    return sender.paused_reason is None


def resume_sender(connection: Connection, name: str) -> bool:
    """Let a sender go on; tell whether it was stopped.

    Raises:
        NotFound: there is no such sender.
        Refused: the live program no longer has it.
    """
    sender = _sender(connection, name)
    if sender.paused_reason == programs.GONE:
        raise Refused(f"the sender {name} is {programs.GONE}: write it there again and run `nurture apply`")
    return senders.resume(connection, name)


def pause_sequence(connection: Connection, name: str, reason: str, now: datetime) -> bool:
    """Stop what a sequence sends; tell whether it was on. Raises NotFound when the live program does not have it."""
    known = live.current(connection).sequences
    if name not in known:
        raise NotFound(f"there is no sequence {name!r}{_meant(name, known)}")
    return pauses.pause(connection, name, reason, now)


def resume_sequence(connection: Connection, name: str) -> bool:
    """Let a sequence go on; tell whether it was stopped. Raises NotFound."""
    paused = listings.paused_sequences(connection)
    if name not in paused and name not in live.current(connection).sequences:
        raise NotFound(f"there is no sequence {name!r}{_meant(name, live.current(connection).sequences)}")
    return pauses.resume(connection, name)


def _sender(connection: Connection, name: str) -> Sender:
    known = {sender.name: sender for sender in senders.every(connection)}
    if name not in known:
        raise NotFound(f"there is no sender {name!r}{_meant(name, known)}")
    return known[name]


def _meant(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    return f": did you mean {close[0]!r}?" if close else f"; there are: {', '.join(names) or 'none'}"
