"""`nurture plan`: what applying the folder would change, and whose level and stage, before it does."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from nurture import live
from nurture.backtests import Restanding, Restandings, restandings
from nurture.cli.checking import checked
from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, counting, note, print_json, print_table, say
from nurture.core.model import Standing
from nurture.core.program import Program
from nurture.errors import ProgramError
from nurture.live import Applied
from nurture.program.load import Loaded

SAMPLE = 50_000
"""How many contacts an apply looks at, where there are more: an even sample of them."""

SampleOption = Annotated[int, typer.Option(help="Look at an even sample of so many contacts, 0 for all.", min=0)]


def plan(ctx: typer.Context, sample: SampleOption = 0, as_json: JsonOption = False) -> None:
    """Say what `nurture apply` would change: files, and with another lifecycle, whose level and stage. Changes nothing.

    Example: `nurture plan`
    """
    loaded = checked(ctx, as_json)
    with opened(ctx) as context:
        with context.database.read() as connection:
            coming = live.plan(connection, loaded)
        found = back_test(context, loaded, sample)
    if as_json:
        changes = {name: getattr(coming, name) for name in ("added", "changed", "removed", "unchanged")}
        print_json({"program": coming.hash, **changes, "back_test": back_test_value(found) if found else None})
        return
    if coming.unchanged:
        say(f"Nothing would change: program {coming.hash[:12]} is live already.")
        return
    print_files(coming)
    if found:
        print_back_test(found)
    say("Nothing was changed. `nurture apply` does it.")


def print_files(applied: Applied) -> None:
    """Print which files are new, changed and gone."""
    for sign, paths in (("+", applied.added), ("~", applied.changed), ("-", applied.removed)):
        for path in paths:
            say(f"  {sign} {path}")


def back_test(context: Context, loaded: Loaded, sample: int = SAMPLE) -> Restandings | None:
    """Return what the folder's lifecycle would make of everybody, None where it is live already or nobody is there."""
    with context.database.read() as connection:
        program = _live(connection)
    if program is None or program.lifecycle.hash == loaded.program.lifecycle.hash:
        return None
    proposed = loaded.program.lifecycle
    with counting("back-testing") as heard:
        found = restandings(
            context.database, program.lifecycle, proposed, now_of(context), at_most=sample or None, heard=heard
        )
    return found if found.contacts else None


def _live(connection: Connection) -> Program | None:
    """Return what is live, None where nothing is, or where this version cannot read it: an apply mends that."""
    try:
        return live.current_if_any(connection)
    except ProgramError:
        return None


def print_back_test(found: Restandings) -> None:
    """Print who would stand elsewhere, and why."""
    of = f"{found.looked_at:,} people"
    if found.looked_at < found.contacts:
        of += f" (an even sample of {found.contacts:,})"
    levels = f"{found.changed:,} change level ({found.up:,} up, {found.down:,} down)"
    moves = f"{found.moves.total():,} would move at once"
    say(f"The lifecycle is another one. Of {of}, {levels}, {found.grades:,} change grade, {moves}.")
    for title, counts in (("Levels", found.levels.most_common()), ("Moves at once", found.moves.most_common())):
        if counts:
            print_table(title, ("", "people"), [[f"{a or 'none'} → {b or 'none'}", count] for (a, b), count in counts])
    if found.examples:
        columns = ("email", "level", "fit", "engagement", "would move to")
        print_table("Who and why", columns, [_example(one) for one in found.examples])
        if (more := len(found.examples)) < found.changed:
            note(
                f"the first {more}; `nurture lifecycle compare live FILE --csv OUT` lists everybody over their history"
            )


def back_test_value(found: Restandings) -> dict[str, object]:
    """Return a back-test as JSON."""
    counts = {name: getattr(found, name) for name in ("contacts", "looked_at", "changed", "up", "down", "grades")}
    return {
        **counts,
        "levels": [{"from": a, "to": b, "people": count} for (a, b), count in found.levels.most_common()],
        "moves": [{"from": a, "to": b, "people": count} for (a, b), count in found.moves.most_common()],
        "examples": [
            {
                "email": one.email,
                "stage": one.stage,
                "before": _standing(one.before),
                "after": _standing(one.after),
                "moves_to": one.moves_to,
            }
            for one in found.examples
        ],
    }


def _example(one: Restanding) -> list[object]:
    before, after = one.before, one.after
    return [
        one.email,
        _turned(before.level or "none", after.level or "none"),
        _turned(_fit(before), _fit(after)),
        _turned(f"{before.engagement / 100:.2f}", f"{after.engagement / 100:.2f}"),
        one.moves_to,
    ]


def _fit(standing: Standing) -> str:
    return f"{standing.grade} ({standing.fit_points / 100:g})"


def _turned(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _standing(standing: Standing) -> dict[str, object]:
    return {
        "level": standing.level,
        "grade": standing.grade,
        "fit_points": standing.fit_points / 100,
        "engagement": standing.engagement / 100,
    }
