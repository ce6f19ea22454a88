"""`nurture tasks`: a rep sees what is to be done and says when it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import Shell


def test_a_reply_is_a_task_until_its_rep_says_that_it_is_done(
    office: Shell, stored: Callable[[str], list[Any]]
) -> None:
    office("events", "record", "ann@acme.example", "replied")
    (task,) = [row for row in office("tasks", "list", "--json").json if row["kind"] == "reply"]
    assert (task["email"], task["rep"]) == ("ann@acme.example", "ada@example.com")
    assert task["title"] in office("tasks", "list", "--rep", "ada@example.com").out

    said = office("tasks", "done", str(task["id"]), "--outcome", "wants a quote")
    assert f"Task {task['id']} is done." in said.out
    assert stored(f"SELECT state, outcome FROM tasks WHERE id = {task['id']}") == [("done", "wants a quote")]
    assert stored("SELECT count(*) FROM events WHERE kind = 'task_done'") == [(1,)]
    assert task["id"] not in [row["id"] for row in office("tasks", "list", "--json").json]


def test_a_task_is_done_once_and_an_unknown_one_is_named(office: Shell) -> None:
    office("events", "record", "ann@acme.example", "replied")
    task = str(office("tasks", "list", "--json").json[0]["id"])
    office("tasks", "done", task)
    assert "is done already" in office("tasks", "done", task, code=1).err
    assert "there is no task 999" in office("tasks", "done", "999", code=1).err
