"""What templates may name: flat values, as the plain reading of them says, and none for what is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, Contact, Value
from nurture.core.telling import teller, template_values
from nurture.core.words import FieldType
from tests.core.scored import ACME, REP, SCORED, person, situation

US = Company("Us Ltd", "1 Road, Town", website="https://us.example", extra={"phone": "555"})


def test_templates_get_flat_values_of_person_company_rep_and_us() -> None:
    values = template_values(situation(contact=person(owner=REP)), SCORED, US)
    assert values["first_name"] == "Ann"
    assert values["company"] == "Acme"
    assert values["industry"] == "software"
    assert values["rep_name"] == "Rita Rep"
    assert values["our_company"] == "Us Ltd"
    assert values["our_postal_address"] == "1 Road, Town"
    assert values["our_phone"] == "555"


def test_what_is_unknown_has_no_key_so_that_the_message_is_held() -> None:
    values = template_values(situation(contact=person(first_name=" ", account=None)), SCORED, US)
    assert not {"first_name", "company", "industry", "rep_name", "title"} & values.keys()


def test_own_fields_keep_their_name_and_those_of_accounts_get_a_prefix() -> None:
    contact = person(fields={"plan": "pro"}, account=replace(ACME, fields={"plan": "gold"}))
    values = template_values(situation(contact=contact), SCORED, US)
    assert (values["plan"], values["account_plan"]) == ("pro", "gold")


def test_a_declared_default_stands_in_for_what_is_unknown() -> None:
    specs = {
        "plan": FieldSpec("plan", FieldType.TEXT, "Plan", default="free"),
        "tier": FieldSpec("tier", FieldType.TEXT, "Tier", on="account", default="none"),
        "note": FieldSpec("note", FieldType.TEXT, "Note"),
    }
    values = template_values(situation(), SCORED, US, specs)
    assert (values["plan"], values["account_tier"]) == ("free", "none")
    assert "note" not in values
    told = template_values(situation(contact=person(fields={"plan": "pro"})), SCORED, US, specs)
    assert told["plan"] == "pro"


def test_an_own_field_never_hides_what_is_built_in() -> None:
    values = template_values(situation(contact=person(fields={"our_company": "Evil", "first_name": "Eve"})), SCORED, US)
    assert (values["our_company"], values["first_name"]) == ("Us Ltd", "Ann")


def test_asking_for_some_values_gives_what_asking_for_all_gives() -> None:
    specs = {"plan": FieldSpec("plan", FieldType.TEXT, "Plan", default="free")}
    own = {"our_phone": "1", "company": "Evil", "stage": "Evil", "color": " ", "account_size": "small"}
    told = [person(owner=REP, fields=own, account=replace(ACME, fields={"size": "big"})), person(account=None)]
    for asked in (situation(contact=contact) for contact in told):
        every = template_values(asked, SCORED, US, specs)
        assert every["our_phone"] == "555"
        assert every["stage"] != "Evil"
        for name in (*every, "color", "nothing", "rep_title", "account_size", "plan"):
            some = template_values(asked, SCORED, US, specs, only=[name])
            assert some == {key: value for key, value in every.items() if key == name}


# --- the plain way ----------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["Ann", " ", "", " é ", None])
VALUES = st.sampled_from(["Ann", " ", "", " é ", 0, 7, 1.5, False, True, None, (), ("a", "b"), {}])
NAMES = (
    *("first_name", "last_name", "name", "email", "email_domain", "title", "stage", "company", "employees"),
    *("technologies", "website", "rep_name", "rep_title", "our_company", "our_website", "our_phone", "our_color"),
    *("plan", "account_tier", "account_website", "nothing"),
)
SPECS = {
    "plan": FieldSpec("plan", FieldType.TEXT, "Plan", default="free"),
    "tier": FieldSpec("tier", FieldType.TEXT, "Tier", on="account", default="none"),
}


def one(value: object) -> Value:
    """Return a value, None for blanks and for what no template can show."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, list | tuple):
        return tuple(value) or None
    return value if isinstance(value, bool | int | float) else None


def plainly(name: str, contact: Contact, lifecycle: Lifecycle, us: Company) -> Value:
    """Say what a name says, asking everywhere that it may stand, one after the other."""
    account, rep = contact.account, contact.owner
    if name == "stage":
        return lifecycle.stage(contact.stage).label
    built_in = {
        "name": " ".join(part for part in (contact.first_name, contact.last_name) if part),
        "email_domain": contact.email.rpartition("@")[2].lower() if contact.email else None,
        "company": account and account.name,
        "website": account and account.domain,
        "employees": account and account.employees,
        "technologies": account and account.technologies,
        "rep_name": rep and rep.name,
        "rep_title": rep and rep.title,
        "our_company": us.name,
        "our_website": us.website,
    } | {name: getattr(contact, name) for name in ("first_name", "last_name", "email", "title")}
    places: list[object] = [built_in.get(name)]
    places += [us.extra.get(name[4:])] if name.startswith("our_") else []
    places += [account.fields.get(name[8:])] if account and name.startswith("account_") else []
    places.append(contact.fields.get(name))
    return next((value for place in places if (value := one(place)) is not None), DEFAULTS.get(name))


DEFAULTS = {"plan": "free", "account_tier": "none"}


@given(st.data())
def test_a_teller_says_what_the_plain_reading_says(data: st.DataObject) -> None:
    def some(*names: str, values: st.SearchStrategy[Any] = VALUES) -> dict[str, Any]:
        return {name: data.draw(values, name) for name in names}

    account = replace(ACME, **some("name", "domain", "employees"), fields=some("tier", "website"))
    contact = person(
        **some("first_name", "last_name", "title", values=WORDS),
        account=data.draw(st.sampled_from([account, None])),
        owner=data.draw(st.sampled_from([replace(REP, title=None), REP, None])),
        fields=some("plan", "first_name", "our_color", "our_phone", "company", "rep_name", "stage", "account_tier"),
    )
    expected = {name: plainly(name, contact, SCORED, US) for name in NAMES}
    told = teller(NAMES, SCORED, US, SPECS)(contact)
    assert told == {name: value for name, value in expected.items() if value is not None}
    assert {name: type(value) for name, value in told.items()} == {name: type(expected[name]) for name in told}
