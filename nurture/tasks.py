"""What reps have to do, and that it is done: the run that waits for a task goes on with its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from nurture import intake
from nurture.core.model import ContactId, Event, Rep
from nurture.core.program import Program
from nurture.db import situations, tasks
from nurture.errors import NotFound, Refused
from nurture.qualifying import statements


def finish(
    connection: Connection,
    program: Program,
    task_id: int,
    rep: Rep,
    outcome: str | None,
    now: datetime,
    *,
    slots: Mapping[str, str | None] | None = None,
) -> None:
    """Finish an open task, in the words of the rep who did it, and record `task_done` and what they learned (`slots`).

    Raises NotFound, Refused when the task is not open any more, UsageError for slots that there are not.
    """
    task = tasks.by_id(connection, task_id)
    if task is None:
        raise NotFound(f"there is no task {task_id}")
    situations.lock(connection, [task.contact_id])
    if not tasks.finish(connection, task_id, outcome, now):
        raise Refused(f"the task {task_id} is {task.state} already: {task.title}")
    data = {"task": task_id, "kind": task.kind, "title": task.title, "outcome": outcome, "rep": rep.email}
    done = Event("task_done", now, "rep", f"task_done:{task_id}", ContactId(task.contact_id), data=data)
    evidence = f"{task.title}: {outcome}" if outcome else task.title
    contact_id = ContactId(task.contact_id)
    learned = statements(program.lifecycle, contact_id, slots or {}, evidence, 1.0, rep.email, now)
    intake.record(connection, program, [done, *learned], now)
