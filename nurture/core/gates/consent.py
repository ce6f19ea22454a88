"""Gate: does this person want to hear from us, in this voice, and have they an address?"""

from __future__ import annotations

from datetime import datetime

from nurture.core.decision import Cancel, Due, Finding
from nurture.core.events import INBOUND
from nurture.core.model import Suppressed
from nurture.core.words import SENT_MESSAGES, Scope, Voice

HUMAN_TRUST = 0.5
"""From this probability on that a person did it, an event counts as a sign of theirs."""


def check(due: Due, now: datetime) -> Finding:
    """Cancel what a suppression forbids.

    One of scope `marketing` forbids a personal sequence only to begin, and not even that once the contact has written
    or spoken to us after it; a running conversation goes on.
    """
    inputs = {
        "voice": due.message.voice.value,
        "has_address": bool(due.situation.contact.email),
        "suppressions": [f"{s.scope} since {s.at.isoformat()}: {s.reason}" for s in due.situation.suppressions],
    }
    if not due.situation.contact.email:
        return Finding(Cancel("the contact has no address"), inputs)
    for suppressed in due.situation.suppressions:
        if _forbids(suppressed, due.message.voice):
            return Finding(Cancel(f"suppressed for {suppressed.scope}: {suppressed.reason}"), inputs)
        if _forbids_beginning(suppressed, due):
            reason = f"suppressed for marketing ({suppressed.reason}), and no word from the contact since"
            return Finding(Cancel(reason), inputs)
    return Finding(None, inputs)


def _forbids(suppressed: Suppressed, voice: Voice) -> bool:
    return suppressed.scope is Scope.ALL or suppressed.scope.value == voice.value


def _forbids_beginning(suppressed: Suppressed, due: Due) -> bool:
    """Say whether this is the first personal mail of a run to somebody who left marketing and said nothing since."""
    if suppressed.scope is not Scope.MARKETING or due.message.enrollment_id is None:
        return False
    return not _has_begun(due) and not any(
        event.kind in INBOUND and event.at > suppressed.at and event.trust >= HUMAN_TRUST
        for event in due.situation.events
    )


def _has_begun(due: Due) -> bool:
    return any(
        message.enrollment_id == due.message.enrollment_id and message.state in SENT_MESSAGES
        for message in due.situation.messages
    )
