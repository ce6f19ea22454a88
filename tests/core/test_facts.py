from dataclasses import replace

import pytest

from nurture.core.facts import FIELDS, lookup, template_values
from nurture.core.fields import FieldSpec
from nurture.core.model import Company, OpenTask, Standing
from nurture.core.words import FieldType, MessageState
from tests.core.scored import ACME, NOW, REP, SCORED, mail, person, run, situation

US = Company("Us Ltd", "1 Road, Town", website="https://us.example", extra={"phone": "555"})

STANDING = Standing(6500, "A", 6125, NOW, level="SQL")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ann@acme.example"),
        ("email_domain", "acme.example"),
        ("name", "Ann Example"),
        ("stage", "lead"),
        ("role", "nurture"),
        ("voice", "marketing"),
        ("fit", "A"),
        ("fit_points", 65.0),
        ("engagement", 61.25),
        ("level", "SQL"),
        ("owner", "rita@us.example"),
        ("account.industry", "software"),
        ("account.employees", 200),
        ("account.technologies", ("SAP", "Jira")),
        ("account.fields.tier", "gold"),
        ("fields.plan", "pro"),
        ("fields.tags", ("a", "b")),
        ("open_tasks", 1),
        ("active_sequences", 1),
        ("sent_messages", 1),
        ("open_handoff", True),
    ],
)
def test_every_field_says_what_it_is_called(field: str, value: object) -> None:
    contact = person(
        owner=REP, account=replace(ACME, fields={"tier": "gold"}), fields={"plan": "pro", "tags": ["a", "b"]}
    )
    seen = situation(
        contact=contact,
        standing=STANDING,
        tasks=(OpenTask(1, "call", None),),
        enrollments=(run(), run(2, state="exited")),
        messages=(mail(), mail(2, state=MessageState.READY)),
        open_handoff=True,
    )
    assert lookup(field, seen, SCORED) == value


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_can_be_asked_of_somebody_of_whom_nothing_is_known(field: str) -> None:
    nobody = situation(contact=person(email=None, first_name=None, last_name=None, account=None))
    known = lookup(field, nobody, SCORED)
    assert known is None or field in {"stage", "role", "voice"} or known in (0, False)


@pytest.mark.parametrize("blank", ["", "  ", None, {}, []])
def test_blanks_are_unknown(blank: object) -> None:
    seen = situation(contact=person(title=blank, fields={"plan": blank}))
    assert lookup("title", seen, SCORED) is None
    assert lookup("fields.plan", seen, SCORED) is None


def test_what_is_false_or_nought_is_known() -> None:
    seen = situation(contact=person(fields={"opted": False, "seats": 0}))
    assert lookup("fields.opted", seen, SCORED) is False
    assert lookup("fields.seats", seen, SCORED) == 0


def test_a_field_that_nobody_knows_is_unknown() -> None:
    assert lookup("shoe_size", situation(), SCORED) is None


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
