"""Tasks of reps: done, waited for, and no longer wanted."""

from __future__ import annotations

import pytest

from nurture import tasks
from nurture.core.model import ContactId, Rep
from nurture.core.words import EnrollmentState, TaskState
from nurture.db import tables
from nurture.errors import NotFound, Refused
from tests.world import World

CALLS = """\
kind: sequence
name: introduction
voice: personal
audience: {role: engage}
enroll_when: [{stage_entered: {role: engage}}]
sender: owner
window: always
steps:
  - {id: prepare, task: {kind: research, title: Read about them}}
  - {id: call, task: {kind: call, title: Call them, wait: true, timeout: 5 days}}
  - {id: pause, wait: 1 day}
"""


def _prospect(world: World) -> tuple[ContactId, Rep]:
    world.apply({"sequences/introduction.yaml": CALLS})
    rep = world.rep()
    contact = world.contact("ann@acme.example", owner=rep)
    world.work()
    for _ in range(2):
        world.record(contact, "content_downloaded")
    world.work()
    return contact, rep


def _states(world: World) -> dict[str, str]:
    return {task.kind: task.state for task in world.rows(tables.Task)}


def _finish(world: World, rep: Rep, task_id: int) -> None:
    with world.database.write() as connection:
        tasks.finish(connection, world.program, task_id, rep, "reached", world.now)


def test_run_goes_on_when_its_task_is_done(world: World) -> None:
    _, rep = _prospect(world)
    call = world.row(tables.Task, kind="call")
    world.advance(days=2)
    _finish(world, rep, call.id)
    world.work()
    done = world.row(tables.Task, kind="call")
    assert (done.state, done.outcome, done.done_at) == (TaskState.DONE, "reached", world.now)
    assert world.row(tables.Enrollment, sequence="introduction").step_id == "pause"
    assert world.row(tables.Event, kind="task_done").data["rep"] == rep.email


def test_a_task_is_done_once(world: World) -> None:
    _, rep = _prospect(world)
    call = world.row(tables.Task, kind="call")
    _finish(world, rep, call.id)
    with pytest.raises(Refused, match="is done already: Call them"):
        _finish(world, rep, call.id)
    with pytest.raises(NotFound, match="no task 999"):
        _finish(world, rep, 999)


def test_end_of_a_run_cancels_the_task_that_it_waited_for_in_vain_and_no_other(world: World) -> None:
    _prospect(world)
    assert _states(world) == {"research": TaskState.OPEN, "call": TaskState.OPEN}
    world.advance(days=7)
    assert world.row(tables.Enrollment, sequence="introduction").state == EnrollmentState.COMPLETED
    assert _states(world) == {"research": TaskState.OPEN, "call": TaskState.CANCELLED}


def test_reply_cancels_the_tasks_of_the_run_and_asks_for_an_answer(world: World) -> None:
    contact, _ = _prospect(world)
    world.record(contact, "replied", text="Not now.")
    assert _states(world) == {"research": TaskState.CANCELLED, "call": TaskState.CANCELLED, "reply": TaskState.OPEN}
