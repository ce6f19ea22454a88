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
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import Program
from nurture.errors import UsageError
from nurture.importing.report import safe_cell
from nurture.program.conditions import read_condition
from nurture.program.definitions import find_lifecycle, name_of_pack, packs, shipped_lifecycles

app = typer.Typer(help="Lifecycles: who is a lead, who is a prospect, and how one becomes the other.")

LIVE = "live"
_SHOWN = 10
_COLUMNS = ("email", "first", "second", "at", "by", "move", "reason", "rule")

_Word = Annotated[str, typer.Argument(help="A name, a file, or `live`.", metavar="A")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the definitions that nurture ships; `nurture init --definitions NAME` begins with one.

    Example: `nurture lifecycle list`
    """
    found = [
        (each.name, name_of_pack(packs()[each.name]), " ".join(each.description.split()), each)
        for each in shipped_lifecycles()
    ]
    if as_json:
        print_json(
            [
                {"name": name, "file": file, "description": about, "stages": [s.name for s in each.stages]}
                for name, file, about, each in found
            ]
        )
        return
    print_table(
        None,
        ("name", "stages", "what it says"),
        [(name, " → ".join(stage.name for stage in each.stages), about) for name, _, about, each in found],
    )


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
        f"{found.differing:,} differ"
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
