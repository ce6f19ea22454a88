"""One contact as people see them: what is known, where they stand, what ran, and everything that happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from nurture.core.bars import is_forever
from nurture.core.calendars import resolve_zone
from nurture.core.events import KINDS
from nurture.core.model import ContactId, Enrollment, OpenTask, Situation, Standing, Suppressed
from nurture.core.program import Program
from nurture.db import events, situations
from nurture.errors import NotFound


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of a timeline: `what` as a sentence's end ("submitted a form"), `detail` what is known of it."""

    at: datetime
    kind: str
    what: str
    detail: str
    source: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A contact with all that is known of them; `facts` hold no unknown ones, `timeline` is newest first."""

    contact_id: ContactId
    name: str
    email: str | None
    facts: Mapping[str, object]
    standing: Standing | None
    runs: tuple[Enrollment, ...]
    tasks: tuple[OpenTask, ...]
    suppressions: tuple[Suppressed, ...]
    timeline: tuple[Happened, ...]


def situation_of(connection: Connection, program: Program, contact_id: ContactId, now: datetime) -> Situation:
    """Return the situation that decisions about a contact are made from; raise NotFound."""
    loaded = situations.for_scoring(connection, [contact_id], program.lifecycle, now, segments=bool(program.segments))
    if contact_id not in loaded:
        raise NotFound(f"there is no contact {contact_id}")
    return loaded[contact_id]


def profile(connection: Connection, program: Program, contact_id: ContactId, limit: int, now: datetime) -> Profile:
    """Return a contact with the latest `limit` events of their timeline."""
    situation = situation_of(connection, program, contact_id, now)
    return Profile(
        contact_id,
        name_of(situation),
        situation.contact.email,
        facts(situation, program),
        situation.standing,
        situation.enrollments,
        situation.tasks,
        situation.suppressions,
        tuple(_happened(row) for row in events.timeline(connection, contact_id, limit)),
    )


def name_of(situation: Situation) -> str:
    """Return the contact's name, else their address."""
    contact = situation.contact
    name = " ".join(part for part in (contact.first_name, contact.last_name) if part)
    return name or contact.email or f"contact {contact.id}"


def facts(situation: Situation, program: Program) -> dict[str, object]:
    """Return what is known of a contact and their company, by the names that people use."""
    contact, stage = situation.contact, program.lifecycle.stage(situation.contact.stage)
    zone, whose = resolve_zone(contact, program.company)
    known: dict[str, object] = {
        "stage": f"{stage.label} ({stage.voice}), since {contact.stage_since:%Y-%m-%d}",
        "owner": contact.owner and f"{contact.owner.name} <{contact.owner.email}>",
        "sales wants them back": _back(situation),
        "title": contact.title,
        "buying role": contact.buying_role,
        "country": contact.country,
        "time zone": f"{zone} (from the {whose})",
        "source": contact.source,
        **_account(situation),
        **{_label(program, name, "contact"): value for name, value in contact.fields.items()},
    }
    return {name: value for name, value in known.items() if value not in (None, "", ())}


def _back(situation: Situation) -> str | None:
    """Return from when on sales wants a contact back that it has rejected or returned."""
    if (bar := situation.bar) is None:
        return None
    return f"{'never' if is_forever(bar.until) else f'from {bar.until:%Y-%m-%d}'} ({bar.why})"


def _account(situation: Situation) -> dict[str, object]:
    account = situation.contact.account
    if account is None:
        return {}
    return {
        "company": account.name or account.domain,
        "industry": account.industry,
        "employees": account.employees,
        "revenue": account.revenue,
        "technologies": ", ".join(account.technologies),
    }


def _label(program: Program, name: str, on: str) -> str:
    spec = program.fields.get(name)
    return spec.label if spec and spec.on == on else name


def _happened(row: Row[Any]) -> Happened:
    known = KINDS.get(row.kind)
    return Happened(row.at, row.kind, known.label if known else row.kind.replace("_", " "), _detail(row), row.source)


def _detail(row: Row[Any]) -> str:
    """Return the data of an event on one line: the plain values that it carries."""
    parts = [f"{key}: {_value(value)}" for key, value in (row.data or {}).items() if value not in (None, "", [], {})]
    if row.trust < 1:
        parts.append(f"trust: {row.trust:g}")
    return ", ".join(parts)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_value(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
