"""`nurture segments`: named groups of contacts, and conditions asked of everybody at once."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from nurture import live, segmenting
from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, note, print_json, print_table, say, shown
from nurture.core.program import Program
from nurture.errors import UsageError
from nurture.importing.report import safe_cell
from nurture.looking import segments
from nurture.looking.segments import Explained, Found

app = typer.Typer(help="Segments: named groups of contacts, written as conditions.", no_args_is_help=True)

NameOption = Annotated[str | None, typer.Argument(help="The segment; or ask with --when.")]
WhenOption = Annotated[str | None, typer.Option("--when", help="A condition instead of a segment.")]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Say what is asked in words and in SQL, with the plan.")]


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the segments of the live program and how many contacts are in each.

    Example: `nurture segments list`
    """
    with opened(ctx) as context, context.database.read() as connection:
        found = segments.listing(connection, live.current(connection))
    rows = [(each.segment.name, each.members, each.filled_at, each.segment.description) for each in found]
    names = ("name", "members", "filled_at", "description")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table(None, ("segment", "members", "filled", "description"), rows)
    if not found:
        note("there are no segments: write one in segments.yaml, then `nurture apply`")


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The segment.")],
    explain: ExplainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show who is in a segment in words, where it is written, who uses it, and how many are in it.

    Example: `nurture segments show newsletter --explain`
    """
    with opened(ctx) as context:
        program, now = _program(context), now_of(context)
        segment, what = segments.named(program, name), segments.asked(program, name, None)
        with context.database.read() as connection:
            listed = next(each for each in segments.listing(connection, program) if each.segment.name == name)
            fresh = segments.count(connection, program, what, now)
            explained = segments.explain(connection, program, what, now) if explain else None
    facts = {
        "name": name,
        "description": segment.description,
        "asks": what.sentence,
        "written": f"{segment.file}:{segment.line}",
        "used_by": segments.used_by(program, name),
        "members": listed.members,
        "counted_now": fresh,
        "filled_at": listed.filled_at,
    }
    if as_json:
        print_json(facts | _explained(explained))
        return
    say(f"{name}: {shown(what.sentence)}")
    if segment.description:
        say(f"  {shown(segment.description)}")
    say(f"  written in {segment.file}:{segment.line}, used by {', '.join(segments.used_by(program, name)) or 'nobody'}")
    say(f"  {listed.members:,} in it; counted now: {fresh:,}")
    _print_explained(explained)


@app.command()
def count(
    ctx: typer.Context,
    name: NameOption = None,
    when: WhenOption = None,
    explain: ExplainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Count for how many contacts a segment or a condition holds now.

    Example: `nurture segments count --when "fit in ('A', 'B') and did('clicked', within='30 days')"`
    """
    with opened(ctx) as context:
        program, now = _program(context), now_of(context)
        what = segments.asked(program, name, when)
        with context.database.read() as connection:
            found = segments.count(connection, program, what, now)
            explained = segments.explain(connection, program, what, now) if explain else None
    if as_json:
        print_json({"segment": name, "asks": what.sentence, "count": found} | _explained(explained))
        return
    if explained:
        say(f"Asks: {shown(what.sentence)}")
    say(f"{found:,} {'contact' if found == 1 else 'contacts'}")
    _print_explained(explained)


@app.command()
def export(
    ctx: typer.Context,
    name: NameOption = None,
    when: WhenOption = None,
    file: Annotated[Path | None, typer.Option("--csv", help="Where to; by default standard output.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the contacts for whom a segment or a condition holds now, as CSV or JSON, with since when they are in it.

    Example: `nurture segments export newsletter --csv newsletter.csv`
    """
    if as_json and file is not None:
        raise UsageError("--json goes to standard output: leave --csv out")
    with opened(ctx) as context:
        program, now = _program(context), now_of(context)
        rows = segments.rows(context.database, program, segments.asked(program, name, when), now)
        if as_json:
            print_json([_row(each) for each in rows])
        elif file is None:
            _write(rows, sys.stdout)
        else:
            with file.open("w", encoding="utf-8", newline="") as out:
                note(f"{_write(rows, out):,} contacts written to {file}")


@app.command()
def refresh(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="The segments; by default all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask everybody again who is in which segment. `apply` does so by itself; nobody enters or leaves by this.

    Example: `nurture segments refresh newsletter`
    """
    with opened(ctx) as context:
        asked = segmenting.refresh(context.database, _program(context), names or [], now_of(context))
    if as_json:
        print_json({"asked": asked})
    else:
        say(f"{asked:,} contacts were asked.")


def _program(context: Context) -> Program:
    with context.database.read() as connection:
        return live.current(connection)


def _write(rows: Iterable[Found], file: TextIO) -> int:
    writer = csv.writer(file)
    writer.writerow([column.name for column in fields(Found)])
    written = 0
    for row in rows:
        cells = (value.isoformat() if isinstance(value, datetime) else value for value in _row(row).values())
        writer.writerow([safe_cell(cell) for cell in cells])
        written += 1
    return written


def _row(found: Found) -> dict[str, object]:
    return {column.name: getattr(found, column.name) for column in fields(Found)}


def _explained(explained: Explained | None) -> dict[str, object]:
    return {} if explained is None else {"sql": explained.sql, "plan": explained.plan}


def _print_explained(explained: Explained | None) -> None:
    if explained is not None:
        say()
        say(explained.sql)
        say()
        for line in explained.plan:
            say(line)
