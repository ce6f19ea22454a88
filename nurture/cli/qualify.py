"""`nurture qualify`: what is known of a contact's budget, need and the like, and saying it."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture import live, qualifying
from nurture.cli.approvals import RepOption
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, print_table, say, shown
from nurture.core.qualification import SlotLine
from nurture.errors import UsageError
from nurture.intake import Recorded
from nurture.looking.qualification import Qualification
from nurture.looking.qualification import qualification as look
from nurture.people import find_contact, find_rep

app = typer.Typer(help="Qualification: what is known of a contact's budget, need and the like.", no_args_is_help=True)

SLOT_COLUMNS = ("slot", "value", "", "sure", "evidence", "said", "until")

_Email = Annotated[str, typer.Argument(help="An address of the contact.")]


@app.command()
def show(ctx: typer.Context, email: _Email, as_json: JsonOption = False) -> None:
    """Print every slot of a contact: its value, what it rests on, how sure it is, and until when it counts.

    Example: `nurture qualify show ann@example.com`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            found = look(connection, live.current(connection), find_contact(connection, email), now)
    if as_json:
        slots = [slot_value(line) for line in found.slots]
        print_json({"email": found.email, "filled": found.filled, "of": len(found.slots), "slots": slots})
    else:
        _print(found)


@app.command("set")
def set_(
    ctx: typer.Context,
    email: _Email,
    values: Annotated[list[str], typer.Argument(help="`slot=value`, any number of them.", metavar="SLOT=VALUE…")],
    evidence: Annotated[str | None, typer.Option(help="What it rests on: a note, a quote, a link.")] = None,
    confidence: Annotated[float, typer.Option(help="How sure it is, from 0 to 1.")] = 1.0,
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is known of a contact: scores, moves and sequences follow at once.

    Example: `nurture qualify set ann@example.com budget=approved --evidence "said so on the phone" --confidence 0.9`
    """
    _record(ctx, email, pairs(values), evidence, confidence, rep, as_json)


@app.command()
def clear(
    ctx: typer.Context,
    email: _Email,
    slots: Annotated[list[str], typer.Argument(help="The slots, by name.", metavar="SLOT…")],
    evidence: Annotated[str | None, typer.Option(help="Why it is not known after all.")] = None,
    rep: RepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back what was said about slots: they are unknown from now on. The history keeps it.

    Example: `nurture qualify clear ann@example.com budget`
    """
    _record(ctx, email, dict.fromkeys(slots), evidence, 1.0, rep, as_json)


def pairs(texts: list[str]) -> dict[str, str | None]:
    """Return `slot=value` texts as a mapping; raise UsageError for one that is none."""
    found: dict[str, str | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{text!r}: write slot=value, for example budget=approved")
        found[name.strip()] = value.strip()
    return found


def _record(
    ctx: typer.Context,
    email: str,
    values: dict[str, str | None],
    evidence: str | None,
    confidence: float,
    rep: str | None,
    as_json: bool,
) -> None:
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            program, contact = live.current(connection), find_contact(connection, email)
            by = find_rep(connection, rep).email if rep else "cli"
            recorded = qualifying.state(connection, program, contact, values, evidence, confidence, by, now)
            found = look(connection, program, contact, now)
    if as_json:
        moved = [{"from": before, "to": after} for before, after in recorded.moved]
        slots = [slot_value(line) for line in found.slots if line.slot.name in values]
        print_json({"email": email, "filled": found.filled, "of": len(found.slots), "slots": slots, "moved": moved})
        return
    say(_told(email, found, recorded))


def _told(email: str, found: Qualification, recorded: Recorded) -> str:
    moves = "".join(f"; moved from {before} to {after}" for before, after in recorded.moved)
    return f"{email}: {found.filled} of {len(found.slots)} slots are filled{moves}."


def _print(found: Qualification) -> None:
    if not found.slots:
        say("The lifecycle has no slots: declare them under `qualification:`.")
        return
    say(f"{shown(found.name)} <{shown(found.email)}>: {found.filled} of {len(found.slots)} slots are filled")
    rows = [slot_row(line) for line in found.slots]
    print_table(None, SLOT_COLUMNS, rows)


def slot_row(line: SlotLine) -> list[object]:
    """Return a slot as a row of a table under `SLOT_COLUMNS`."""
    said = line.said
    if said is None:
        return [line.slot.label, None, "unknown", None, None, None, None]
    sure = f"{said.confidence:.0%}"
    return [line.slot.label, said.value, _standing(line), sure, said.evidence, said.at, said.until]


def _standing(line: SlotLine) -> str:
    if not line.fresh:
        return "stale"
    return "filled" if line.counts else "speaks against"


def slot_value(line: SlotLine) -> dict[str, object]:
    """Return a slot as JSON."""
    said = line.said
    told: dict[str, object] = {"slot": line.slot.name, "label": line.slot.label, "counts": line.counts}
    if said is None:
        return {**told, "value": None, "fresh": False}
    return {
        **told,
        "value": said.value,
        "fresh": line.fresh,
        "confidence": said.confidence,
        "evidence": said.evidence,
        "at": said.at,
        "until": said.until,
    }
