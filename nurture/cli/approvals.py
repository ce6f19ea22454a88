"""`nurture approvals`: what waits for a rep, and what the rep says to it. Every word is bound to what was read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import click
import typer
from sqlalchemy import Connection

from nurture import approving, drafts
from nurture.approving import SHORT
from nurture.cli.context import Context, now_of, opened
from nurture.cli.draft_page import as_json_value, print_draft
from nurture.cli.output import JsonOption, note, print_json, print_table, say
from nurture.cli.running import moment
from nurture.core.model import Rep
from nurture.core.spans import Span, parse_span
from nurture.db import listings
from nurture.errors import NurtureError, UsageError
from nurture.people import find_rep

app = typer.Typer(help="Approvals: personal mail waits for its rep.", no_args_is_help=True)

RepOption = Annotated[
    str | None,
    typer.Option("--rep", metavar="EMAIL", envvar="NURTURE_REP", help="As which rep; the only one, if there is one."),
]
IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The draft, as `nurture approvals list` numbers it.")]
IdsArgument = Annotated[list[int], typer.Argument(metavar="ID…", help="Drafts, as `nurture approvals list` has them.")]


@app.command("list")
def list_(ctx: typer.Context, rep: RepOption = None, as_json: JsonOption = False) -> None:
    """List the drafts that wait, by due time: of one rep, or without --rep of all.

    Example: `nurture approvals list --rep ada@example.com`
    """
    with opened(ctx) as context, context.database.read() as connection:
        mine = find_rep(connection, rep) if rep else None
        rows, unwritten = approving.waiting(connection, mine), listings.unwritten(connection)
    if as_json:
        print_json([_line(row) for row in rows])
        return
    columns = ("id", "due", "contact", "company", "sequence", "step", "subject", "rep", "sent back because")
    if rows:
        print_table(None, columns, [[_line(row)[name.replace(" ", "_")] for name in columns] for row in rows])
    say("1 draft waits." if len(rows) == 1 else f"{len(rows):,} drafts wait." if rows else "No draft waits.")
    if unwritten:
        note(f"{unwritten:,} more cannot be written yet: nurture messages list --state planned")


@app.command()
def show(ctx: typer.Context, draft: IdArgument, as_json: JsonOption = False) -> None:
    """Show a draft beside its contact: facts, score, thread and what happened last; with the hash to approve it by.

    Example: `nurture approvals show 12`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            found = approving.read(connection, draft, now)
    if as_json:
        print_json(as_json_value(found))
    else:
        print_draft(found)


@app.command()
def approve(
    ctx: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="Drafts, as the list numbers them.")] = None,
    rep: RepOption = None,
    every: Annotated[bool, typer.Option("--all", help="All of the rep's unedited drafts of one template.")] = False,
    template: Annotated[str | None, typer.Option(help="With --all: of this template.")] = None,
    content_hash: Annotated[
        str | None, typer.Option("--hash", help="Only if the draft is still the one with this hash (see `show`).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Approve drafts: each goes out when it is due, exactly as it is now. What changes meanwhile voids the approval.

    Example: `nurture approvals approve 12 --hash 3f9a0c21b7de`
    """
    _check_choice(ids, every, template, content_hash)
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            who = find_rep(connection, rep)
            chosen = approving.in_bulk(connection, who, template) if every else ids or []
            seen = approving.seen(connection, dict.fromkeys(chosen), content_hash)

        def act(connection: Connection, draft: int) -> dict[str, object]:
            due_at = drafts.approve(connection, draft, who, seen[draft], who.email, now)
            return {"due_at": due_at, "hash": seen[draft][:SHORT]}

        _each(context, list(seen), act, lambda done: f"approved, goes out {done['due_at']:%Y-%m-%d %H:%M} UTC", as_json)


@app.command()
def edit(
    ctx: typer.Context,
    draft: IdArgument,
    subject: Annotated[str | None, typer.Option(help="Another subject.")] = None,
    text: Annotated[str | None, typer.Option(help="Another text; `\\n` begins a line.")] = None,
    text_file: Annotated[Path | None, typer.Option(help="A file with another text.")] = None,
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a draft; without options in $EDITOR. An approval that it had is void.

    Example: `nurture approvals edit 12 --subject "Your question about pricing"`
    """
    if text is not None and text_file is not None:
        raise UsageError("--text and --text-file are the same thing: give one")
    body = _file(text_file) if text_file else text.replace("\\n", "\n") if text is not None else None
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            who, found = find_rep(connection, rep), approving.read(connection, draft, now)
        if subject is None and body is None:
            subject, body = _in_editor(found)
        with context.database.write() as connection:
            new = approving.edit(connection, draft, who, found.row.content_hash, subject, body, now)
    if as_json:
        print_json({"id": draft, "hash": new[:SHORT]})
    else:
        say(f"{draft} changed; it waits for approval. Hash {new[:SHORT]}.")


@app.command()
def reject(
    ctx: typer.Context,
    ids: IdsArgument,
    reason: Annotated[str, typer.Option(help="Why. It is kept, and marketing learns from it.")],
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject drafts for good. Their runs end or go on, as their steps say (`on_rejected`).

    Example: `nurture approvals reject 12 --reason "is a competitor"`
    """
    _decide(ctx, ids, rep, lambda c, draft, who, now: drafts.reject(c, draft, who, reason, now), "rejected", as_json)


@app.command()
def skip(ctx: typer.Context, ids: IdsArgument, rep: RepOption = None, as_json: JsonOption = False) -> None:
    """Skip this mail: it is not sent, and the sequence goes on with its next step.

    Example: `nurture approvals skip 12 13`
    """
    _decide(ctx, ids, rep, drafts.skip, "skipped", as_json)


@app.command()
def snooze(
    ctx: typer.Context,
    ids: IdsArgument,
    until: Annotated[str, typer.Option(help="A moment (2026-03-02T09:00), or a while: '2 business days'.")],
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let drafts wait; the contact hears nothing of this sequence until then.

    Example: `nurture approvals snooze 12 --until "2 business days"`
    """
    later = _later(until)
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            who = find_rep(connection, rep)

        def act(connection: Connection, draft: int) -> dict[str, object]:
            return {"due_at": approving.snooze(connection, draft, who, later, now)}

        _each(context, ids, act, lambda done: f"snoozed until {done['due_at']:%Y-%m-%d %H:%M} UTC", as_json)


def _decide(
    ctx: typer.Context,
    ids: Sequence[int],
    rep: str | None,
    how: Callable[[Connection, int, Rep, datetime], None],
    word: str,
    as_json: bool,
) -> None:
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            who = find_rep(connection, rep)

        def act(connection: Connection, draft: int) -> dict[str, object]:
            how(connection, draft, who, now)
            return {}

        _each(context, ids, act, lambda _: word, as_json)


def _each(
    context: Context,
    ids: Sequence[int],
    act: Callable[[Connection, int], dict[str, object]],
    tell: Callable[[dict[str, Any]], str],
    as_json: bool,
) -> None:
    """Act on each draft in a transaction of its own; one that is refused is told and does not stop the others."""
    told: list[dict[str, object]] = []
    for draft in dict.fromkeys(ids):
        try:
            with context.database.write() as connection:
                done = act(connection, draft)
        except NurtureError as error:
            told.append({"id": draft, "done": False, "error": str(error)})
            if not as_json:
                note(f"error: {error}")
        else:
            told.append({"id": draft, "done": True, **done})
            if not as_json:
                say(f"{draft} {tell(done)}")
    if as_json:
        print_json(told)
    if not all(each["done"] for each in told):
        raise typer.Exit(1)


def _check_choice(ids: Sequence[int] | None, every: bool, template: str | None, content_hash: str | None) -> None:
    if bool(ids) == every:
        raise UsageError("say which drafts: their IDs, or --all")
    if content_hash is not None and (every or len(ids or ()) != 1):
        raise UsageError("--hash is of one draft: give one ID")
    if content_hash is not None and len(content_hash) < SHORT:
        raise UsageError(f"--hash has at least {SHORT} characters: `nurture approvals show` prints it")
    if template is not None and not every:
        raise UsageError("--template goes with --all")


def _line(row: Any) -> dict[str, object]:
    name = " ".join(part for part in (row.first_name, row.last_name) if part)
    return {
        "id": row.id,
        "due": row.due_at,
        "contact": f"{name} <{row.to_address}>" if name else row.to_address,
        "email": row.to_address,
        "company": row.company,
        "sequence": row.sequence,
        "step": row.step_id,
        "subject": row.subject,
        "rep": row.rep,
        "sent_back_because": row.void_reason,
        "edited": row.edited,
        "template": row.template,
        "hash": (row.content_hash or "")[:SHORT],
    }


def _file(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _in_editor(found: approving.Draft) -> tuple[str, str]:
    if not (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        raise UsageError("set $EDITOR, or say --subject, --text or --text-file")
    written = click.edit(f"Subject: {found.row.subject or ''}\n\n{found.row.text_body or ''}", extension=".txt")
    if written is None:
        raise UsageError("nothing was changed")
    return approving.parted(written)


def _later(text: str) -> datetime | Span:
    try:
        return parse_span(text)
    except ValueError:
        return moment("--until", text)
