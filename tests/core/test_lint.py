"""What is wrong between files that are each well formed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from nurture.core.conditions import All, Compare, Op
from nurture.core.definition import Category, Stage
from nurture.core.lifecycle import FitModel, FitRule, Lifecycle, Move
from nurture.core.lint import lint
from nurture.core.program import Program
from nurture.core.sequence import Arm, Audience, Sequence, Step, Trigger
from nurture.core.words import Role, Team, Voice

LEAD = Stage("lead", "Lead", Role.NURTURE, Voice.MARKETING, Team.MARKETING, frozenset({"educational"}), 2)
PROSPECT = Stage("prospect", "Prospect", Role.ENGAGE, Voice.PERSONAL, Team.SALES, line=3)
CUSTOMER = Stage("customer", "Customer", Role.CUSTOMER, Voice.SILENT, Team.SALES, line=4)
LOST = Stage("lost", "Lost", Role.OUT, Voice.SILENT, Team.MARKETING, line=5)
THERE = Move("lead", "prospect", None, "qualified", line=6)
BACK = Move("prospect", "lead", None, "went quiet", line=7)
LIFECYCLE = Lifecycle("test", (LEAD, PROSPECT, LOST), "lead", (THERE, BACK), file="l.yaml")
MAIL = Step("hello", "email", template="hello", line=4)
ENROLLING = (Trigger("stage_entered", {}, 3),)
WELCOME = Sequence(
    "welcome", Voice.MARKETING, (MAIL,), "newsletter", file="s.yaml", audience=Audience(frozenset({Role.NURTURE}))
)


@dataclass(frozen=True)
class Mail:
    """A compiled template, as far as lint looks."""

    voice: Voice = Voice.MARKETING
    variables: frozenset[str] = frozenset({"first_name", "unsubscribe_url", "our_postal_address"})
    places: dict[str, str] = field(default_factory=dict)
    parts: frozenset[str] = frozenset({"hello.txt"})
    uses_unsubscribe: bool = True
    uses_postal_address: bool = True


def problems(
    *sequences: Sequence, lifecycle: Lifecycle = LIFECYCLE, files: dict[str, str] | None = None, **templates: Mail
) -> list[str]:
    program = Program("hash", lifecycle, {sequence.name: sequence for sequence in sequences})
    known = {"first_name", "our_postal_address"}
    return [str(problem) for problem in lint(program, templates, known, files or {})]


def steps(*made: Step) -> Sequence:
    return replace(WELCOME, steps=made)


def test_a_sound_program_has_no_problems() -> None:
    assert problems(WELCOME, hello=Mail()) == []


@pytest.mark.parametrize(
    ("lifecycle", "problem"),
    [
        (replace(LIFECYCLE, moves=(BACK,)), "nobody can enter stage 'prospect', write a move with `to: prospect`"),
        (replace(LIFECYCLE, moves=(BACK,)), "nobody can leave stage 'lead', write a move with `from: lead`"),
        (replace(LIFECYCLE, moves=(THERE,)), "nobody can leave stage 'prospect'"),
        (replace(LIFECYCLE, stages=(*LIFECYCLE.stages, CUSTOMER)), "l.yaml:4:1: nobody can enter stage 'customer'"),
        (replace(LIFECYCLE, moves=(THERE, BACK, replace(BACK, to_stage="prospect"))), "from 'prospect' to itself"),
    ],
)
def test_stages_lead_somewhere(lifecycle: Lifecycle, problem: str) -> None:
    assert problem in "\n".join(problems(lifecycle=lifecycle))


def test_people_may_stay_customers_or_lost() -> None:
    moves = (THERE, BACK, Move("prospect", "customer", None, "bought"))
    assert problems(lifecycle=replace(LIFECYCLE, stages=(*LIFECYCLE.stages, CUSTOMER), moves=moves)) == []


def test_a_step_may_be_the_way_into_a_stage() -> None:
    update = replace(MAIL, id="up", kind="update", template=None, params={"stage": "prospect"})
    assert "enter" not in "\n".join(problems(steps(update), lifecycle=replace(LIFECYCLE, moves=(BACK,))))


@pytest.mark.parametrize(
    ("field_", "op", "value", "wrong"),
    [
        ("engagement", Op.GE, 40, False),
        ("engagement", Op.GT, 40, True),
        ("engagement", Op.GE, 41, True),
        ("engagement", Op.LE, 41, False),
        ("fit_points", Op.GE, 25, False),
        ("fit_points", Op.EQ, 26, True),
        ("account.employees", Op.GE, 10**6, False),
    ],
)
def test_thresholds_can_be_reached(field_: str, op: Op, value: int, wrong: bool) -> None:
    asked = Compare(field_, op, value)
    rules = (FitRule(Compare("title", Op.KNOWN), 2500, "title"), FitRule(Compare("country", Op.KNOWN), -9900, "far"))
    scoring = replace(
        LIFECYCLE,
        fit=FitModel(rules),
        categories=(Category("website", 4000, {"page_viewed": 100}, half_life=LIFECYCLE.memory),),
    )
    for lifecycle, sequence in (
        (replace(scoring, moves=(replace(THERE, when=All((asked,))), BACK)), WELCOME),
        (replace(scoring, levels=(("MQL", asked),)), WELCOME),
        (scoring, replace(WELCOME, audience=replace(WELCOME.audience, when=asked))),
        (scoring, steps(Step("fork", "branch", next="hello", arms=(Arm(asked, "hello"),)), MAIL)),
    ):
        assert any("never reaches" in each for each in problems(sequence, lifecycle=lifecycle)) is wrong


def test_fit_and_levels_do_not_ask_for_themselves() -> None:
    rule = FitRule(Compare("engagement", Op.GE, 0), 100, "active", 9)
    circular = replace(LIFECYCLE, fit=FitModel((rule,)), levels=(("MQL", Compare("level", Op.EQ, "MQL")),))
    found = "\n".join(problems(lifecycle=circular))
    assert "l.yaml:9:1: fit cannot depend on `engagement`" in found
    assert "level 'MQL' cannot depend on `level`" in found


def test_steps_after_an_exit_are_never_reached() -> None:
    leave = Step("leave", "exit", next="hello")
    assert "s.yaml:4:1: step 'hello' is never reached" in "\n".join(problems(steps(leave, MAIL)))


def test_steps_after_a_branch_are_reached_unless_every_arm_ends_the_run() -> None:
    some = Compare("title", Op.KNOWN)
    leave = Step("leave", "exit", next="hello")
    fork = Step("fork", "branch", next="hello", arms=(Arm(some, "leave"),))
    assert problems(steps(fork, leave, MAIL)) == []
    always = replace(fork, arms=(Arm(some, "leave"), Arm(None, "leave")))
    assert "'hello' is never reached" in "\n".join(problems(steps(always, leave, MAIL)))
    other = replace(fork, arms=(Arm(some, "leave"), Arm(None, None)))
    assert problems(steps(other, leave, MAIL)) == []


def test_an_audience_is_there_and_has_the_voice_of_the_sequence() -> None:
    nobody = replace(WELCOME, audience=Audience(frozenset({Role.CUSTOMER})))
    assert "no stage of the lifecycle is addressed" in "\n".join(problems(nobody))
    personal = replace(WELCOME, audience=Audience(frozenset({Role.ENGAGE})))
    assert "a marketing sequence cannot address stage 'prospect': its voice is personal" in "\n".join(
        problems(personal)
    )
    assert problems(replace(WELCOME, audience=Audience())) == []


def test_personal_mail_goes_to_people_whom_a_rep_owns() -> None:
    ownerless = replace(LIFECYCLE, stages=(LEAD, replace(PROSPECT, owner=Team.MARKETING), LOST))
    intro = replace(WELCOME, voice=Voice.PERSONAL, audience=Audience(frozenset({Role.ENGAGE})))
    assert "personal mail needs an owner" in "\n".join(problems(intro, lifecycle=ownerless))


def test_content_is_what_the_stage_allows() -> None:
    assert problems(steps(replace(MAIL, content="educational"))) == []
    found = problems(steps(replace(MAIL, content="pricing")))
    assert found == ["s.yaml:4:1: stage 'lead' does not allow 'pricing' content, it allows educational"]


def test_two_sequences_that_want_the_same_person_have_different_priorities() -> None:
    first = replace(WELCOME, triggers=ENROLLING)
    second = replace(first, name="news", file="n.yaml")
    assert "sequences 'news' and 'welcome' can both take a contact in stage 'lead'" in "\n".join(
        problems(first, second)
    )
    assert problems(first, replace(second, priority=51)) == []
    assert problems(first, replace(second, triggers=(Trigger("manual"),))) == []
    personal = replace(second, voice=Voice.PERSONAL, audience=Audience(frozenset({Role.ENGAGE})))
    assert problems(first, replace(personal, steps=(replace(MAIL, template="intro"),))) == []


def test_a_trigger_asks_for_a_stage_of_the_audience() -> None:
    wrong = replace(WELCOME, triggers=(Trigger("stage_entered", {"role": (Role.ENGAGE,)}, 3),))
    assert "s.yaml:3:1: entering that stage enrolls nobody" in "\n".join(problems(wrong))
    assert problems(replace(WELCOME, triggers=(Trigger("stage_entered", {"stage": ("lead", "prospect")}),))) == []


def test_a_trigger_names_a_sequence_that_is_there() -> None:
    after = replace(
        WELCOME, triggers=(Trigger("event", {"kind": "sequence_completed", "where": {"sequence": "welcom"}}, 3),)
    )
    assert problems(after) == ["s.yaml:3:1: unknown sequence 'welcom', did you mean 'welcome'?"]


@pytest.mark.parametrize(
    ("mail", "problem"),
    [
        (Mail(uses_unsubscribe=False), "marketing mail 'hello' has no unsubscribe link"),
        (Mail(uses_postal_address=False), "marketing mail 'hello' has no postal address"),
        (Mail(variables=frozenset({"frist_name"})), "unknown variable `frist_name`, did you mean 'first_name'?"),
        (Mail(voice=Voice.PERSONAL), "unknown variable `unsubscribe_url`, only marketing mail has it"),
    ],
)
def test_mail_is_whole(mail: Mail, problem: str) -> None:
    assert problem in "\n".join(problems(WELCOME, hello=mail))


def test_personal_mail_needs_no_way_out() -> None:
    mail = Mail(Voice.PERSONAL, frozenset({"first_name"}), uses_unsubscribe=False, uses_postal_address=False)
    assert problems(hello=mail) == []


def test_a_variable_is_pointed_at_where_it_is_read() -> None:
    mail = Mail(variables=frozenset({"nam"}), places={"nam": "templates/hello.txt:2"})
    found = problems(hello=mail, files={"templates/hello.txt": "Hi nam,\n\nx {{ nam }}\n"})
    assert found[0].startswith("templates/hello.txt:3:6: unknown variable `nam`")
    optional = Mail(variables=frozenset({"nam"}))
    assert problems(hello=optional, files={"templates/hello.txt": "a {{ nam }}"})[0].startswith(
        "templates/hello.txt:1:6"
    )


def test_a_template_has_one_voice() -> None:
    intro = replace(WELCOME, name="intro", voice=Voice.PERSONAL, audience=Audience(frozenset({Role.ENGAGE})))
    assert "template 'hello' is personal mail here and marketing mail in sequence 'welcome'" in "\n".join(
        problems(WELCOME, intro)
    )
