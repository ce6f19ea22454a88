"""`nurture handoffs`: what marketing gives to sales, and what sales answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from nurture import handoff, live
from nurture.cli.approvals import RepOption
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_facts, print_json, print_table, say
from nurture.cli.running import moment
from nurture.core.conditions import end_of
from nurture.core.model import Situation
from nurture.core.spans import parse_span
from nurture.core.words import HandoffState
from nurture.db import contacts, handoffs
from nurture.errors import NotFound, UsageError
from nurture.people import find_rep

app = typer.Typer(help="Handoffs: from marketing to sales, with everything that sales needs.", no_args_is_help=True)

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The handoff, as `nurture handoffs list` numbers it.")]
TakeOption = Annotated[bool, typer.Option("--take", help="Even if another rep has it.")]

_COLUMNS = ("id", "state", "email", "name", "company", "rep", "reason", "opened_at", "due_at", "outcome")


@app.command("list")
def list_(
    ctx: typer.Context,
    rep: RepOption = None,
    state: Annotated[HandoffState | None, typer.Option(help="Only those in this state. By default open.")] = None,
    every: Annotated[bool, typer.Option("--all", help="In every state.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the handoffs that wait, the most urgent first: of one rep (and of nobody), or without --rep of all.

    Example: `nurture handoffs list --rep ada@example.com`
    """
    wanted = None if every else state or HandoffState.OPEN
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            mine = find_rep(connection, rep).id if rep else None
            rows = [_line(row) for row in handoffs.listed(connection, rep_id=mine, state=wanted)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("No handoff." if every else f"No {wanted} handoff.")
        return
    cells = [[*(row[name] for name in _COLUMNS[:6]), row["reason"], _due(row, now), row["outcome"]] for row in rows]
    columns = ("id", "state", "contact", "name", "company", "rep", "why", "to be answered (UTC)", "outcome")
    print_table(None, columns, cells)
    if any(row["state"] == HandoffState.OPEN and row["rep"] is None for row in rows):
        say("Those without a rep wait in the queue: `nurture handoffs show ID` says why. No reps? nurture reps import")


@app.command()
def show(ctx: typer.Context, key: IdArgument, as_json: JsonOption = False) -> None:
    """Show a handoff: why, how well they fit, what they did last, what is open, who had it and what does not fit.

    Example: `nurture handoffs show 12`
    """
    with opened(ctx) as context, context.database.read() as connection:
        row = handoffs.shown(connection, key)
        if row is None:
            raise NotFound(f"there is no handoff {key}: nurture handoffs list")
        history = [_had(each) for each in handoffs.assignments(connection, [key]).get(key, ())]
    if as_json:
        print_json({**_line(row), **_closing(row), "packet": row.packet, "history": history})
        return
    _print(_line(row), _closing(row), row.packet, history)


@app.command()
def accept(
    ctx: typer.Context, key: IdArgument, rep: RepOption = None, take: TakeOption = False, as_json: JsonOption = False
) -> None:
    """Accept a handoff: the contact is the rep's from now on, and what marketing still runs for them ends.

    Example: `nurture handoffs accept 12`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            who = find_rep(connection, rep)
            handoff.accept(connection, live.current(connection), key, who, now, take=take)
    if as_json:
        print_json({"id": key, "state": "accepted", "rep": who.email})
    else:
        say(f"Handoff {key} is accepted: the contact is {who.name}'s.")


@app.command()
def reject(
    ctx: typer.Context,
    key: IdArgument,
    reason: Annotated[str, typer.Option(help="One of the lifecycle's: not_now, bad_fit, wrong_person …")],
    note: Annotated[str | None, typer.Option(help="More about it, in your words.")] = None,
    rep: RepOption = None,
    take: TakeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Reject a handoff: the contact goes back to marketing and is not handed over again within the reason's cool-off.

    Example: `nurture handoffs reject 12 --reason not_now --note "budget is frozen until autumn"`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            who = find_rep(connection, rep)
            program = live.current(connection)
            stage, until = handoff.reject(connection, program, key, who, reason, note, now, take=take)
    if as_json:
        print_json({"id": key, "state": "rejected", "reason": reason, "stage": stage, "until": until})
    else:
        when = f"for good: {reason}" if until is None else f"until {until:%Y-%m-%d}: {reason}"
        say(f"Handoff {key} is rejected. The contact is in stage {stage}, and not handed over again {when}.")


@app.command("return")
def return_(
    ctx: typer.Context,
    key: IdArgument,
    until: Annotated[str, typer.Option(help="A moment (2026-06-01), or a while: '60 days'.")],
    reason: Annotated[str | None, typer.Option(help="Why, in your words.")] = None,
    rep: RepOption = None,
    take: TakeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Return a contact to marketing until a moment; then they come back to you.

    Example: `nurture handoffs return 12 --until "60 days" --reason "after their fair"`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.write() as connection:
            who = find_rep(connection, rep)
            row = handoffs.shown(connection, key)
            if row is None:
                raise NotFound(f"there is no handoff {key}: nurture handoffs list")
            person = next(iter(contacts.read(connection, [row.contact_id]).values()), None)
            back = _until(until, Situation(person) if person else None, now)
            stage = handoff.give_back(connection, live.current(connection), key, who, back, reason, now, take=take)
    if as_json:
        print_json({"id": key, "state": "returned", "stage": stage, "until": back})
    else:
        say(f"Handoff {key} is returned: the contact is in stage {stage} until {back:%Y-%m-%d %H:%M} UTC.")


def _until(text: str, situation: Situation | None, now: datetime) -> datetime:
    try:
        span = parse_span(text)
    except ValueError:
        return moment("--until", text)
    if situation is None:
        raise UsageError("the contact is gone")
    return end_of(span, now, situation)


def _line(row: Any) -> dict[str, Any]:
    name = " ".join(part for part in (row.first_name, row.last_name) if part) or None
    return {"name": name, **{column: getattr(row, column) for column in _COLUMNS if column != "name"}}


def _closing(row: Any) -> dict[str, Any]:
    names = ("stage", "assigned_at", "warned_at", "escalated_at", "closed_at", "closed_by", "note", "returns_at")
    return {name: getattr(row, name) for name in names}


def _had(row: Any) -> dict[str, Any]:
    names = ("at", "email", "reason", "rule", "due_at", "ended_at", "ended_why", "worked_minutes")
    return {name.replace("email", "rep"): getattr(row, name) for name in names}


def _due(row: Mapping[str, Any], now: datetime) -> str | None:
    if row["due_at"] is None or row["state"] != HandoffState.OPEN:
        return None
    return f"{row['due_at']:%Y-%m-%d %H:%M}" + (" (late)" if row["due_at"] < now else "")


def _print(
    line: Mapping[str, Any], closing: Mapping[str, Any], packet: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
) -> None:
    score = f"fit {packet.get('fit')} ({packet.get('fit_points')}), engagement {packet.get('engagement')}"
    facts = {
        "contact": f"{line['name'] or ''} <{line['email']}>".strip(),
        "company": line["company"],
        "state": line["state"],
        "rep": line["rep"] or "nobody: it waits in the queue",
        "because": packet.get("assigned_because"),
        "to be answered": line["due_at"] if line["state"] == HandoffState.OPEN else None,
        "why": f"{packet.get('why')} ({packet.get('rule')})",
        "score": score + (f", {packet['level']}" if packet.get("level") else ""),
        "next step": packet.get("next_step"),
        "still to find out": ", ".join(packet.get("open_slots", ())) or None,
        **{name.replace("_", " "): value for name, value in closing.items() if name not in ("assigned_at", "stage")},
        "outcome": line["outcome"],
    }
    print_facts(f"Handoff {line['id']}", facts)
    for conflict in packet.get("conflicts", ()):
        say(f"conflict: {conflict}")
    for skipped in packet.get("skipped", ()):
        say(f"passed over: {skipped}")
    if packet.get("scored_by"):
        print_table(
            "Scored by", ("", "what", "points"), [[s["kind"], s["name"], s["points"]] for s in packet["scored_by"]]
        )
    if packet.get("slots"):
        print_table("Qualification", ("slot", "value"), [[s["slot"], s["value"]] for s in packet["slots"]])
    if packet.get("touches"):
        rows = [[touch["at"][:16].replace("T", " "), touch["what"], touch["source"]] for touch in packet["touches"]]
        print_table("Last touches", ("at (UTC)", "what", "source"), rows)
    if len(history) > 1:
        names = ("at", "rep", "reason", "ended_at", "ended_why")
        print_table("Who had it", [n.replace("_", " ") for n in names], [[h[n] for n in names] for h in history])
