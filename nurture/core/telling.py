"""The values that templates may name, and what each one says about a contact, its account and rep, and about us.

They are flat: no dots. What is unknown has no value, so that a template which needs it holds the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from operator import attrgetter

from nurture.core.definition import Definition
from nurture.core.facts import domain_of, full_name, known
from nurture.core.fields import FieldSpec
from nurture.core.model import Company, Contact, ContactId, Situation, Value

Teller = Callable[[Contact], dict[str, Value]]


def template_values(
    situation: Situation,
    lifecycle: Definition,
    company: Company,
    fields: Mapping[str, FieldSpec] | None = None,
    *,
    only: Iterable[str] | None = None,
) -> dict[str, Value]:
    """Return the flat values that templates may name; what is unknown has no key, so that the message is held.

    `fields` are the declared own fields by name: one with a default is never unknown. Own fields of an account get the
    prefix `account_`. An own field never hides a built-in value. `only` asks for those names alone.
    """
    contact = situation.contact
    names = _tellable(contact, company, fields) if only is None else only
    return teller(names, lifecycle, company, fields)(contact)


def teller(
    names: Iterable[str], lifecycle: Definition, company: Company, fields: Mapping[str, FieldSpec] | None = None
) -> Teller:
    """Return what tells these values of one contact after the other, as `template_values` says.

    What is said of us is looked up once, and a text is taken from where it usually stands.
    """
    told = {name: _told(name, _NOBODY, lifecycle, company) for name in names}
    ours = {name: value for name, value in told.items() if name.startswith("our_") and value is not None}
    reads = [(name, _reading(name)) for name in told if name not in ours]
    defaults = {_own_name(spec): spec.default for spec in (fields or {}).values()}

    def tell(contact: Contact) -> dict[str, Value]:
        values: dict[str, Value] = {**ours}
        for name, read in reads:
            try:
                value = read(contact)
            except AttributeError:  # there is no account, or no rep
                value = None
            if type(value) is not str or not value.strip():
                value = _told(name, contact, lifecycle, company)
                if value is None:
                    value = defaults.get(name)
            if value is not None:
                values[name] = value
        return values

    return tell


def _reading(name: str) -> Callable[[Contact], object]:
    """Return what reads a name from where it usually stands; what it finds is the name's value if it is a text."""
    if path := _PATHS.get(name):
        return attrgetter(path)
    if name in _TOLD or name == "stage" or name.startswith(("our_", "account_")):
        return lambda contact: None
    return lambda contact: contact.fields.get(name)


def _own_name(spec: FieldSpec) -> str:
    return ("account_" if spec.on == "account" else "") + spec.name


def _tellable(contact: Contact, company: Company, fields: Mapping[str, FieldSpec] | None) -> set[str]:
    """Return every name that may say something about a contact."""
    names = {*_TOLD, "stage", *contact.fields, *(f"our_{name}" for name in company.extra)}
    names |= {_own_name(spec) for spec in (fields or {}).values()}
    return names | {f"account_{name}" for name in (contact.account.fields if contact.account else ())}


def _told(name: str, contact: Contact, lifecycle: Definition, company: Company) -> Value:
    """Return what a name in a template says: what is built in, then what is extra of us, of the account, of them."""
    if name == "stage":
        return lifecycle.stage(contact.stage).label
    tell, account = _TOLD.get(name), contact.account
    value = known(tell(contact, company)) if tell else None
    if value is None and name.startswith("our_"):
        value = known(company.extra.get(name.removeprefix("our_")))
    if value is None and account and name.startswith("account_"):
        value = known(account.fields.get(name.removeprefix("account_")))
    return known(contact.fields.get(name)) if value is None else value


def _telling(noun: str, attribute: str) -> Callable[[Contact, Company], object]:
    """Return what tells an attribute of the contact's account or owner, where there is one."""
    whose, get = attrgetter(noun), attrgetter(attribute)

    def tell(contact: Contact, company: Company) -> object:
        found = whose(contact)
        return None if found is None else get(found)

    return tell


def _telling_contact(attribute: str) -> Callable[[Contact, Company], object]:
    get = attrgetter(attribute)
    return lambda contact, _: get(contact)


def _telling_us(attribute: str) -> Callable[[Contact, Company], object]:
    get = attrgetter(attribute)
    return lambda _, company: get(company)


_OF_CONTACT = ("email", "first_name", "last_name", "title", "buying_role", "country", "locale", "source")
_OF_ACCOUNT = {
    "company": "name",
    "website": "domain",
    "industry": "industry",
    "employees": "employees",
    "revenue": "revenue",
    "company_country": "country",
    "technologies": "technologies",
}
_OF_REP = ("name", "title", "email", "signature", "calendar_link")
_OF_US = {"our_company": "name"} | {f"our_{name}": name for name in ("postal_address", "website", "privacy_url")}

_TOLD: Mapping[str, Callable[[Contact, Company], object]] = {
    **{name: _telling_contact(name) for name in _OF_CONTACT},
    "email_domain": lambda contact, _: domain_of(contact),
    "name": lambda contact, _: full_name(contact),
    **{name: _telling("account", attribute) for name, attribute in _OF_ACCOUNT.items()},
    **{f"rep_{name}": _telling("owner", name) for name in _OF_REP},
    **{name: _telling_us(attribute) for name, attribute in _OF_US.items()},
}
"""What templates may name beside the stage and own fields, each with what says it of a contact, or of us."""

_PATHS: Mapping[str, str] = {
    **{name: name for name in _OF_CONTACT},
    **{name: f"account.{attribute}" for name, attribute in _OF_ACCOUNT.items()},
    **{f"rep_{name}": f"owner.{name}" for name in _OF_REP},
}
"""Where a contact usually has what templates may name."""

_NOBODY = Contact(ContactId(0), "", datetime.min.replace(tzinfo=UTC))
