from dataclasses import replace

import pytest

from nurture.core.facts import FIELDS, lookup
from nurture.core.model import OpenTask, Standing
from nurture.core.words import MessageState
from tests.core.scored import ACME, NOW, REP, SCORED, mail, person, run, situation

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
