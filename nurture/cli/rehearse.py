"""`nurture rehearse`: a copy of a database in which a moment may be pretended."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture.cli.context import opened, program_time, settings_of
from nurture.cli.output import JsonOption, print_json, print_table, say
from nurture.cli.running import moment
from nurture.db.session import place, read_url
from nurture.rehearsal import rehearse as copy


def rehearse(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="Where the rehearsal is made.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="What is copied. By default the folder's database.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When it begins. By default now; never before the last thing that happened.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a database into a rehearsal: it only ever writes to an outbox of its own, and may pretend a moment.

    The copy goes from and to SQLite or PostgreSQL. What is copied stays as it is.

    Example: `nurture rehearse --to sqlite:///rehearsal.db`
    """
    target = settings_of(ctx, to).database_url
    begin = moment("--at", at) if at else None
    with opened(ctx, source) as context:
        counts = copy(context.database, target, program_time(None), begin=begin)
    if as_json:
        print_json({"database": place(read_url(target)), "rows": counts})
        return
    print_table(f"copied into {place(read_url(target))}", ("table", "rows"), [row for row in counts.items() if row[1]])
    say()
    say("Next:")
    say(f"  nurture run --db {to} --once --at MOMENT    do what is due at a pretended moment")
    say(f"  nurture run --db {to} --until MOMENT        live until then")
    say(f"  NURTURE_DATABASE_URL={to} nurture approvals list    any other command, in the rehearsal")
