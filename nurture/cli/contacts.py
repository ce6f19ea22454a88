"""`nurture contacts`: who is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nurture import enrolling, live, moving
from nurture.cli.approvals import RepOption
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, note, print_json, print_table, progress, say
from nurture.core.mapping import Column, Expression, Target, parse_expression
from nurture.errors import UsageError
from nurture.importing.contacts import ContactsFile, import_contacts, open_contacts
from nurture.importing.report import ImportReport
from nurture.people import find_contact, find_rep
from nurture.program.mapping import load_mapping

app = typer.Typer(help="Contacts: import them, look at them.", no_args_is_help=True)


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file, of any delimiter and encoding.")],
    mapping: Annotated[Path | None, typer.Option(help="A `kind: mapping` file.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="`field=column`, `field=text {Column}` or `field==constant`. May be repeated."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where they come from. By default the file's name.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding, where the guess is wrong.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Delimiter, where the guess is wrong.")] = None,
    rejected: Annotated[Path | None, typer.Option(help="Where rejected rows go. By default beside the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import contacts from a CSV file. Run it again at any time: what is there already stays as it is.

    Known columns are recognized by their names; say what the others are with `--map` or a mapping file. Rows that
    cannot be used go to FILE.rejected.csv with line and reason. Suppressed addresses stay suppressed.

    Example: `nurture contacts import leads.csv --map 'email=lead-{Lead Number}@leads.example' --source "X Education"`
    """
    added = [_target(text) for text in columns or ()]
    with opened(ctx) as context:
        with context.database.read() as connection:
            program = live.current(connection)
        known = load_mapping(mapping) if mapping else None
        table = open_contacts(
            file, program, known, added, source=source, encoding=encoding, delimiter=delimiter, rejected=rejected
        )
        if table.guessed and not as_json:
            _tell_guess(table)
        with progress(f"importing {file.name}") as heard:
            now = now_of(context)
            report = import_contacts(context.database, program, context.ring, table, now, progress=heard)
    print_report(report, as_json)


@app.command()
def enroll(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="An address of the contact.")],
    sequence: Annotated[str, typer.Argument(help="The name of a live sequence.")],
    reason: Annotated[str, typer.Option(help="Why, for their timeline.")] = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Enroll a contact in a sequence by hand, if its audience and its re-entry policy allow it.

    Example: `nurture contacts enroll ann@example.com lead-re-engage --reason "met at the fair"`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            contact = find_contact(connection, email)
            run = enrolling.enroll(connection, live.current(connection), contact, sequence, reason, now)
    if as_json:
        print_json({"email": email, "sequence": sequence, "run": run})
    else:
        say(f"{email} is in {sequence}, run {run}.")


@app.command()
def move(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="An address of the contact.")],
    stage: Annotated[str, typer.Argument(help="The stage to move them to.")],
    reason: Annotated[str, typer.Option(help="Why, for their history and for reports.")],
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a contact to another stage by hand, if the lifecycle lists that move.

    Its conditions, dwell and cool-off bind the engine, not people. What ends and begins on a move ends and begins.

    Example: `nurture contacts move ann@example.com prospect --reason "met her at the fair"`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            by = find_rep(connection, rep).email if rep else os.environ.get("USER", "cli")
            contact = find_contact(connection, email)
            recorded = moving.move(connection, live.current(connection), contact, stage, reason, by, now)
    if as_json:
        moved = [{"from": before, "to": after} for before, after in recorded.moved]
        counts = {name: getattr(recorded, name) for name in ("enrolled", "ended", "cancelled")}
        print_json({"email": email, "moved": moved, "by": by, "reason": reason, **counts})
        return
    steps = ", then ".join(f"from {before} to {after}" for before, after in recorded.moved)
    say(f"{email} moved {steps}; sequences ended: {recorded.ended}, begun: {recorded.enrolled}.")


def print_report(report: ImportReport, as_json: bool) -> None:
    """Print what became of an import."""
    if as_json:
        print_json(
            {
                "file": report.file,
                "source": report.source,
                "rows": report.rows,
                **report.counts,
                "resumed_at": report.resumed_at,
                "rejected_file": report.rejected,
                "encoding": report.encoding,
                "delimiter": report.delimiter,
                "ignored_columns": list(report.ignored),
            }
        )
        return
    if report.resumed_at:
        note(f"went on after row {report.resumed_at:,}, where an earlier import stopped")
    rows = [("rows", report.rows), *((name, count) for name, count in report.counts.items() if count)]
    print_table(f"{report.file.name} → {report.source}", ("", "count"), rows)
    if report.ignored:
        columns = ", ".join(report.ignored)
        say(f"Not read, because nothing says which company they are about: {columns}. --map account.name=COLUMN would.")
    if report.rejected is not None:
        say(f"Rejected rows, each with its reason: {report.rejected}")


def _target(text: str) -> Target:
    field, equals, expression = text.partition("=")
    if not equals or not field.strip():
        raise UsageError(f"--map {text!r}: write field=column, for example --map email='E-mail'")
    try:
        return Target(field.strip(), parse_expression(expression))
    except ValueError as error:
        raise UsageError(f"--map {text!r}: {error}") from None


def _tell_guess(table: ContactsFile) -> None:
    read = {name for target in table.mapping.targets for name in target.expression.columns}
    for target in table.mapping.targets:
        note(f"  {target.field} = {_written(target.expression)}")
    unread = [name for name in table.table.columns if name not in read]
    if unread:
        note(f"  not read: {', '.join(unread)} (--map field=column reads them)")


def _written(expression: Expression) -> str:
    return "".join(f"{{{part.name}}}" if isinstance(part, Column) else part for part in expression.parts)
