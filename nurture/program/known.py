"""Which names a template may read: what `facts` answers for a contact of whom everything is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Account, AccountId, Company, Contact, ContactId, Rep, RepId, Situation
from nurture.core.telling import template_values

_SOME = "x"
_REP = Rep(RepId(1), _SOME, "x@x.example", _SOME, _SOME, "UTC", _SOME)
_ACCOUNT = Account(AccountId(1), _SOME, _SOME, _SOME, 1, 1, _SOME, "UTC", (_SOME,))
_CONTACT = Contact(
    id=ContactId(1),
    stage=_SOME,
    stage_since=datetime(2000, 1, 1, tzinfo=UTC),
    email="x@x.example",
    first_name=_SOME,
    last_name=_SOME,
    title=_SOME,
    buying_role=_SOME,
    time_zone="UTC",
    locale=_SOME,
    country=_SOME,
    source=_SOME,
    account=_ACCOUNT,
    owner=_REP,
)


def template_names(fields: Mapping[str, FieldSpec], company: Company) -> frozenset[str]:
    """Return every name that a contact's values may have, own fields included."""
    own = {("account_" if spec.on == "account" else "") + spec.name for spec in fields.values()}
    us = Company(company.name, _SOME, website=_SOME, privacy_url=_SOME, extra=company.extra)
    return frozenset(template_values(Situation(_CONTACT), Lifecycle(_SOME, (), _SOME), us)) | own
