"""`nurture messages`: what was written, what became of it, and settling what nobody knows about."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from nurture.cli.asking import YesOption, confirm
from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, note, print_facts, print_json, print_table, say, shown
from nurture.composing import Links
from nurture.core.words import MessageState
from nurture.errors import UsageError
from nurture.looking import messages
from nurture.looking.messages import Shown, Written
from nurture.people import find_contact
from nurture.settling import Verdict, resend
from nurture.settling import settle as settle_page
from nurture.wiring import close_postroom, open_postroom

app = typer.Typer(help="Messages: what was written and what became of it.", no_args_is_help=True)

_FACTS = (
    "id", "state", "reason", "voice", "from_address", "to_address", "sequence", "step_id", "template", "subject",
    "due_at", "not_after", "sent_at", "attempts", "provider", "provider_id", "message_id_header", "in_reply_to",
    "void_reason", "rep", "wire_hash",
)  # fmt: skip


@app.command("list")
def list_(
    ctx: typer.Context,
    state: Annotated[MessageState | None, typer.Option(help="Only these.")] = None,
    contact: Annotated[str | None, typer.Option(metavar="EMAIL", help="Only to this contact.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the last due first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List messages, the last due first. Ambiguous ones with their Message-ID, to be found in the provider's log.

    Example: `nurture messages list --state ambiguous`
    """
    with opened(ctx) as context, context.database.read() as connection:
        who = find_contact(connection, contact) if contact else None
        rows = messages.listing(connection, state=state, contact_id=who, limit=limit)
    names = ("id", "due_at", "state", "voice", "to_address", "sequence", "step_id", "subject", "sent_at", "reason")
    if as_json:
        print_json([{name: getattr(row, name) for name in names} | {"message_id": _message_id(row)} for row in rows])
        return
    columns = ["id", "due", "state", "voice", "to", "sequence", "step", "subject", "sent", "reason"]
    lines = [[getattr(row, name) for name in names] for row in rows]
    if state is MessageState.AMBIGUOUS:
        columns.append("Message-ID")
        lines = [[*line, _message_id(row)] for line, row in zip(lines, rows, strict=True)]
    print_table(None, columns, lines, whole=("Message-ID",))


@app.command()
def show(
    ctx: typer.Context,
    message: Annotated[int, typer.Argument(metavar="ID", help="The message, as the list numbers it.")],
    eml: Annotated[bool, typer.Option("--eml", help="Write the mail itself, and compare it with what left.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a message and every decision about it; with --eml the mail, written once more and compared with what left.

    Example: `nurture messages show 12 --eml > 12.eml`
    """
    with opened(ctx) as context:
        with context.database.read() as connection:
            found = messages.show(connection, message)
        written = _written(context, message) if eml else None
    if as_json:
        print_json(_value(found, written))
    elif written is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(written.raw)
        note(written.note)
    else:
        _print(found)
    if written is not None and written.same is False:
        raise typer.Exit(1)


@app.command()
def settle(
    ctx: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID…]", help="Ambiguous messages.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All ambiguous messages.")] = False,
    sender: Annotated[str | None, typer.Option(metavar="NAME", help="With --all: only what this sender sent.")] = None,
    sent: Annotated[bool, typer.Option("--sent", help="They went out: their runs go on.")] = False,
    not_sent: Annotated[bool, typer.Option("--not-sent", help="They did not: they are sent again.")] = False,
    anew: Annotated[
        bool, typer.Option("--resend", help="Send them once more, even if they went out; their runs go on.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say of ambiguous messages whether they went out. Look first, in the mailbox or at the provider.

    Example: `nurture messages settle 12 13 --sent`, `nurture messages settle --all --sender newsletter --not-sent`
    """
    if sent + not_sent + anew != 1:
        raise UsageError("say what is so: --sent, --not-sent or --resend")
    if bool(ids) is everything or (sender and not everything):
        raise UsageError("say which: the numbers of messages, or --all (with --sender NAME: of one sender)")
    verdict = Verdict.SENT if sent else Verdict.NOT_SENT if not_sent else None
    with opened(ctx) as context:
        with context.database.read() as connection:
            keys = _meant(connection, ids, sender)
        confirm(_question(keys, verdict), yes or not keys, "nothing was settled")
        now = now_of(context)
        settled, new = _settle(context, keys, verdict, now)
    if as_json:
        print_json({"settled": settled, "as": verdict.value if verdict else "resent", "new": new})
    else:
        more = f", sent anew as {', '.join(map(str, new))}" if new else ""
        say(f"Settled {_number(settled)} as {(verdict or Verdict.SENT).replace('_', ' ')}{more}.")


def _meant(connection: Connection, ids: list[int] | None, sender: str | None) -> list[int]:
    for key in ids or ():
        messages.require_ambiguous(connection, key)
    return list(dict.fromkeys(ids)) if ids else messages.ambiguous(connection, sender)


def _question(keys: list[int], verdict: Verdict | None) -> str:
    if verdict is None:
        return f"Send {_number(keys)} once more? Whoever has it already gets it twice."
    again = "" if verdict is Verdict.SENT else " They are sent again."
    return f"Settle {_number(keys)} as {verdict.replace('_', ' ')}?{again}"


def _settle(context: Context, keys: list[int], verdict: Verdict | None, now: datetime) -> tuple[list[int], list[int]]:
    """Settle in pages, each one transaction; return what was settled, and what is sent anew."""
    settled: list[int] = []
    new: list[int] = []
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        with context.database.write() as connection:
            if verdict is None:
                new += [resend(connection, key, "a person", now) for key in page]
                settled += page
            else:
                settled += settle_page(connection, page, verdict, "a person", now)
    return settled, new


_PAGE = 200


def _message_id(row: Any) -> str:
    """Return the Message-ID that the mail carries: the provider's, where it changed ours."""
    return str(row.wire_id or row.message_id_header)


def _number(keys: list[int]) -> str:
    return f"message {keys[0]}" if len(keys) == 1 else f"{len(keys):,} messages"


def _written(context: Context, message: int) -> Written:
    postroom = open_postroom(context.settings, context.database, owner="look")
    try:
        links: Links = postroom.links
        now = now_of(context)
        with context.database.read() as connection:
            return messages.write_again(connection, message, links, postroom.redirect_all_to, now)
    finally:
        close_postroom(postroom)


def _print(found: Shown) -> None:
    row = found.row
    print_facts(None, {name.replace("_", " "): getattr(row, name) for name in _FACTS})
    if found.decisions:
        print_table(
            "Decisions",
            ("last at", "times", "outcome", "reason", "until", "rule"),
            [[d.last_at, d.times, d.outcome, d.reason, d.until, d.rule] for d in found.decisions],
        )
    if row.text_body:
        say()
        say(shown(row.text_body))


def _value(found: Shown, written: Written | None) -> dict[str, object]:
    row: Any = found.row
    value: dict[str, object] = {name: getattr(row, name) for name in (*_FACTS, "text_body", "html_body", "variables")}
    names = ("first_at", "last_at", "times", "outcome", "reason", "until", "rule", "checks", "program_hash")
    value["decisions"] = [{name: getattr(answer, name) for name in names} for answer in found.decisions]
    if written is not None:
        value |= {"eml": written.raw.decode("utf-8", "replace"), "same": written.same, "note": written.note}
    return value
