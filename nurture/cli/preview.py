"""`nurture preview`: the exact mail before anything is sent."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from nurture import live
from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, note, print_json, say, shown
from nurture.core.program import Program
from nurture.db import programs
from nurture.errors import ProviderError, UsageError
from nurture.looking.preview import Asked, Preview, as_test, send_test
from nurture.looking.preview import preview as look
from nurture.mail.wire import header_pairs, mailbox
from nurture.people import find_contact
from nurture.postroom import Postroom
from nurture.program.artifact import Artifact
from nurture.program.load import load
from nurture.providers.base import Outcome, Receipt
from nurture.settings import FILE
from nurture.wiring import close_postroom, open_postroom


def preview(
    ctx: typer.Context,
    sequence: Annotated[str, typer.Argument(help="The sequence's name.")],
    step: Annotated[str, typer.Argument(help="The id of a step that sends a mail.")],
    contact: Annotated[str, typer.Option(metavar="EMAIL", help="To whom it would go.")],
    send_to: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Send it there as a marked test; the contact never knows.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the HTML part there.")] = None,
    applied: Annotated[bool, typer.Option("--live", help="What is applied, not what the folder says now.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the mail that a step would send to a contact now: headers and text. The files count as they are.

    Example: `nurture preview lead-welcome hello --contact ann@example.com --send-to me@example.com`
    """
    with opened(ctx) as context:
        postroom = open_postroom(context.settings, context.database, owner="look")
        try:
            now, key = now_of(context), str(uuid.uuid4())
            with context.database.read() as connection:
                program, artifacts = _program(context, connection, applied)
                asked = Asked(program, artifacts, sequence, step, find_contact(connection, contact), key)
                found = look(connection, asked, postroom.links, now)
                test = None
                if send_to:
                    domains, redirect = postroom.allow_domains, postroom.redirect_all_to
                    test = as_test(connection, asked, postroom.links, send_to, domains, redirect, now)
            receipt = _send(postroom, test) if test else None
        finally:
            close_postroom(postroom)
    if html is not None:
        _write(html, found)
    _tell(found, test, receipt, as_json)
    if receipt is not None and receipt.outcome is not Outcome.ACCEPTED:
        raise typer.Exit(1)


def _program(context: Context, connection: Connection, applied: bool) -> tuple[Program, dict[str, Artifact]]:
    """Return the program of the folder, or the one that is applied, with its templates."""
    folder = context.settings.folder
    if not applied and (folder / FILE).is_file():
        loaded = load(folder)
        if programs.live_hash(connection) != loaded.program.hash:
            note("this is the folder as it is now, which is not applied")
        return loaded.program, dict(loaded.artifacts)
    program = live.current(connection)
    return program, dict(live.artifacts(connection, set(program.templates.values())))


def _send(postroom: Postroom, test: Preview) -> Receipt:
    provider = postroom.providers.get(test.sender.provider)
    if provider is None:
        name = test.sender.provider
        raise ProviderError(f"no provider {name!r} is configured: add [providers.{name}] to nurture.toml")
    return send_test(provider, test.mail)


def _write(path: Path, found: Preview) -> None:
    try:
        path.write_text(found.mail.html or "", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None


def _tell(found: Preview, test: Preview | None, receipt: Receipt | None, as_json: bool) -> None:
    mail = found.mail
    if as_json:
        sent = receipt and {"to": test and test.mail.to_address, "outcome": receipt.outcome, "detail": receipt.detail}
        print_json(
            {
                "rule": found.rule,
                "headers": dict(_headers(found)),
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
                "test": sent,
            }
        )
        return
    for name, value in _headers(found):
        say(f"{name}: {shown(value)}")
    say()
    say(shown(mail.text))
    if test is not None and receipt is not None:
        detail = f": {shown(receipt.detail)}" if receipt.detail else ""
        note(f"test to {test.mail.to_address} through {test.sender.provider}: {receipt.outcome}{detail}")


def _headers(found: Preview) -> list[tuple[str, str]]:
    mail = found.mail
    reply = [("Reply-To", mail.reply_to)] if mail.reply_to else []
    return [
        ("From", mailbox(mail.from_name, mail.from_address)),
        ("To", mailbox(mail.to_name, mail.to_address)),
        *reply,
        ("Subject", mail.subject),
        *header_pairs(mail),
    ]
