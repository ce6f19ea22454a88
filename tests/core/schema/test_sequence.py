"""Sequence files: what they say as a value, and the mistakes that show within one file."""

from __future__ import annotations

from datetime import time

import pytest

from nurture.core.conditions import Compare, Op
from nurture.core.schema import Vocabulary, read_sequence
from nurture.core.sequence import Arm, Audience, Exit, LatePolicy, Reentry, Trigger
from nurture.core.spans import Span, Unit
from nurture.core.windows import ALWAYS_OPEN, Delay, Window
from nurture.core.words import FieldType, Role, Voice
from nurture.errors import ProgramError

HEAD = "kind: sequence\nname: s\nvoice: marketing\nsender: newsletter\n"
PERSONAL = "kind: sequence\nname: s\nvoice: personal\n"
STEPS = "steps:\n  - {id: a, email: leads/a}\n"
KNOWN = Vocabulary(
    fields={"engagement": FieldType.NUMBER, "title": FieldType.TEXT, "fields.plan": FieldType.CHOICE},
    values={"fields.plan": ["free", "pro"]},
    events=["replied", "form_submitted", "meeting_booked"],
    stages=["lead", "prospect"],
    contents=["educational"],
    templates=["leads/a", "leads/b"],
    senders={"newsletter": Voice.MARKETING},
)


def problems(text: str) -> list[str]:
    with pytest.raises(ProgramError) as error:
        read_sequence(text, "s.yaml", KNOWN)
    return [str(problem) for problem in error.value.problems]


def test_everything_that_a_file_says_is_in_the_value() -> None:
    text = """\
kind: sequence
name: welcome
description: For everybody who is new.
voice: marketing
audience: {role: nurture, stage: [lead], when: engagement >= 20}
enroll_when:
  - stage_entered: {role: nurture}
  - event: form_submitted
  - event: {kind: form_submitted, where: {form: [pricing, demo]}}
  - manual
exit_when: [reply, {goal: engagement > 50}, {event: meeting_booked}]
reentry: {after: 90 days}
priority: 70
sender: newsletter
window: {days: [mon, friday], hours: "08:30-12:00", spread: 1 hour}
live: false
steps:
  - id: a
    email: leads/a
    content: educational
    delay: {for: 2 business days, weekday: tuesday, at: "09:00"}
    late: {expire: 2 days}
    on_refused: advance
"""
    sequence = read_sequence(text, "sequences/welcome.yaml", KNOWN)
    assert (sequence.name, sequence.voice, sequence.sender) == ("welcome", Voice.MARKETING, "newsletter")
    assert (sequence.priority, sequence.live, sequence.file) == (70, False, "sequences/welcome.yaml")
    when = Compare("engagement", Op.GE, 20)
    assert sequence.audience == Audience(frozenset({Role.NURTURE}), frozenset({"lead"}), when)
    assert sequence.triggers == (
        Trigger("stage_entered", {"role": (Role.NURTURE,)}, 7),
        Trigger("event", {"kind": "form_submitted"}, 8),
        Trigger("event", {"kind": "form_submitted", "where": {"form": ["pricing", "demo"]}}, 9),
        Trigger("manual", {}, 10),
    )
    assert sequence.exits == (
        Exit("reply", line=11),
        Exit("goal", when=Compare("engagement", Op.GT, 50), line=11),
        Exit("event", event="meeting_booked", line=11),
    )
    assert (sequence.reentry, sequence.reentry_after) == (Reentry.AFTER, Span(90, Unit.DAYS))
    assert sequence.window == Window(frozenset({0, 4}), time(8, 30), time(12), 60)
    (step,) = sequence.steps
    assert step.delay == Delay(Span(2, Unit.BUSINESS_DAYS), time(9), 1)
    assert (step.late, step.late_after) == (LatePolicy.EXPIRE, Span(2, Unit.DAYS))
    assert (step.template, step.content, step.on_refused, step.line) == ("leads/a", "educational", "advance", 18)


def test_a_short_file_means_the_usual() -> None:
    sequence = read_sequence(HEAD + STEPS, "s.yaml", KNOWN)
    assert [each.kind for each in sequence.exits] == ["reply", "unsubscribe", "bounce", "stage_left"]
    assert (sequence.reentry, sequence.window, sequence.priority) == (Reentry.ONCE, Window(), 50)
    assert sequence.steps[0].draft_ahead is None


def test_personal_mail_is_drafted_one_business_day_ahead_and_sent_by_its_owner() -> None:
    sequence = read_sequence(PERSONAL + STEPS, "s.yaml", KNOWN)
    assert sequence.sender == "owner"
    assert sequence.steps[0].draft_ahead == Span(1, Unit.BUSINESS_DAYS)


def test_branches_are_flattened_and_come_together_again() -> None:
    text = """\
steps:
  - id: fork
    branch:
      - if: engagement >= 20
        then:
          - {id: warm, email: leads/a}
          - {id: inner, branch: [{if: engagement >= 40, then: [{id: hot, email: leads/b}]}, {else: []}]}
      - else:
          - {id: cold, wait: 3 days}
  - {id: after, exit: {reason: done, disposition: no_response}}
"""
    sequence = read_sequence(HEAD + text, "s.yaml", KNOWN)
    follows = {step.id: step.next for step in sequence.steps}
    assert follows == {
        "fork": "after",
        "warm": "inner",
        "inner": "after",
        "hot": "after",
        "cold": "after",
        "after": None,
    }
    assert sequence.step("fork").arms == (Arm(Compare("engagement", Op.GE, 20), "warm"), Arm(None, "cold"))  # type: ignore[union-attr]
    assert sequence.step("inner").arms == (Arm(Compare("engagement", Op.GE, 40), "hot"), Arm(None, None))  # type: ignore[union-attr]


def test_each_kind_of_step_hands_on_what_it_reads() -> None:
    text = """\
steps:
  - {id: w, wait: {until: tuesday, at: "09:00"}}
  - {id: t, task: {kind: call, title: Call them, due: 1 business day, wait: true, timeout: 5 days}}
  - {id: u, update: {set: {fields.plan: pro, title: null}, stage: prospect}}
  - {id: x, exit: {reason: done}}
"""
    wait, task, update, leave = read_sequence(HEAD + text, "s.yaml", KNOWN).steps
    assert (wait.kind, wait.delay) == ("wait", Delay(None, time(9), 1))
    assert task.params == {
        "kind": "call",
        "title": "Call them",
        "note": None,
        "due": Span(1, Unit.BUSINESS_DAYS),
        "wait": True,
        "timeout": Span(5, Unit.DAYS),
    }
    assert update.params == {"set": {"fields.plan": "pro", "title": None}, "stage": "prospect"}
    assert leave.params == {"reason": "done", "disposition": None}


@pytest.mark.parametrize(
    ("written", "window"),
    [
        ("always", ALWAYS_OPEN),
        ("{days: fri-mon, hours: '22:00-24:00'}", Window(frozenset({4, 5, 6, 0}), time(22), time(0), 30)),
        ("{days: 'tue, thu'}", Window(frozenset({1, 3}))),
        ("{hours: '9:00-17:00', spread: 2 hours}", Window(spread=120)),
    ],
)
def test_windows_are_read(written: str, window: Window) -> None:
    assert read_sequence(f"{HEAD}window: {written}\n{STEPS}", "s.yaml", KNOWN).window == window


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "prioritty: 3\n" + STEPS, "s.yaml:5:1: unknown key `prioritty`, did you mean 'priority'?"),
        (HEAD, "s.yaml:1:1: `steps` is missing"),
        (HEAD + "steps: []", "s.yaml:5:8: a sequence without steps does nothing, write its first step"),
        (HEAD + "steps:\n  - {email: leads/a}", "s.yaml:6:5: `id` is missing"),
        (HEAD + "steps:\n  - {id: A b, email: leads/a}", "s.yaml:6:10: 'A b' is no name"),
        (HEAD + "steps:\n  - {id: a, emial: leads/a}", "unknown kind of step `emial`, did you mean 'email'?"),
        (HEAD + "steps:\n  - {id: a}", "s.yaml:6:5: this step does nothing"),
        (HEAD + "steps:\n  - {id: a, wait: 1 day, email: leads/a}", "a step is one thing, not wait and email"),
        (HEAD + "steps:\n  - hello", "s.yaml:6:5: expected a step, not 'hello'"),
        (HEAD + STEPS + "  - {id: a, wait: 1 day}", "s.yaml:7:10: two steps have the id 'a'"),
        (HEAD + "steps:\n  - {id: a, email: leads/aa}", "unknown template 'leads/aa', did you mean 'leads/a'?"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, content: educatoinal}", "did you mean 'educational'?"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, delay: 3 dayz}", "s.yaml:6:36: '3 dayz' is no length of time"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, delay: {weekday: tusday}}", "did you mean 'tuesday'?"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, delay: {at: 09}}", "9 is no time of day"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, late: expire}", "`expire` needs a time"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, late: skp}", "unknown late policy 'skp', did you mean 'skip'?"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, thread: yes}", "expected true or false, not 'yes'"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, thread: true}", "marketing mail has no thread to answer in"),
        (HEAD + "steps:\n  - {id: a, email: leads/a, draft_ahead: 1 day}", "marketing mail is not drafted"),
        (HEAD + "steps:\n  - {id: a, wait: {}}", "a wait needs an end"),
        (HEAD + "steps:\n  - {id: a, branch: []}", "a branch needs at least one arm"),
        (HEAD + "steps:\n  - {id: a, branch: [{if: engagement > 1}]}", "`then` is missing in this arm"),
        (HEAD + "steps:\n  - {id: a, branch: [{if: enagement > 1, then: []}]}", ":27: unknown field `enagement`"),
        (HEAD + "steps:\n  - {id: a, branch: [{else: []}, {else: []}]}", "arms after `else` are never reached"),
        (HEAD + "steps:\n  - {id: a, task: {title: x, timeout: 1 day}}", "`timeout` without `wait: true` does nothing"),
        (HEAD + "steps:\n  - {id: a, update: {}}", "this update changes nothing"),
        (HEAD + "steps:\n  - {id: a, update: {set: {fields.plan: prro}}}", "did you mean 'pro'?"),
        (HEAD + "steps:\n  - {id: a, update: {set: {fields.paln: pro}}}", "s.yaml:6:28: unknown field `fields.paln`"),
        (HEAD + "steps:\n  - {id: a, update: {set: {email: x}}}", "`email` cannot be set by a step"),
        (HEAD + "steps:\n  - {id: a, update: {stage: prospct}}", "unknown stage 'prospct', did you mean 'prospect'?"),
        (HEAD + "steps:\n  - {id: a, update: {event: replyd}}", "unknown event 'replyd', did you mean 'replied'?"),
        (HEAD + "steps:\n  - {id: a, exit: {reason: x, disposition: gone}}", "unknown disposition 'gone'"),
        (HEAD + "audience: {role: nuture}\n" + STEPS, "s.yaml:5:18: unknown role 'nuture', did you mean 'nurture'?"),
        (HEAD + "audience: {stage: [lead, led]}\n" + STEPS, "s.yaml:5:26: unknown stage 'led', did you mean 'lead'?"),
        (HEAD + "enroll_when: [event]\n" + STEPS, "`event` needs a kind"),
        (HEAD + "enroll_when: [evnt: x]\n" + STEPS, "unknown trigger `evnt`, did you mean 'event'?"),
        (HEAD + "enroll_when: [{event: form_submited}]\n" + STEPS, "did you mean 'form_submitted'?"),
        (HEAD + "enroll_when: [{event: {kind: replied, where: 3}}]\n" + STEPS, "expected what the event's data"),
        (HEAD + "exit_when: [replly]\n" + STEPS, "s.yaml:5:13: unknown exit 'replly', did you mean 'reply'?"),
        (HEAD + "exit_when: [{goal: engagement > x}]\n" + STEPS, "`x` stands where a value belongs"),
        (HEAD + "reentry: never\n" + STEPS, "unknown re-entry 'never'"),
        (HEAD + "priority: 101\n" + STEPS, "s.yaml:5:11: expected at most 100, not 101"),
        (HEAD + "window: {hours: '17:00-09:00'}\n" + STEPS, "a window of 17:00-09:00 can never open"),
        (HEAD + "window: {hours: '09:00-09:00'}\n" + STEPS, "a window of 09:00-09:00 can never open"),
        (HEAD + "window: {days: []}\n" + STEPS, "a window without days can never open"),
        (HEAD + "window: {hours: '09:00-10:00', spread: 1 hour}\n" + STEPS, "mail is spread over 60 minutes"),
        (HEAD + "window: {days: [mon, tusday]}\n" + STEPS, "s.yaml:5:22: 'tusday' is no day of the week"),
        (HEAD.replace("newsletter", "newsleter") + STEPS, "s.yaml:4:9: unknown sender 'newsleter', did you mean"),
        (HEAD.replace("newsletter", "owner") + STEPS, "marketing mail cannot come from a rep's mailbox"),
        (HEAD.replace("sender: newsletter\n", "") + STEPS, "`sender` is missing, name one of nurture.toml: newsletter"),
        (PERSONAL + "sender: newsletter\n" + STEPS, "s.yaml:4:9: a personal sequence cannot be sent by 'newsletter'"),
        (PERSONAL.replace("personal", "silent") + STEPS, "a sequence cannot have the voice 'silent'"),
        ("- a\n- b\n", "s.yaml:1:1: expected keys and values"),
    ],
)  # fmt: skip
def test_a_mistake_is_pointed_at(text: str, problem: str) -> None:
    assert problem in "\n".join(problems(text))


def test_all_mistakes_are_told_in_the_order_of_the_file() -> None:
    text = "kind: sequence\nname: S\nvoice: marketing\npriority: 1.5\nsteps:\n- {id: a, email: x}\n- {id: b, wait: x}\n"
    assert [problem.split(":")[1] for problem in problems(text)] == ["2", "4", "6", "7"]


def test_a_stored_version_is_read_without_asking_what_else_there_was() -> None:
    assert read_sequence(HEAD + STEPS, "s.yaml").steps[0].template == "leads/a"
