"""`nurture reps`: the people in sales, in whose names personal mail goes out."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, print_table, say
from nurture.people import add_rep, list_reps

app = typer.Typer(help="Reps: personal mail goes out in their name.", no_args_is_help=True)


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="First and last name.")],
    email: Annotated[str, typer.Option(help="Their mailbox: personal mail goes out from it.")],
    title: Annotated[str | None, typer.Option(help="Job title.")] = None,
    signature: Annotated[str | None, typer.Option(help="What stands below their mail; `\\n` begins a line.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="For example Europe/Berlin.")] = None,
    calendar_link: Annotated[str | None, typer.Option(help="Where a meeting can be booked.")] = None,
    capacity: Annotated[int | None, typer.Option(help="How many drafts they can approve in a day.", min=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a rep and their mailbox as a personal sender; an address that is known already is updated.

    Example: `nurture reps add --name "Ada Lovelace" --email ada@example.com --time-zone Europe/London`
    """
    with opened(ctx) as context, context.database.write() as connection:
        rep, made = add_rep(
            connection,
            name=name,
            email=email,
            title=title,
            signature=signature.replace("\\n", "\n") if signature else None,
            time_zone=time_zone,
            calendar_link=calendar_link,
            daily_capacity=capacity,
            provider=context.settings.reps_provider,
            now=now_of(context),
        )
    if as_json:
        print_json({"id": rep, "email": email, "added": made})
    else:
        say(f"{'Added' if made else 'Updated'} {name} <{email}>.")


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the reps and how many contacts each of them owns.

    Example: `nurture reps list --json`
    """
    with opened(ctx) as context, context.database.read() as connection:
        rows = list_reps(connection)
    if as_json:
        print_json(rows)
        return
    columns = ("name", "email", "title", "time_zone", "daily_capacity", "active", "contacts")
    print_table(None, [name.replace("_", " ") for name in columns], [[row[name] for name in columns] for row in rows])
