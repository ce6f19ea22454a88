"""Gate: does this person want to hear from us, in this voice, and have they an address?"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from nurture.core.decision import SHARED, Cancel, Check, Due, Reading
from nurture.core.events import INBOUND
from nurture.core.model import Suppressed
from nurture.core.words import SENT_MESSAGES, Scope, Voice

NAME = "consent"
HUMAN_TRUST = 0.5
"""From this probability on that a person did it, an event counts as a sign of theirs."""


def check(due: Due, now: datetime) -> Check:
    """Cancel what a suppression forbids.

    One of scope `marketing` forbids a personal sequence only to begin, and not even that once the contact has written
    or spoken to us after it; a running conversation goes on.
    """
    voice, suppressions = due.message.voice, due.situation.suppressions
    has_address = bool(due.situation.contact.email)
    read = _with_wishes(voice, has_address, suppressions) if suppressions else _without(voice, has_address)
    if not has_address:
        return read.says(Cancel("the contact has no address"))
    for suppressed in suppressions:
        if _forbids(suppressed, voice):
            return read.says(Cancel(f"suppressed for {suppressed.scope}: {suppressed.reason}"))
        if _forbids_beginning(suppressed, due):
            reason = f"suppressed for marketing ({suppressed.reason}), and no word from the contact since"
            return read.says(Cancel(reason))
    return read


@lru_cache(maxsize=SHARED)
def _without(voice: Voice, has_address: bool) -> Check:
    return Check(Reading(NAME, {"voice": voice.value, "has_address": has_address, "suppressions": []}))


def _with_wishes(voice: Voice, has_address: bool, suppressions: tuple[Suppressed, ...]) -> Check:
    said = [f"{s.scope} since {s.at.isoformat()}: {s.reason}" for s in suppressions]
    return Check(_wishes(voice, has_address), (said,))


@lru_cache(maxsize=SHARED)
def _wishes(voice: Voice, has_address: bool) -> Reading:
    return Reading(NAME, {"voice": voice.value, "has_address": has_address}, ("suppressions",))


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
