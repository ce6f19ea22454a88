"""`nurture report handoffs`: what became of them, by rep, by reason and by scoring rule."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, print_table, say
from nurture.cli.reports import EVER
from nurture.cli.running import moment
from nurture.errors import UsageError
from nurture.reports.handoffs import Handoffs, Line
from nurture.reports.handoffs import handoffs as count

_COUNTS = ("opened", "accepted", "rejected", "returned", "open", "late", "passed_on")


def handoffs(
    ctx: typer.Context,
    since: Annotated[str | None, typer.Option(help="Those that were opened from here on. By default all.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: one line for each group.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what became of handoffs: how fast sales answered, what it rejected and why, which rules had scored those.

    Example: `nurture report handoffs --since 2026-03-01 --csv`
    """
    if as_csv and as_json:
        raise UsageError("--csv or --json: say one of them")
    start = moment("--since", since) if since else EVER
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            found = count(connection, start, now)
    if as_json:
        print_json(_value(found, since))
    elif as_csv:
        _write(found)
    else:
        _print(found)


def _value(found: Handoffs, since: str | None) -> dict[str, object]:
    return {
        "since": found.since if since else None,
        "total": _plain(found.total),
        "reasons": dict(found.reasons),
        "reps": [_plain(line) for line in found.reps],
        "fit_rules": [_plain(line) for line in found.rules],
        "engagement": [_plain(line) for line in found.categories],
    }


def _plain(line: Line) -> dict[str, object]:
    return {**asdict(line), "rejected_share": line.rejected_share}


def _write(found: Handoffs) -> None:
    out = csv.writer(sys.stdout)
    out.writerow(("group", "name", *_COUNTS, "working_minutes_to_accept", "rejected_share", "why_rejected"))
    for group, line in found.lines():
        counts = [getattr(line, name) for name in _COUNTS]
        out.writerow((group, _safe(line.name), *counts, line.minutes, line.rejected_share, _why(line.why_rejected)))


def _safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def _print(found: Handoffs) -> None:
    if not found.total.opened:
        say("No handoff was opened.")
        return
    names = [*(name.replace("_", " ") for name in _COUNTS), "hours to accept", "why rejected"]
    for title, lines in (
        ("Handoffs", (found.total,)),
        ("By rep", found.reps),
        ("By fit rule that had given points", found.rules),
        ("By category of engagement", found.categories),
    ):
        rows = [
            [line.name, *(getattr(line, n) for n in _COUNTS), _hours(line.minutes), _why(line.why_rejected)]
            for line in lines
        ]
        if rows:
            print_table(title, ("", *names), rows)


def _hours(minutes: int | None) -> str | None:
    return None if minutes is None else f"{minutes / 60:.1f}"


def _why(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
