"""The fields that conditions may name, and what each one says about a contact in a situation.

A bare name is about the contact, `account.…` about the company, `fields.…` and `account.fields.…` are the company's own
fields, `slots.…` its qualification slots. Unknown is None (or an absent key); so is a blank text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from nurture.core.comparing import fold
from nurture.core.definition import Definition
from nurture.core.model import Contact, Situation, Value
from nurture.core.words import LIVE_ENROLLMENTS, SENT_MESSAGES, FieldType


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """What is known of a built-in field. With `many` it holds any number of texts."""

    type: FieldType
    label: str
    many: bool = False


_TEXT, _NUMBER, _YES_NO = FieldType.TEXT, FieldType.NUMBER, FieldType.BOOLEAN

FIELDS: Mapping[str, FieldInfo] = {
    "email": FieldInfo(_TEXT, "e-mail address"),
    "email_domain": FieldInfo(_TEXT, "domain of the e-mail address"),
    "first_name": FieldInfo(_TEXT, "first name"),
    "last_name": FieldInfo(_TEXT, "last name"),
    "name": FieldInfo(_TEXT, "name"),
    "title": FieldInfo(_TEXT, "title"),
    "buying_role": FieldInfo(_TEXT, "role in the buying group"),
    "country": FieldInfo(_TEXT, "country"),
    "locale": FieldInfo(_TEXT, "locale"),
    "time_zone": FieldInfo(_TEXT, "time zone"),
    "source": FieldInfo(_TEXT, "source"),
    "stage": FieldInfo(_TEXT, "stage"),
    "role": FieldInfo(_TEXT, "role of the stage"),
    "voice": FieldInfo(_TEXT, "voice of the stage"),
    "fit": FieldInfo(_TEXT, "fit"),
    "fit_points": FieldInfo(_NUMBER, "fit points"),
    "engagement": FieldInfo(_NUMBER, "engagement"),
    "level": FieldInfo(_TEXT, "level"),
    "slots_filled": FieldInfo(_NUMBER, "number of qualification slots filled"),
    "owner": FieldInfo(_TEXT, "owner's e-mail address"),
    "account.name": FieldInfo(_TEXT, "company"),
    "account.domain": FieldInfo(_TEXT, "company's domain"),
    "account.industry": FieldInfo(_TEXT, "industry"),
    "account.employees": FieldInfo(_NUMBER, "employees"),
    "account.revenue": FieldInfo(_NUMBER, "revenue"),
    "account.country": FieldInfo(_TEXT, "company's country"),
    "account.time_zone": FieldInfo(_TEXT, "company's time zone"),
    "account.technologies": FieldInfo(_TEXT, "technologies", many=True),
    "open_tasks": FieldInfo(_NUMBER, "number of open tasks"),
    "active_sequences": FieldInfo(_NUMBER, "number of running sequences"),
    "sent_messages": FieldInfo(_NUMBER, "number of messages sent"),
    "open_handoff": FieldInfo(_YES_NO, "open handoff"),
    "suppressed": FieldInfo(_YES_NO, "suppressed for any mail"),
}
"""Every built-in field by the name that conditions use. Own fields are declared in `fields.yaml`."""

SCORED = frozenset({"fit", "fit_points", "engagement", "level", "slots_filled"})
"""Fields that are read from the standing: they change with what happens, and with time alone. So do `slots.…`."""

SLOTS = "slots."
"""What the name of a qualification slot begins with in conditions: `slots.budget`."""


def is_scored(field: str) -> bool:
    """Return whether a field is read from the standing."""
    return field in SCORED or field.startswith(SLOTS)


def asks_slots(field: str) -> bool:
    """Return whether a field says something about qualification slots."""
    return field == "slots_filled" or field.startswith(SLOTS)


def lookup(field: str, situation: Situation, lifecycle: Definition) -> Value:
    """Return what `field` says, None when it is unknown. Points are whole points, as a float."""
    return reader(field)(situation, lifecycle)


def reader(field: str) -> Reader:
    """Return what says `field` of a situation, None when it is unknown (a field that there is not always is)."""
    if (read := _READERS.get(field)) is not None:
        return read
    if field.startswith("fields."):
        return _own_of_contact(field.removeprefix("fields."))
    if field.startswith("account.fields."):
        return _own_of_account(field.removeprefix("account.fields."))
    if field.startswith(SLOTS):
        return _slot(field.removeprefix(SLOTS))
    return lambda situation, lifecycle: None


def count_filled(slots: Iterable[tuple[str, str]], lifecycle: Definition) -> int:
    """Return how many of the known (slot, value) count as filled: not those whose value speaks against."""
    against = {slot.name: slot.against for slot in lifecycle.slots if slot.against}
    return sum(value not in against.get(name, ()) for name, value in slots)


def known(value: object) -> Value:
    """Return a value out of a JSON object as a field's value: lists give the texts in them, blanks and objects None."""
    if value is None:
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return tuple(item for item in value if isinstance(item, str)) or None
    return None


def full_name(contact: Contact) -> str | None:
    """Return first and last name, None when neither is known."""
    return " ".join(part for part in (contact.first_name, contact.last_name) if part) or None


def domain_of(contact: Contact) -> str | None:
    """Return what stands behind the @ of the contact's address."""
    return fold(contact.email.rpartition("@")[2]) or None if contact.email else None


def _of_contact(name: str) -> Reader:
    get = attrgetter(f"contact.{name}")
    return lambda situation, _: known(get(situation))


def _of_account(name: str) -> Reader:
    get = attrgetter(name)

    def read(situation: Situation, _: Definition) -> Value:
        account = situation.contact.account
        return None if account is None else known(get(account))

    return read


def _own_of_contact(name: str) -> Reader:
    return lambda situation, _: known(situation.contact.fields.get(name))


def _own_of_account(name: str) -> Reader:
    def read(situation: Situation, _: Definition) -> Value:
        account = situation.contact.account
        return None if account is None else known(account.fields.get(name))

    return read


def _fit(situation: Situation, _: Definition) -> Value:
    return situation.standing.grade if situation.standing else None


def _fit_points(situation: Situation, _: Definition) -> Value:
    return situation.standing.fit_points / 100 if situation.standing else None


def _engagement(situation: Situation, _: Definition) -> Value:
    return situation.standing.engagement / 100 if situation.standing else None


def _level(situation: Situation, _: Definition) -> Value:
    return situation.standing.level if situation.standing else None


def _slot(name: str) -> Reader:
    def read(situation: Situation, _: Definition) -> Value:
        slots = situation.standing.slots if situation.standing else ()
        return known(next((value for slot, value in slots if slot == name), None))

    return read


def _slots_filled(situation: Situation, lifecycle: Definition) -> Value:
    return count_filled(situation.standing.slots, lifecycle) if situation.standing else 0


def _owner(situation: Situation, _: Definition) -> Value:
    return situation.contact.owner.email if situation.contact.owner else None


def _active_sequences(situation: Situation, _: Definition) -> Value:
    return sum(enrollment.state in LIVE_ENROLLMENTS for enrollment in situation.enrollments)


def _sent_messages(situation: Situation, _: Definition) -> Value:
    return sum(message.state in SENT_MESSAGES for message in situation.messages)


Reader = Callable[[Situation, Definition], Value]

_READERS: Mapping[str, Reader] = {
    **{name: _of_contact(name) for name in FIELDS if name in Contact.__dataclass_fields__ and name != "owner"},
    **{name: _of_account(name.removeprefix("account.")) for name in FIELDS if name.startswith("account.")},
    "email_domain": lambda situation, _: known(domain_of(situation.contact)),
    "name": lambda situation, _: known(full_name(situation.contact)),
    "role": lambda situation, lifecycle: lifecycle.stage(situation.contact.stage).role.value,
    "voice": lambda situation, lifecycle: lifecycle.stage(situation.contact.stage).voice.value,
    "fit": _fit,
    "fit_points": _fit_points,
    "engagement": _engagement,
    "level": _level,
    "slots_filled": _slots_filled,
    "owner": _owner,
    "open_tasks": lambda situation, _: len(situation.tasks),
    "active_sequences": _active_sequences,
    "sent_messages": _sent_messages,
    "open_handoff": lambda situation, _: situation.open_handoff,
    "suppressed": lambda situation, _: bool(situation.suppressions),
}
