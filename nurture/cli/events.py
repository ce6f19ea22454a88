"""`nurture events`: telling what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nurture import live
from nurture.cli.contacts import print_report
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, progress, say
from nurture.errors import UsageError
from nurture.importing.events import import_events, record_event

app = typer.Typer(help="Events: what happened, told to the engine.", no_args_is_help=True)


@app.command()
def record(
    ctx: typer.Context,
    email: Annotated[
        str, typer.Argument(help="The contact's address, or a company's domain.", metavar="ADDRESS|DOMAIN")
    ],
    kind: Annotated[str, typer.Argument(help="What happened: form_submitted, content_downloaded, replied …")],
    at: Annotated[str | None, typer.Option(help="When (ISO 8601). By default now.")] = None,
    data: Annotated[list[str] | None, typer.Option(help="`key=value`. May be repeated.")] = None,
    external_id: Annotated[
        str | None, typer.Option("--id", help="The event's own id; the same id is recorded once.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Record one event about a contact: scores, moves, enrollments and exits follow at once.

    With a company's domain it is about the company alone, such as an intent signal: where the lifecycle has an
    `account_cap`, that lifts the company's people.

    Example: `nurture events record ann@example.com form_submitted --data form=demo --at 2026-03-02T09:00:00Z`
    """
    pairs = dict(_pair(text) for text in data or ())
    with opened(ctx) as context, context.database.write() as connection:
        program = live.current(connection)
        event, recorded = record_event(connection, program, email, kind, at, pairs, external_id, now_of(context))
    if as_json:
        told = {"kind": event.kind, "at": event.at, "id": event.external_id, "data": dict(event.data)}
        moved = [{"from": before, "to": after} for before, after in recorded.moved]
        counts = {name: getattr(recorded, name) for name in ("enrolled", "ended", "cancelled", "voided")}
        print_json({"email": email, **told, "added": bool(recorded.added), "moved": moved, **counts})
        return
    if not recorded.added:
        say(f"Known already: {kind} of {email}.")
        return
    follows = [f"moved from {before} to {after}" for before, after in recorded.moved]
    for count, what in ((recorded.enrolled, "enrolled"), (recorded.ended, "ended"), (recorded.cancelled, "cancelled")):
        follows += [f"{what}: {count}"] if count else []
    say(f"Recorded: {email} {kind}" + (f"; {', '.join(follows)}." if follows else "."))


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A CSV file: email, contact_id or account_domain; kind, at, id (optional), data …")
    ],
    source: Annotated[str | None, typer.Option(help="Who tells. Ids are unique within it.")] = None,
    rejected: Annotated[Path | None, typer.Option(help="Where rejected rows go. By default beside the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import events from a CSV file. Columns beside email, contact_id, kind, at and id become the events' data.

    Example: `nurture events import webinar.csv --source webinar`
    """
    with opened(ctx) as context:
        with context.database.read() as connection:
            program = live.current(connection)
        with progress(f"importing {file.name}") as heard:
            report = import_events(
                context.database, program, file, now_of(context), source=source, rejected=rejected, progress=heard
            )
    print_report(report, as_json)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--data {text!r}: write key=value")
    return name.strip(), value.strip()
