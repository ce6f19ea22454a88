"""`nurture tasks`: what reps have to do, and saying that it is done."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture import live, tasks
from nurture.cli.approvals import RepOption
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, print_table, say
from nurture.cli.qualify import pairs
from nurture.db import listings
from nurture.people import find_rep

app = typer.Typer(help="Tasks: what reps have to do.", no_args_is_help=True)

_COLUMNS = ("id", "due_at", "email", "kind", "title", "note", "rep")


@app.command("list")
def list_(ctx: typer.Context, rep: RepOption = None, as_json: JsonOption = False) -> None:
    """List the open tasks, the most urgent first: of one rep, or without --rep of all.

    Example: `nurture tasks list --rep ada@example.com`
    """
    with opened(ctx) as context, context.database.read() as connection:
        mine = find_rep(connection, rep).id if rep else None
        rows = [{name: getattr(row, name) for name in _COLUMNS} for row in listings.tasks(connection, mine)]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ("id", "due", "contact", "kind", "what", "note", "rep")
        print_table(None, columns, [tuple(row.values()) for row in rows])
    else:
        say("No open task.")


@app.command()
def done(
    ctx: typer.Context,
    task: Annotated[int, typer.Argument(metavar="ID", help="The task, as `nurture tasks list` numbers it.")],
    outcome: Annotated[str | None, typer.Option(help="What came of it, in your words.")] = None,
    learned: Annotated[
        list[str] | None, typer.Option("--set", help="`slot=value`: what you learned of them. May be repeated.")
    ] = None,
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a task is done: a sequence that waited for it goes on.

    Example: `nurture tasks done 12 --outcome "wants a quote by Friday" --set need="month-end close"`
    """
    slots = pairs(learned or [])
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            doer = find_rep(connection, rep)
            tasks.finish(connection, live.current(connection), task, doer, outcome, now, slots=slots)
    if as_json:
        print_json({"id": task, "state": "done", "outcome": outcome, "rep": doer.email, "set": slots})
    else:
        say(f"Task {task} is done.")
