"""`nurture doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import typer

from nurture.cli.context import settings_of
from nurture.cli.output import JsonOption, print_json, print_table, say
from nurture.cli.run import DatabaseOption
from nurture.db.session import Database
from nurture.doctor import State, examine


def doctor(ctx: typer.Context, database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Check database, keys, clock, what is late, what is stuck and why. The exit code is 1 when something is wrong.

    Example: `nurture doctor`
    """
    settings = settings_of(ctx, database_url)
    database = Database(settings.database_url)
    try:
        found = examine(settings, database, lambda: datetime.now(UTC))
    finally:
        database.dispose()
    wrong = [finding for finding in found if finding.state is State.WRONG]
    if as_json:
        print_json({"healthy": not wrong, "findings": [asdict(finding) for finding in found]})
    else:
        print_table(None, ("", "check", "finding"), [(f.state.value, f.name, f.what) for f in found])
        for finding in found:
            if finding.todo:
                say(f"{finding.name}: {finding.todo}")
    if wrong:
        raise typer.Exit(1)
