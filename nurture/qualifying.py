"""Saying what is known of a contact: values of qualification slots, with what they rest on. Through the one door."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from nurture import intake
from nurture.core.definition import Slot
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import ContactId, Event
from nurture.core.program import Program
from nurture.core.qualification import SLOT_SET
from nurture.errors import UsageError


def state(
    connection: Connection,
    program: Program,
    contact_id: ContactId,
    values: Mapping[str, str | None],
    evidence: str | None,
    confidence: float,
    by: str,
    now: datetime,
) -> intake.Recorded:
    """Record what somebody says about slots: a value for each, or None to take back what was said before.

    Raises UsageError for a slot that the lifecycle does not have, and a value that the slot does not hold.
    """
    said = statements(program.lifecycle, contact_id, values, evidence, confidence, by, now)
    return intake.record(connection, program, said, now)


def statements(
    lifecycle: Lifecycle,
    contact_id: ContactId,
    values: Mapping[str, str | None],
    evidence: str | None,
    confidence: float,
    by: str,
    now: datetime,
) -> list[Event]:
    """Return one `slot_set` event for each value, checked against the lifecycle; `confidence` is from 0 to 1."""
    if not 0 <= confidence <= 1:
        raise UsageError(f"confidence {confidence:g}: write a number from 0 to 1")
    return [
        Event(
            SLOT_SET,
            now,
            "qualify",
            f"{contact_id}:{name}:{value}:{by}:{now.isoformat()}",
            contact_id,
            data=_data(name, _checked(name, value, lifecycle), evidence, confidence, by),
        )
        for name, value in values.items()
    ]


def _data(name: str, value: str | None, evidence: str | None, confidence: float, by: str) -> dict[str, object]:
    data: dict[str, object] = {"slot": name, "value": value, "confidence": confidence, "by": by}
    return data if evidence is None else {**data, "evidence": evidence}


def _checked(name: str, value: str | None, lifecycle: Lifecycle) -> str | None:
    slot = _slot(name, lifecycle)
    if value is None:
        return None
    if not value.strip():
        raise UsageError(f"slot {name!r} needs a value: write {name}=…, or `nurture qualify clear`")
    if not slot.values:
        return value.strip()
    for known in slot.values:
        if known.casefold() == value.strip().casefold():
            return known
    raise UsageError(f"slot {name!r} never holds {value!r}: it holds {', '.join(slot.values)}")


def _slot(name: str, lifecycle: Lifecycle) -> Slot:
    for slot in lifecycle.slots:
        if slot.name == name:
            return slot
    if not lifecycle.slots:
        raise UsageError(f"lifecycle {lifecycle.name!r} has no slots: declare them under `qualification:`")
    raise UsageError(f"there is no slot {name!r}: there are {', '.join(slot.name for slot in lifecycle.slots)}")
