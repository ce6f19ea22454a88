"""`nurture lifecycle`: the definitions that there are, how one looks, and what two of them make of the same history."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nurture import live
from nurture.backtests import Comparison, Parting, Side
from nurture.backtests import compare as run_comparison
from nurture.cli.context import find_folder, now_of, opened
from nurture.cli.output import JsonOption, counting, print_json, print_table, say, shown
from nurture.core.conditions import say as sentence
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.program import Program
from nurture.errors import UsageError
from nurture.importing.report import safe_cell
from nurture.program.conditions import read_condition
from nurture.program.definitions import find_lifecycle, shipped_lifecycles
from nurture.reports.outline import outline
from nurture.reports.picture import picture

app = typer.Typer(
    help="Lifecycles: who is a lead, who is a prospect, and how one becomes the other.", no_args_is_help=True
)

LIVE = "live"
_SHOWN = 10
_COLUMNS = ("email", "first", "second", "at", "by", "move", "reason", "rule")


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the definitions that nurture ships; `nurture init --definitions NAME` begins with one.

    Example: `nurture lifecycle list`
    """
    found = shipped_lifecycles()
    if as_json:
        print_json([_summary(each) for each in found])
        return
    rows = [(each.name, " → ".join(stage.name for stage in each.stages), _about(each)) for each in found]
    print_table(None, ("name", "stages", "what it says"), rows)


def _about(lifecycle: Lifecycle) -> str:
    return " ".join(lifecycle.description.split())


def _summary(lifecycle: Lifecycle) -> dict[str, object]:
    stages = [
        {"name": each.name, "label": each.label, "role": each.role, "voice": each.voice, "owner": each.owner}
        for each in lifecycle.stages
    ]
    return {"name": lifecycle.name, "file": lifecycle.file, "description": _about(lifecycle), "stages": stages}


@app.command()
def show(
    ctx: typer.Context,
    which: Annotated[
        str | None, typer.Argument(help="A name or a file; by default the folder's own.", metavar="[NAME|FILE]")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw it into a file.", metavar="OUT")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a lifecycle: its stages with role, voice and owner, and the moves between them; with --svg as a picture.

    Example: `nurture lifecycle show two-way --svg two-way.svg`
    """
    found = find_lifecycle(which, find_folder(ctx.find_root().obj, Path.cwd()))
    if svg is not None:
        try:
            svg.write_text(picture(found), "utf-8")
        except OSError as error:
            raise UsageError(f"{svg} cannot be written: {error.strerror or error}") from None
    if as_json:
        print_json(
            {**_summary(found), "start": found.start, "moves": [_move(each) for each in found.moves], "svg": svg}
        )
    elif svg is not None:
        say(f"{found.name} is drawn in {svg}.")
    else:
        for line in outline(found):
            say(line)


def _move(move: Move) -> dict[str, object]:
    return {
        "from": move.from_stage,
        "to": move.to_stage,
        "when": sentence(move.when) if move.when is not None else None,
        "reason": move.reason,
        "dwell": move.dwell and str(move.dwell),
        "cool_off": move.cool_off and str(move.cool_off),
        "cool_off_by": {reason: str(length) if length else "never" for reason, length in move.cool_off_by},
        "at_most": move.at_most,
        "line": move.line,
    }


@app.command()
def compare(
    ctx: typer.Context,
    first: Annotated[str, typer.Argument(help="A name, a file, or `live`.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Another one.", metavar="B")],
    outcome: Annotated[
        str | None, typer.Option(help="A condition that counts as success; by default a stage of role `customer`.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--csv", help="Write everybody who differs, and why, to a file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Live every contact's history through two lifecycles: who would be where, why, and what would have come of it.

    Nothing is changed. What happened to contacts and which sequences ran is taken as it was; what is known of them is
    taken as it is now.

    Example: `nurture lifecycle compare live two-way --outcome "did('meeting_held')" --csv differences.csv`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            program = live.current(connection)
        one, other = (_named(ctx, word, program) for word in (first, second))
        condition = read_condition(outcome, one, program, "--outcome") if outcome else None
        examples: list[Parting] = []
        roles = Roles(one, other)
        with _writing(out, roles) as write, counting("comparing") as heard:

            def each(parting: Parting) -> None:
                write(parting)
                if len(examples) < _SHOWN:
                    examples.append(parting)

            found = run_comparison(context.database, one, other, now, outcome=condition, each=each, heard=heard)
    if as_json:
        print_json(_value(found, examples, out, roles))
    else:
        _print(found, examples, out, roles)


def _named(ctx: typer.Context, word: str, program: Program) -> Lifecycle:
    if word == LIVE:
        return program.lifecycle
    return find_lifecycle(word, find_folder(ctx.find_root().obj, Path.cwd()), program.fields)


@dataclass(frozen=True, slots=True)
class Roles:
    """Both lifecycles, to say of a stage what it is for: the same name may mean two things."""

    first: Lifecycle
    second: Lifecycle

    def both(self, parting: Parting) -> tuple[str, str]:
        """Return where somebody is under the one and under the other."""
        return named(parting.first, self.first), named(parting.second, self.second)


def named(stage: str, lifecycle: Lifecycle) -> str:
    """Return a stage with its role."""
    return f"{stage} ({lifecycle.stage(stage).role})"


@contextmanager
def _writing(out: Path | None, roles: Roles) -> Iterator[Callable[[Parting], None]]:
    """Yield what writes one who differs to the file, if there is one."""
    if out is None:
        yield lambda parting: None
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            yield lambda parting: writer.writerow([safe_cell(cell) for cell in _row(parting, roles)])
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}") from None


def _row(parting: Parting, roles: Roles) -> tuple[object, ...]:
    fork = parting.fork
    if fork is None:
        return parting.email, *roles.both(parting), None, None, "they begin there", None, None
    made = fork.step.move
    by = "A" if fork.first else "B"
    return (
        parting.email,
        *roles.both(parting),
        shown(fork.at),
        by,
        f"{made.from_stage} → {made.to_stage}",
        made.reason,
        made.rule,
    )


def _print(found: Comparison, examples: list[Parting], out: Path | None, roles: Roles) -> None:
    one, other = found.first, found.second
    say(f"A is {one.name!r} ({one.file}), B is {other.name!r} ({other.file}); {found.contacts:,} contacts")
    say()
    under_a = sorted({stage for stage, _ in found.confusion}, key=roles.first.position)
    under_b = sorted({stage for _, stage in found.confusion}, key=roles.second.position)
    rows = [
        [f"A: {named(stage, roles.first)}", *(found.confusion.get((stage, under), 0) or None for under in under_b)]
        for stage in under_a
    ]
    heads = ("", *(f"B: {named(stage, roles.second)}" for stage in under_b))
    print_table("Where everybody is now", heads, rows)
    columns = ("", "engaged", "converted", "of the engaged", "converted without")
    print_table("What came of it", columns, [_conversion("A", one), _conversion("B", other)])
    say(
        f"{found.differing:,} differ{'s' if found.differing == 1 else ''}"
        + (f", the first {len(examples)} of them:" if found.differing > len(examples) else ".")
    )
    if examples:
        heads = ("email", "under A", "under B", "since (UTC)", "moved by", "move", "because", "rule")
        print_table(None, heads, [_row(parting, roles) for parting in examples])
    if out is not None:
        say(f"All of them: {out}")


def _conversion(letter: str, side: Side) -> list[object]:
    rate = None if side.rate is None else f"{side.rate:.1%}"
    return [f"{letter}: {side.name}", side.engaged, side.converted, rate, side.unengaged]


def _value(found: Comparison, examples: list[Parting], out: Path | None, roles: Roles) -> dict[str, Any]:
    return {
        "contacts": found.contacts,
        "differing": found.differing,
        "first": _side(found.first),
        "second": _side(found.second),
        "confusion": [
            {"first": one, "second": other, "contacts": count}
            for (one, other), count in sorted(found.confusion.items())
        ],
        "examples": [dict(zip(_COLUMNS, _row(parting, roles), strict=True)) for parting in examples],
        "csv": out,
    }


def _side(side: Side) -> dict[str, object]:
    names = ("name", "file", "engaged", "converted", "unengaged", "rate")
    return {name: getattr(side, name) for name in names}
