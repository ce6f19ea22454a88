"""Well-known header names: what a table without a mapping is taken to mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nurture.core.fields import FieldSpec
from nurture.core.mapping import Column, Expression, Mapping, Target

HEADERS = {
    "id": ("id", "contact id", "lead id", "record id", "external id", "customer id", "prospect id", "crm id"),
    "email": (
        "email", "e mail", "email address", "e mail address", "mail", "work email", "business email", "primary email",
        "contact email", "correo electronico", "courriel", "e mail adresse",
    ),
    "name": ("name", "full name", "contact name", "contact", "lead name", "vollstandiger name"),
    "first_name": ("first name", "firstname", "first", "given name", "forename", "vorname", "prenom", "nombre"),
    "last_name": ("last name", "lastname", "last", "surname", "family name", "nachname", "apellido", "apellidos"),
    "title": ("title", "job title", "position", "role", "function", "jobtitle"),
    "buying_role": ("buying role", "buyer role", "contact role"),
    "country": ("country", "country region", "country code", "land", "pays", "pais"),
    "locale": ("locale", "language", "preferred language"),
    "time_zone": ("time zone", "timezone", "tz"),
    "source": ("source", "lead source", "original source"),
    "owner": ("owner", "owner email", "contact owner", "lead owner", "rep", "rep email", "sales rep"),
    "account.name": (
        "company", "company name", "account", "account name", "organization", "organisation", "employer", "firma",
        "unternehmen", "entreprise", "empresa",
    ),
    "account.domain": ("domain", "company domain", "company domain name", "website", "web site", "company website"),
    "account.industry": ("industry", "sector", "branche"),
    "account.employees": (
        "employees", "employee count", "number of employees", "no of employees", "company size", "headcount",
    ),
    "account.revenue": ("revenue", "annual revenue"),
    "account.country": ("company country", "account country"),
    "account.technologies": ("technologies", "technology", "tech stack"),
}  # fmt: skip
"""Field → header names, without case, accents and punctuation."""

_BY_HEADER = {header: target for target, headers in HEADERS.items() for header in headers}


def guess(columns: Sequence[str], fields: Iterable[FieldSpec]) -> Mapping:
    """Return the mapping that the header names suggest; the first of several columns for one field wins.

    A custom field is recognized by its name or its label.
    """
    own = {key(word): _target(spec) for spec in fields for word in (spec.label, spec.name)}
    chosen: dict[str, Target] = {}
    for column in columns:
        field = own.get(key(column)) or _BY_HEADER.get(key(column))
        if field is not None and field not in chosen:
            chosen[field] = Target(field, Expression((Column(column),)))
    if "first_name" in chosen or "last_name" in chosen:
        chosen.pop("name", None)
    return Mapping(tuple(chosen.values()))


def key(text: str) -> str:
    """Return a header name in the form in which names are compared."""
    plain = text.casefold().translate(_ACCENTS)
    return re.sub(r"[^\w]+|_", " ", plain).strip()


_ACCENTS = str.maketrans("áàâäãéèêëíìîïóòôöõúùûüçñ", "aaaaaeeeeiiiiooooouuuucn")


def _target(spec: FieldSpec) -> str:
    return f"account.fields.{spec.name}" if spec.on == "account" else f"fields.{spec.name}"
