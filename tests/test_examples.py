"""Every shipped file is checked, every sequence walked to its end, every mail rendered. New files need no word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nurture.core.conditions import Did, leaves
from nurture.core.effects import OpenTaskFor, PlanMessage
from nurture.core.events import KINDS
from nurture.core.lint_sequences import addressed
from nurture.core.model import (
    Account,
    AccountId,
    Contact,
    ContactId,
    Enrollment,
    EnrollmentId,
    MessageBrief,
    MessageId,
    OpenTask,
    Rep,
    RepId,
    Situation,
    Value,
    VersionId,
)
from nurture.core.schedule import after_message, schedule
from nurture.core.sequence import Sequence, Step
from nurture.core.telling import template_values
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState, MessageState, Role, Voice
from nurture.program.artifact import Artifact
from nurture.program.load import load
from nurture.program.render import render

ROOT = Path(__file__).parent.parent
SHIPPED = load(ROOT)
PROGRAM = SHIPPED.program
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SEQUENCES = sorted(PROGRAM.sequences)
MAILS = sorted(PROGRAM.templates)

REP = Rep(RepId(1), "Rita Roy", "rita@northwind-analytics.example", "Account Executive")
ACCOUNT = Account(AccountId(1), "Harbor Freight Lines", "harbor.example", "Logistics", 400, country="DE")


def someone(sequence: Sequence | None = None, **known: object) -> Contact:
    """Return a contact in the first stage that the sequence addresses."""
    stage = addressed(sequence, PROGRAM.lifecycle)[0].name if sequence else PROGRAM.lifecycle.start
    return Contact(ContactId(1), stage, MONDAY, email="ann@harbor.example", owner=REP, **known)  # type: ignore[arg-type]


def test_the_folder_is_a_program_without_mistakes() -> None:
    on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sequences").rglob("*.yaml")}
    assert on_disk <= set(SHIPPED.files)
    assert set(SEQUENCES) == {
        "lead-welcome",
        "lead-education",
        "lead-re-engage",
        "prospect-introduction",
        "prospect-follow-up",
    }


def test_every_mail_is_used_by_a_sequence() -> None:
    used = {step.template for sequence in PROGRAM.sequences.values() for step in sequence.steps if step.template}
    assert used == set(MAILS)


def test_sequences_address_roles_and_never_name_a_stage() -> None:
    for sequence in PROGRAM.sequences.values():
        assert sequence.audience.roles
        assert not sequence.audience.stages
        assert not any("stage" in trigger.params for trigger in sequence.triggers)


def test_people_move_in_both_directions() -> None:
    roles = {stage.name: stage.role for stage in PROGRAM.lifecycle.stages}
    moves = {(roles[move.from_stage], roles[move.to_stage]) for move in PROGRAM.lifecycle.moves}
    assert {(Role.NURTURE, Role.ENGAGE), (Role.ENGAGE, Role.NURTURE)} <= moves


def test_every_event_that_a_rule_waits_for_can_happen() -> None:
    known = {*KINDS, *PROGRAM.lifecycle.event_kinds}
    asked = {
        leaf.event
        for move in PROGRAM.lifecycle.moves
        if move.when
        for leaf in leaves(move.when)
        if isinstance(leaf, Did)
    }
    assert asked <= known


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_comes_to_its_end(name: str) -> None:
    sequence = PROGRAM.sequences[name]
    passed = list(_walk(sequence))
    assert passed[-1].state in (EnrollmentState.COMPLETED, EnrollmentState.EXITED)
    sent = [run.step_id for run in passed if run.waiting_for == "message"]
    assert sent
    assert passed[-1].ended_at is not None
    assert passed[-1].ended_at < MONDAY + timedelta(days=90)


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_is_rendered_for_everybody(name: str) -> None:
    artifact = _artifact(name)
    much = someone(first_name="Ann", last_name="Lee", title="CFO", country="DE", account=ACCOUNT)
    for contact in (someone(), much):
        mail = render(artifact, _values(contact, artifact))
        assert mail.subject
        whole = f"{mail.subject}\n{mail.text}\n{mail.html}"
        assert not any(bad in whole for bad in ("{{", "{%", "None", "undefined", "<mj-"))


@pytest.mark.parametrize("name", MAILS)
def test_voices_can_be_told_apart_by_the_mail(name: str) -> None:
    artifact = _artifact(name)
    mail = render(artifact, _values(someone(first_name="Ann", account=ACCOUNT), artifact))
    parts = [mail.text, mail.html or mail.text]
    if artifact.voice is Voice.MARKETING:
        assert all("https://unsubscribe.example/token" in part and "Speicherstrasse 14" in part for part in parts)
    else:
        assert all("https://unsubscribe.example/token" not in part and "Rita Roy" in part for part in parts)
        assert "<img" not in parts[1]


def _artifact(name: str) -> Artifact:
    return SHIPPED.artifacts[PROGRAM.templates[name]]


def _values(contact: Contact, artifact: Artifact) -> dict[str, Value]:
    values = template_values(Situation(contact), PROGRAM.lifecycle, PROGRAM.company, PROGRAM.fields)
    sending: dict[str, Value] = {"first_of_run": True}
    if artifact.voice is Voice.MARKETING:
        sending["unsubscribe_url"] = "https://unsubscribe.example/token"
    return {name: value for name, value in {**values, **sending}.items() if name in artifact.variables}


def _walk(sequence: Sequence) -> Iterator[Enrollment]:
    """Yield the run after every tick: mail goes out when it is due, and nobody ever does a task."""
    run = Enrollment(
        EnrollmentId(1), ContactId(1), sequence.name, VersionId(1), 1, EnrollmentState.PENDING, MONDAY, MONDAY
    )
    situation, now = Situation(someone(sequence), enrollments=(run,)), MONDAY
    for _ in range(60):
        plan = schedule(sequence, run, situation, PROGRAM.lifecycle, PROGRAM.company, now)
        run = plan.enrollment
        yield run
        if run.state not in LIVE_ENROLLMENTS:
            return
        for action in plan.actions:
            if isinstance(action, PlanMessage):
                now = max(now, action.due_at)
                run = after_message(sequence, run, _step(sequence, action.step_id), "sent", now, now).enrollment
                situation = _with_mail(situation, action, now)
            elif isinstance(action, OpenTaskFor):
                task = OpenTask(1, action.kind, action.due_at, action.enrollment_id, action.step_id)
                situation = Situation(situation.contact, messages=situation.messages, tasks=(task,))
        if run.waiting_for != "message" and plan.due_at:
            now = max(now, plan.due_at)
    raise AssertionError(f"{sequence.name} has no end")


def _step(sequence: Sequence, step_id: str) -> Step:
    step = sequence.step(step_id)
    assert step is not None
    return step


def _with_mail(situation: Situation, sent: PlanMessage, now: datetime) -> Situation:
    brief = MessageBrief(
        id=MessageId(len(situation.messages) + 1),
        voice=sent.voice,
        state=MessageState.ACCEPTED,
        enrollment_id=EnrollmentId(1),
        step_id=sent.step_id,
        template=sent.template,
        due_at=sent.due_at,
        sent_at=now,
    )
    return Situation(situation.contact, messages=(*situation.messages, brief), tasks=situation.tasks)
