"""`nurture safety`: the rules that keep a new installation from writing to too many people, and the launch cap."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, print_facts, print_json, say
from nurture.db import instance, quotas
from nurture.errors import UsageError

app = typer.Typer(help="Safety: what keeps mail from going too far.", no_args_is_help=True)


@app.command()
def show(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show the launch cap and what of it is used today, and where mail may go at all.

    Example: `nurture safety show`
    """
    with opened(ctx) as context:
        facts = _facts(context)
    if as_json:
        print_json(facts)
    else:
        print_facts(None, facts)


@app.command()
def cap(
    ctx: typer.Context,
    messages: Annotated[int | None, typer.Argument(metavar="[N]", help="Messages a day.", min=0)] = None,
    settings: Annotated[bool, typer.Option("--settings", help="As nurture.toml says again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set how many messages a day may go out through real providers. What runs obeys from its next page on.

    It is kept with the database and wins over `launch_cap` in nurture.toml.

    Example: `nurture safety cap 2000`
    """
    if (messages is None) is not settings:
        raise UsageError("say how many messages a day, or --settings")
    with opened(ctx) as context:
        with context.database.write() as connection:
            instance.set_launch_cap(connection, messages)
        facts = _facts(context)
    if as_json:
        print_json(facts)
    else:
        say(f"At most {facts['launch_cap']:,} messages a day go out; {facts['used_today']:,} did today.")


def _facts(context: Context) -> dict[str, object]:
    with context.database.read() as connection:
        own = instance.read(connection).launch_cap
        used = quotas.used(connection, now_of(context).date())
    return {
        "launch_cap": context.settings.launch_cap if own is None else own,
        "set_in": "nurture.toml" if own is None else "this database (nurture safety cap)",
        "used_today": used,
        "redirect_all_to": context.settings.redirect_all_to,
        "allow_domains": sorted(context.settings.allow_domains),
    }
