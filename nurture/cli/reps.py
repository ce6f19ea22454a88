"""`nurture reps`: the people in sales, in whose names personal mail goes out."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from nurture import live, reps
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_facts, print_json, print_table, say
from nurture.errors import UsageError
from nurture.importing.reps import import_reps
from nurture.people import add_rep

app = typer.Typer(help="Reps: personal mail goes out in their name, and handoffs go to them.", no_args_is_help=True)
off_app = typer.Typer(help="Days on which a rep does not work.", no_args_is_help=True)
app.add_typer(off_app, name="time-off")

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The rep's address.")]


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
    """List the reps: whether they are there, how many contacts they own and how many handoffs wait for them.

    Example: `nurture reps list --json`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            rows = reps.table(connection, live.current_if_any(connection), now)
    if as_json:
        print_json(rows)
        return
    columns = ("name", "email", "title", "time_zone", "territory", "now", "open_handoffs", "contacts")
    lines = [[", ".join(row[name]) if name == "territory" else row[name] for name in columns] for row in rows]
    print_table(None, [name.replace("_", " ") for name in columns], lines)


@app.command()
def show(ctx: typer.Context, email: EmailArgument, as_json: JsonOption = False) -> None:
    """Show a rep: hours, territory, capacity and time off.

    Example: `nurture reps show ada@example.com`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            rep = reps.find(connection, email)
            rows = reps.table(connection, live.current_if_any(connection), now)
            found = next(row for row in rows if row["email"] == rep.email)
            off = reps.time_off(connection, rep)
    if as_json:
        print_json({**found, "time_off": off})
        return
    usual = {"hours": "as the company", "time_zone": "of the company"}
    facts = {name.replace("_", " "): value for name, value in {**found, **_unset(found, usual)}.items()}
    print_facts(None, {**facts, "territory": ", ".join(found["territory"]) or None})
    if off:
        names = ("id", "first_day", "last_day", "reason")
        print_table("Time off", [n.replace("_", " ") for n in names], [[row[n] for n in names] for row in off])


@app.command("set")
def set_(
    ctx: typer.Context,
    email: EmailArgument,
    hours: Annotated[
        str | None,
        typer.Option(help="Working hours: 'mon-thu 09:00-12:00, 13:00-17:00; fri 09:00-14:00', or 'usual'."),
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="For example Europe/Berlin.")] = None,
    country: Annotated[str | None, typer.Option(help="Whose public holidays they have: DE.")] = None,
    region: Annotated[str | None, typer.Option(help="A region with holidays of its own: BY.")] = None,
    territory: Annotated[
        list[str] | None, typer.Option(help="A country (or industry) that is theirs. May be repeated; '' for none.")
    ] = None,
    open_handoffs: Annotated[int | None, typer.Option(help="How many open handoffs they take at most.", min=0)] = None,
    handoffs_per_day: Annotated[int | None, typer.Option(help="How many new handoffs a day.", min=0)] = None,
    capacity: Annotated[int | None, typer.Option(help="How many drafts they can approve in a day.", min=1)] = None,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    title: Annotated[str | None, typer.Option(help="Job title.")] = None,
    calendar_link: Annotated[str | None, typer.Option(help="Where a meeting can be booked.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Who is not active gets nothing; what they have goes on.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say when a rep works and how much they take. The clocks of their handoffs follow.

    Example: `nurture reps set ada@example.com --hours "mon-fri 08:00-16:00" --country DE --open-handoffs 20`
    """
    asked = {
        "hours": hours,
        "time_zone": time_zone,
        "country": country,
        "region": region,
        "territory": [each for each in territory if each] if territory is not None else None,
        "most_open_handoffs": open_handoffs,
        "handoffs_per_day": handoffs_per_day,
        "daily_capacity": capacity,
        "name": name,
        "title": title,
        "calendar_link": calendar_link,
        "active": active,
    }
    given = {key: value for key, value in asked.items() if value is not None}
    if not given:
        raise UsageError("say what to change: nurture reps set --help")
    with opened(ctx) as context, context.database.write() as connection:
        rep = reps.find(connection, email)
        reps.change(connection, rep.id, given, now_of(context))
    if as_json:
        print_json({"email": rep.email, "changed": sorted(given)})
    else:
        say(f"Changed {rep.name} <{rep.email}>: {', '.join(sorted(key.replace('_', ' ') for key in given))}.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file: name, email, and any of the settings of `reps set`.")],
    as_json: JsonOption = False,
) -> None:
    """Add reps from a CSV file; who is known is changed. All of it, or nothing.

    Columns: name, email, title, signature, time_zone, calendar_link, daily_capacity, hours, country, region, territory
    (several with `;`), most_open_handoffs, handoffs_per_day, active.

    Example: `nurture reps import team.csv`
    """
    with opened(ctx) as context, context.database.write() as connection:
        counts = import_reps(connection, file, context.settings.reps_provider, now_of(context))
    if as_json:
        print_json({"file": str(file), **counts})
    else:
        say(f"{counts['added']} reps added, {counts['changed']} changed.")


# --- time off ---------------------------------------------------------------------------------------------------------


@off_app.command("add")
def off_add(
    ctx: typer.Context,
    email: EmailArgument,
    first: Annotated[str, typer.Argument(metavar="FROM", help="The first day: 2026-12-21.")],
    last: Annotated[str | None, typer.Argument(metavar="[TO]", help="The last day; by default the first.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a rep days off: they get no new handoffs, and the clocks of those they have stand still.

    Example: `nurture reps time-off add ada@example.com 2026-12-21 2027-01-01 --reason skiing`
    """
    days = _day(first), _day(last or first)
    with opened(ctx) as context, context.database.write() as connection:
        rep = reps.find(connection, email)
        key = reps.take_off(connection, rep, *days, reason, now_of(context))
    if as_json:
        print_json({"id": key, "rep": rep.email, "first_day": days[0], "last_day": days[1], "reason": reason})
    else:
        say(f"{rep.name} is off from {days[0]} to {days[1]} (number {key}).")


@off_app.command("list")
def off_list(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Argument(metavar="[EMAIL]", help="Of this rep; by default of all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the days off.

    Example: `nurture reps time-off list ada@example.com`
    """
    with opened(ctx) as context, context.database.read() as connection:
        rows = reps.time_off(connection, reps.find(connection, email) if email else None)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(None, ("id", "rep", "first day", "last day", "reason"), [list(row.values()) for row in rows])
    else:
        say("Nobody has time off.")


@off_app.command("remove")
def off_remove(
    ctx: typer.Context,
    key: Annotated[int, typer.Argument(metavar="ID", help="The number that `nurture reps time-off list` shows.")],
    as_json: JsonOption = False,
) -> None:
    """Take days off back.

    Example: `nurture reps time-off remove 3`
    """
    with opened(ctx) as context, context.database.write() as connection:
        reps.give_up_time_off(connection, key, now_of(context))
    if as_json:
        print_json({"id": key, "removed": True})
    else:
        say(f"Time off {key} is removed.")


def _unset(found: dict[str, object], usual: dict[str, str]) -> dict[str, object]:
    return {name: word for name, word in usual.items() if found[name] is None}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day: write it like 2026-12-21") from None
