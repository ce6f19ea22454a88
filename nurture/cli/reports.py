"""`nurture report`: what happened, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, print_table, say
from nurture.cli.running import moment
from nurture.reports.summary import Summary
from nurture.reports.summary import summary as count

app = typer.Typer(help="Reports: what happened, counted.", no_args_is_help=True)

EVER = datetime(1970, 1, 1, tzinfo=UTC)


@app.callback()
def _reports() -> None:
    """Keep `summary` a command of its own while it is the only one."""


@app.command()
def summary(
    ctx: typer.Context,
    since: Annotated[
        str | None, typer.Option(help="Count moves, mail sent and what came back from here on. By default ever.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who is where, who moved, what was written, what waits, who answered and who left.

    Example: `nurture report summary --since 2026-03-01`
    """
    start = moment("--since", since) if since else EVER
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            found = count(connection, start, now)
    if as_json:
        print_json(_value(found, since))
    else:
        _print(found, since)


def _print(found: Summary, since: str | None) -> None:
    after = f" since {since}" if since else ""
    stages = [[s.label, s.voice, s.contacts, s.moved_in, s.moved_out] for s in found.stages]
    print_table(f"{found.contacts:,} contacts", ("stage", "voice", "contacts", "came", "went"), stages)
    moves = [[before, to, number] for (before, to), number in found.moves.items()]
    _table(f"Moves{after}", ("from", "to", "contacts"), moves)
    written = [[voice, state, n] for voice, states in found.messages.items() for state, n in states.items()]
    _table("Messages", ("voice", "state", "messages"), written)
    sent = ", ".join(f"{number:,} {voice}" for voice, number in found.sent.items()) or "none"
    say(f"Sent{after}: {sent}. Ambiguous: {found.ambiguous:,}.")
    if found.ambiguous:
        say("  Settle what nobody knows about: nurture messages list --state ambiguous")
    drafts = [[line.rep, line.waiting, line.oldest_due] for line in found.drafts]
    _table("Drafts that wait", ("rep", "drafts", "first due"), drafts)
    tasks = [[line.rep or "nobody's", line.open, line.overdue] for line in found.tasks]
    _table("Open tasks", ("rep", "open", "overdue"), tasks)
    heard = [[line.kind.replace("_", " "), line.events, line.contacts] for line in found.heard if line.events]
    _table(f"What came back{after}", ("what", "times", "contacts"), heard)
    runs = [[name, state, number] for name, states in found.runs.items() for state, number in states.items()]
    _table("Sequences", ("sequence", "state", "runs"), runs)
    wishes = [[scope, reason, number] for (scope, reason), number in found.suppressions.items()]
    _table("Suppressed addresses", ("for", "reason", "addresses"), wishes)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        print_table(title, columns, rows)
    else:
        say(f"{title}: none.")


def _value(found: Summary, since: str | None) -> dict[str, object]:
    return {
        "since": found.since if since else None,
        "contacts": found.contacts,
        "stages": [asdict(stage) for stage in found.stages],
        "moves": [{"from": before, "to": after, "count": number} for (before, after), number in found.moves.items()],
        "sent": dict(found.sent),
        "messages": found.messages,
        "ambiguous": found.ambiguous,
        "drafts": [asdict(line) for line in found.drafts],
        "tasks": [asdict(line) for line in found.tasks],
        "heard": [asdict(line) for line in found.heard],
        "sequences": found.runs,
        "suppressions": [{"scope": s, "reason": r, "count": number} for (s, r), number in found.suppressions.items()],
    }
