"""Fields and mappings as files."""

from __future__ import annotations

import pytest

from nurture.core.fields import FieldSpec
from nurture.core.mapping import Column, EventWhen, Expression, Given, SuppressWhen, Target
from nurture.core.schema import Vocabulary, read_fields, read_mapping
from nurture.core.words import FieldType, Scope
from nurture.errors import ProgramError

FIELDS = """\
kind: fields
fields:
  plan: {type: choice, label: Their plan, choices: [free, pro], default: free}
  renewal_date: {type: date, on: account}
"""
MAPPING = """\
kind: mapping
name: export
source: CRM
system: crm
blank: [Select, N/A]
fields:
  id: Lead Number
  email: lead-{Lead Number}@leads.example
  country: {from: Country, values: {Deutschland: DE}, otherwise: null}
  fields.plan: =free
suppressed_when:
  - {column: Do Not Email, is: "Yes", reason: asked_not_to}
  - {column: Last Activity, is: [Email Bounced], reason: hard_bounce, scope: marketing}
events:
  - {kind: page_viewed, when: {column: Visits}, data: {url: "=https://x.example"}}
"""
KNOWN = Vocabulary(fields={"fields.plan": FieldType.CHOICE}, events=["page_viewed"])


def test_fields_are_read() -> None:
    assert read_fields(FIELDS, "fields.yaml") == {
        "plan": FieldSpec("plan", FieldType.CHOICE, "Their plan", ("free", "pro"), "contact", "free", 3),
        "renewal_date": FieldSpec("renewal_date", FieldType.DATE, "Renewal date", (), "account", None, 4),
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("type: choice", "type: chioce", "f.yaml:3:16: unknown type 'chioce', did you mean 'choice'?"),
        (", choices: [free, pro], default: free", "", "f.yaml:3:9: a choice needs `choices`"),
        ("type: date", "type: date, choices: [a]", "only a choice has `choices`"),
        ("default: free", "default: gold", "the default 'gold' is no choice"),
        ("type: date", "type: date, default: soon", "the default 'soon' is no date"),
        ("plan:", "Plan:", "f.yaml:3:3: 'Plan' is no name of a field"),
        ("on: account", "on: company", "f.yaml:4:34: "),
    ],
)
def test_a_mistake_in_fields_is_pointed_at(old: str, new: str, problem: str) -> None:
    with pytest.raises(ProgramError) as error:
        read_fields(FIELDS.replace(old, new), "f.yaml")
    assert problem in str(error.value)


def test_a_mapping_is_read() -> None:
    mapping = read_mapping(MAPPING, "m.yaml", KNOWN)
    assert (mapping.name, mapping.source, mapping.system) == ("export", "CRM", "crm")
    assert mapping.blank == {"Select", "N/A"}
    assert mapping.targets == (
        Target("id", Expression((Column("Lead Number"),)), 7),
        Target("email", Expression(("lead-", Column("Lead Number"), "@leads.example")), 8),
        Target("country", Expression((Column("Country"),), {"Deutschland": "DE"}), 9),
        Target("fields.plan", Expression(("free",)), 10),
    )
    assert mapping.suppressed_when == (
        SuppressWhen(Given("Do Not Email", frozenset({"Yes"})), "asked_not_to", Scope.ALL, 12),
        SuppressWhen(Given("Last Activity", frozenset({"Email Bounced"})), "hard_bounce", Scope.MARKETING, 13),
    )
    url = Expression(("https://x.example",))
    assert mapping.events == (EventWhen("page_viewed", Given("Visits"), None, {"url": url}, 15),)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  email: ", "  emial: ", "m.yaml:8:3: unknown field `emial`, did you mean 'email'?"),
        ("fields.plan: ", "fields.paln: ", "m.yaml:10:3: unknown field `fields.paln`, did you mean 'fields.plan'?"),
        ("{Lead Number}@", "{Lead Number@", "m.yaml:8:10: "),
        ("kind: page_viewed", "kind: page_view", "unknown event 'page_view', did you mean 'page_viewed'?"),
        ("scope: marketing", "scope: market", "unknown scope 'market', did you mean 'marketing'?"),
        ("column: Do Not Email", "colum: Do Not Email", "unknown key `colum`, did you mean 'column'?"),
    ],
)
def test_a_mistake_in_a_mapping_is_pointed_at(old: str, new: str, problem: str) -> None:
    assert old in MAPPING
    with pytest.raises(ProgramError) as error:
        read_mapping(MAPPING.replace(old, new), "m.yaml", KNOWN)
    assert problem in str(error.value)
