"""Runs that stand alike: what is planned and decided for one of them, the speaker, holds for all of its cohort.

Runs stand alike when they differ in nothing that a step of mail or a gate reads, but in whose they are: at the same
step of the same version since the same moment, with contacts in the same stage and time zone, about whom nothing else
is known. What a new gate or step reads beside that has to be said in `_standing` (a test holds the gates to it).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter

from nurture.core.calendars import resolve_zone
from nurture.core.decision import Check, Send
from nurture.core.gates import caps, enrollment
from nurture.core.model import Company, Contact, ContactId, Enrollment, VersionId
from nurture.core.sequence import Sequence as Sequenced


def cohorts(
    runs: Iterable[Enrollment],
    contacts: Mapping[ContactId, Contact],
    apart: Collection[ContactId],
    versions: Mapping[VersionId, Sequenced],
    company: Company,
) -> list[Sequence[Enrollment]]:
    """Group runs that stand alike, in their order.

    Each run with a contact `apart`, about whom more is known (a wish, something that they did), stands alone. So does
    each whose mail is spread over a window, where its id gives it a place of its own.
    """
    found: dict[object, list[Enrollment]] = {}
    for run in runs:
        alone = run.contact_id in apart or versions[run.version_id].window.spread
        key = run.id if alone else _standing(run, contacts[run.contact_id], company)
        found.setdefault(key, []).append(run)
    return list(found.values())


def _standing(run: Enrollment, contact: Contact, company: Company) -> object:
    whom = (contact.stage, resolve_zone(contact, company), bool(contact.email), bool(contact.address_hash))
    return _state(run), whom


_state = attrgetter(*(name for name in Enrollment.__dataclass_fields__ if name not in ("id", "contact_id")))


class Spoken:
    """What was decided for the speaker of a cohort, said for others of it.

    Only the gate of runs names the run, and that of caps how many messages are left for the day.
    """

    def __init__(self, answer: Send) -> None:
        """Take what was decided for the speaker."""
        gates = [check.gate for check in answer.checks]
        place, self._caps = gates.index(enrollment.NAME), gates.index(caps.NAME)
        self._before, self._after = answer.checks[:place], answer.checks[place + 1 :]
        check = answer.checks[place]
        name = check.reading.own.index("enrollment")
        self._reading, self._head, self._tail = check.reading, check.own[:name], check.own[name + 1 :]

    def checks(self, run: Enrollment, left: int | None = None) -> tuple[Check, ...]:
        """Return what the gates would have found of another run of the cohort, with `left` messages under the cap."""
        found = (*self._before, Check(self._reading, (*self._head, run.id, *self._tail)), *self._after)
        if left is None:
            return found
        return (*found[: self._caps], Check(found[self._caps].reading, (left,)), *found[self._caps + 1 :])
