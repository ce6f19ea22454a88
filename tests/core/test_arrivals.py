"""What is remembered of newcomers who are alike is what `react` says about each of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from nurture.core.arrivals import Arrival, Arrivals
from nurture.core.conditions import All, Any, Compare, Condition, Did, Idle, Not, Op
from nurture.core.definition import Category, Stage
from nurture.core.effects import Enroll
from nurture.core.facts import reader
from nurture.core.lifecycle import FitModel, FitRule, Lifecycle, Move
from nurture.core.model import Account, AccountId, Contact, ContactId, Event, Rep, RepId, Situation, VersionId
from nurture.core.program import Program
from nurture.core.react import react
from nurture.core.sequence import Audience, Sequence, Step, Trigger
from nurture.core.spans import Span, Unit
from nurture.core.words import Role, Team, Voice

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

FIT: tuple[Condition, ...] = (
    Any((Compare("title", Op.CONTAINS, "chief"), Compare("title", Op.IN, ("CFO", "CTO")))),
    All((Compare("country", Op.EQ, "Germany"), Compare("account.employees", Op.GE, 50))),
    Compare("email_domain", Op.IN, ("gmail.com", "web.de")),
    Compare("fields.seats", Op.GT, 1),
    Compare("fields.seats", Op.EQ, True),
    Not(Compare("account.fields.tier", Op.KNOWN)),
    Compare("account.technologies", Op.CONTAINS, "SAP"),
    Compare("owner", Op.KNOWN),
    Compare("name", Op.NE, "Ann"),
    Compare("source", Op.UNKNOWN),
)
LIFECYCLE = Lifecycle(
    "test",
    (
        Stage("lead", "Lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING),
        Stage("hot", "Hot", Role.ENGAGE, Voice.PERSONAL, Team.SALES),
    ),
    "lead",
    (
        Move("lead", "hot", Compare("fit", Op.EQ, "A"), "fits"),
        Move("lead", "hot", Idle(Span(2, Unit.BUSINESS_DAYS)), "silent"),
        Move("lead", "hot", Compare("country", Op.EQ, "France"), "there", dwell=Span(3, Unit.BUSINESS_DAYS)),
    ),
    FitModel(
        tuple(FitRule(when, 1000 + place, str(place)) for place, when in enumerate(FIT)),
        (("A", 6000), ("B", 4000), ("C", 2000), ("D", -(10**9))),
        (FitRule(Compare("title", Op.EQ, "Student"), 0, "student"),),
    ),
    (Category("c", 1000, {"created": 300}, timedelta(days=9)),),
    (("warm", All((Compare("engagement", Op.GE, 2), Compare("fields.plan", Op.EQ, "pro")))),),
)
SEQUENCES = {
    name: Sequence(name, voice, (Step("a", "email"),), "us", audience=Audience(when=when), triggers=triggers)
    for name, voice, when, triggers in (
        ("all", Voice.MARKETING, None, (Trigger("stage_entered"),)),
        ("some", Voice.MARKETING, Compare("level", Op.EQ, "warm"), (Trigger("event", {"kind": "created"}),)),
        (
            "who",
            Voice.MARKETING,
            None,
            (Trigger("event", {"kind": "imported", "where": Compare("time_zone", Op.KNOWN)}),),
        ),
        ("did", Voice.MARKETING, Did("created", Span(1, Unit.DAYS)), (Trigger("event", {"kind": "created"}),)),
    )
}
PROGRAM = Program("p", LIFECYCLE, SEQUENCES, versions={name: VersionId(1) for name in SEQUENCES})

texts = st.sampled_from((None, "", " ", "CFO", "chief of staff", "Student", "Germany", "France", "Ann", "pro"))
accounts = st.none() | st.builds(
    Account,
    st.just(AccountId(1)),
    employees=st.sampled_from((None, 49, 50)),
    technologies=st.sampled_from(((), ("SAP",), ("Jira", "SAP"))),
    fields=st.fixed_dictionaries({}, optional={"tier": st.sampled_from(("1", "", None, ["x"]))}),
    time_zone=st.sampled_from((None, "Asia/Tokyo")),
)
newcomers = st.builds(
    Contact,
    st.integers(1, 9).map(ContactId),
    st.just("lead"),
    st.just(NOW),
    email=st.sampled_from((None, "a@gmail.com", "b@acme.example")),
    first_name=texts,
    title=texts,
    country=texts,
    source=texts,
    time_zone=st.sampled_from((None, "Europe/Berlin", "nowhere")),
    account=accounts,
    owner=st.none() | st.just(Rep(RepId(1), "R", "r@x.example")),
    fields=st.fixed_dictionaries(
        {}, optional={"seats": st.sampled_from((0, 1, 1.0, True, 2, "2", None)), "plan": texts}
    ),
    created_at=st.just(NOW),
)


def told(contact: Contact) -> tuple[Situation, tuple[Event, ...]]:
    events = tuple(Event(kind, NOW, "test", kind, contact.id) for kind in ("created", "imported"))
    return Situation(contact, events), events


@given(st.lists(newcomers, min_size=2, max_size=8))
def test_what_is_remembered_is_what_react_says(contacts: list[Contact]) -> None:
    arrivals = Arrivals(PROGRAM, NOW)
    for contact in contacts:
        situation, fresh = told(contact)
        values = [reader(field)(situation, LIFECYCLE) for field in arrivals.asked]
        alike = (bool(contact.email), *(m[v] for m, v in zip(arrivals.meanings, values, strict=True)))
        found = arrivals.of(alike, lambda contact=contact: told(contact))

        said = react(situation, fresh, PROGRAM, {}, NOW)
        enrolling = tuple(effect for effect in said.effects if isinstance(effect, Enroll))
        if enrolling == said.effects:
            assert found == Arrival(enrolling, said.standing, said.review_at)
        else:
            assert found is None


def test_who_is_alike_is_asked_about_once() -> None:
    arrivals, asked = Arrivals(PROGRAM, NOW), []
    contact = Contact(ContactId(1), "lead", NOW, email="a@acme.example")
    for _ in range(3):
        arrivals.of((1, 2), lambda: asked.append(1) or told(contact))
    assert len(asked) == 1


def test_a_trigger_that_could_look_at_anything_is_asked_about_everybody() -> None:
    strange = Sequence("s", Voice.MARKETING, (), "us", triggers=(Trigger("full_moon"),))
    arrivals = Arrivals(Program("p", LIFECYCLE, {"s": strange}), NOW)
    assert arrivals.of((), lambda: told(Contact(ContactId(1), "lead", NOW))) is None
