"""What nearly every receipt says: the provider has it. Such a page is settled in a few statements, whatever its size.

The database knows already what it needs for that: of each message nothing is sent but its key and its names at the
provider, and nothing is read but its run. Whatever else a provider may say is for `settling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from nurture import intake, live, runs
from nurture.core.model import Contact, ContactId, EnrollmentId, SenderId
from nurture.core.words import TimerKind
from nurture.db import dispatching, situations, timers
from nurture.providers.base import Outcome, Receipt

SENT = "sent"


def accept(
    connection: Connection, found: Sequence[Receipt], now: datetime, *, known: Mapping[ContactId, Contact]
) -> Sequence[Receipt]:
    """Settle the messages in `dispatching` that were simply accepted; return the receipts that this is not true of.

    Locks the contacts of all. Where the program looks at sent mail, all receipts are returned.
    """
    plain = [receipt for receipt in found if receipt.outcome is Outcome.ACCEPTED and receipt.retry_after is None]
    if not plain:
        return found
    situations.lock_recipients(connection, [receipt.id for receipt in found])
    program = live.rules(connection)
    if not intake.quiet(program, SENT):
        return found
    names = [{"id": each.id, "provider_id": each.provider_id, "wire_id": each.wire_id} for each in plain]
    taken = dispatching.accept(connection, names, now)
    ids = [key for key, _, _ in taken]
    timers.clear(connection, TimerKind.MESSAGE, ids)
    senders = {EnrollmentId(run): SenderId(sender) for _, run, sender in taken if run is not None}
    runs.after_messages(connection, program, dict.fromkeys(senders, (SENT, now)), now, known=known, senders=senders)
    intake.tell_sent(connection, program, ids, now)
    done = set(ids)
    return [receipt for receipt in found if receipt.id not in done] if len(done) < len(found) else ()
