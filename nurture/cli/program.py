"""`nurture lint` and `nurture apply`: is the folder in order, and make it live."""

from __future__ import annotations

import os

import typer

from nurture import live, segmenting
from nurture.backtests import Restandings
from nurture.cli.asking import YesOption, confirm
from nurture.cli.checking import checked, print_problems, problem_value, read_folder
from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, print_json, say
from nurture.cli.plan import back_test, back_test_value, print_back_test, print_files
from nurture.core.program import Program
from nurture.db import instance
from nurture.live import Applied
from nurture.looking.forecast import Forecast, forecast, providers_of
from nurture.wiring import leaves_here


def lint(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check every file of the working folder. Each mistake is a line: file:line:column, what, and what was meant.

    Example: `nurture lint`
    """
    problems, loaded = read_folder(ctx)
    counts = _counts(loaded.program) if loaded else {}
    if as_json:
        print_json({"ok": loaded is not None, "problems": [problem_value(each) for each in problems], **counts})
    elif loaded is not None:
        say(f"In order: {_counted(counts)}.")
    else:
        print_problems(problems)
    if loaded is None:
        raise typer.Exit(1)


def apply(ctx: typer.Context, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Make the working folder live: from now on this is what runs. What was applied before stays in runs that began.

    Before the first apply through a real provider it asks, naming how many people would get mail within a day. Another
    lifecycle is back-tested first, as `nurture plan` does; then everybody is scored anew, a page at a time.

    Example: `nurture apply --yes`
    """
    loaded = checked(ctx, as_json)
    with opened(ctx) as context:
        found = back_test(context, loaded)
        if found and not as_json:
            print_back_test(found)
        begins = _begins(context, loaded.program)
        if begins.providers:
            confirm(_question(begins, _cap(context)), yes, "nothing was applied")
        with context.database.write() as connection:
            applied = live.apply(connection, loaded, os.environ.get("USER", "cli"), now_of(context))
        segmenting.fill(context.database, now_of(context))
    _print_applied(applied, loaded.program, begins, found, as_json)


def _begins(context: Context, program: Program) -> Forecast:
    with context.database.read() as connection:
        if instance.read(connection).rehearsal:
            return Forecast(())
        used = providers_of(connection, program)
        real = {name for name in used if leaves_here(context.settings, name)}
        return forecast(connection, program, real, now_of(context))


def _cap(context: Context) -> int:
    with context.database.read() as connection:
        own = instance.read(connection).launch_cap
    return context.settings.launch_cap if own is None else own


def _question(begins: Forecast, cap: int) -> str:
    return (
        f"This is the first apply with a real provider ({', '.join(begins.providers)}). Within 24 hours up to "
        f"{_people(begins.people)} would get mail: {begins.due:,} have mail due by then, and {begins.newcomers:,} more "
        "are in stages that a sequence addresses and are written to once something enrolls them (an import, a form, "
        f"a move). At most {cap:,} messages a day go out (launch_cap). Apply it?"
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"


def _print_applied(
    applied: Applied, program: Program, begins: Forecast, found: Restandings | None, as_json: bool
) -> None:
    if as_json:
        changes = {name: getattr(applied, name) for name in ("added", "changed", "removed")}
        begun = {"real_providers": begins.providers, "people_within_24_hours": begins.people}
        tested = {"restands": applied.restands, "back_test": back_test_value(found) if found else None}
        print_json({"program": applied.hash, "unchanged": applied.unchanged, **changes, **begun, **tested})
        return
    if applied.unchanged:
        say(f"Nothing changed: program {applied.hash[:12]} is live already.")
        return
    print_files(applied)
    counts = (len(applied.added), len(applied.changed), len(applied.removed))
    say(f"Live: program {applied.hash[:12]}. {counts[0]} added, {counts[1]} changed, {counts[2]} removed.")
    say(f"  {_counted(_counts(program))}")
    if applied.restands and found:
        say(f"  {found.contacts:,} contacts are scored anew from now on, a page at a time: `nurture run` does it.")


def _counts(program: Program) -> dict[str, int]:
    return {
        "stages": len(program.lifecycle.stages),
        "moves": len(program.lifecycle.moves),
        "sequences": len(program.sequences),
        "templates": len(program.templates),
        **({"segments": len(program.segments.by_name)} if program.segments else {}),
        "fields": len(program.fields),
        "senders": len(program.senders),
    }


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name if count != 1 else name.removesuffix('s')}" for name, count in counts.items())
