"""`nurture suppressions`: addresses that must not be written to. There is no command that takes one back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nurture import live
from nurture.cli.contacts import print_report
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, note, print_json, print_table, progress, say
from nurture.core.words import Scope
from nurture.db import suppressions
from nurture.errors import UsageError
from nurture.importing.wishes import export_suppressions, import_suppressions
from nurture.people import suppress_address

app = typer.Typer(help="Suppressions: addresses that must not be written to.", no_args_is_help=True)

ScopeOption = Annotated[Scope, typer.Option(help="What must not be sent.")]


@app.command()
def add(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The address; it need not be a contact's.")],
    scope: ScopeOption = Scope.ALL,
    reason: Annotated[str, typer.Option(help="Why.")] = "asked_not_to",
    as_json: JsonOption = False,
) -> None:
    """Suppress an address: running sequences end and unsent mail is cancelled at once.

    Example: `nurture suppressions add ann@example.com --scope marketing --reason "asked by phone"`
    """
    with opened(ctx) as context, context.database.write() as connection:
        program, now = live.current_if_any(connection), now_of(context)
        added = suppress_address(connection, program, context.ring, email, scope, reason, "cli", now)
    if as_json:
        print_json({"email": email, "scope": scope.value, "reason": reason, "added": added})
    else:
        say(f"{'Suppressed' if added else 'Was suppressed already'}: {email} ({scope.value}).")


@app.command("list")
def list_(
    ctx: typer.Context,
    scope: Annotated[Scope | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest suppressions.

    Example: `nurture suppressions list --scope marketing --limit 10`
    """
    with opened(ctx) as context, context.database.read() as connection:
        rows = suppressions.listing(connection, scope, limit)
        counts = suppressions.counts(connection)
    names = ("address", "scope", "reason", "source", "actor", "created_at")
    if as_json:
        print_json({"counts": counts, "suppressions": [{name: getattr(row, name) for name in names} for row in rows]})
        return
    table = [[row.address or row.address_hash, row.scope, row.reason, row.source, row.created_at] for row in rows]
    print_table(None, ("address", "scope", "reason", "source", "since"), table)
    say(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "nobody is suppressed")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file: email, and if it has them scope and reason.")],
    scope: ScopeOption = Scope.ALL,
    reason: Annotated[str, typer.Option(help="Why, where the file does not say.")] = "imported",
    rejected: Annotated[Path | None, typer.Option(help="Where rejected rows go. By default beside the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Suppress every address of a CSV file.

    Example: `nurture suppressions import unsubscribed.csv --scope marketing --reason "from the old system"`
    """
    with opened(ctx) as context:
        with context.database.read() as connection:
            program = live.current_if_any(connection)
        with progress(f"importing {file.name}") as heard:
            report = import_suppressions(
                context.database,
                program,
                context.ring,
                file,
                now_of(context),
                scope=scope,
                reason=reason,
                rejected=rejected,
                progress=heard,
            )
    print_report(report, as_json)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Where to; by default standard output.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write every suppression as CSV: email, address_hash, scope, reason, source, actor, created_at.

    Example: `nurture suppressions export suppressed.csv`
    """
    if as_json and file is None:
        raise UsageError("--json tells how many were written: name a FILE for the CSV")
    with opened(ctx) as context:
        if file is None:
            export_suppressions(context.database, sys.stdout)
            return
        with file.open("w", encoding="utf-8", newline="") as out:
            count = export_suppressions(context.database, out)
    if as_json:
        print_json({"file": file, "suppressions": count})
    else:
        note(f"{count:,} suppressions written to {file}")
