"""Reading the working folder for a command: its program, or every mistake in it."""

from __future__ import annotations

from pathlib import Path

import typer

from nurture.cli.context import find_folder, settings_of
from nurture.cli.output import note, print_json, say
from nurture.errors import Problem, ProgramError, UsageError
from nurture.program.load import Loaded, load
from nurture.settings import FILE


def checked(ctx: typer.Context, as_json: bool) -> Loaded:
    """Return the folder's program; with mistakes, print them all and end with exit code 1."""
    problems, loaded = read_folder(ctx)
    if loaded is None:
        print_problems(problems, as_json)
        raise typer.Exit(1)
    return loaded


def read_folder(ctx: typer.Context) -> tuple[tuple[Problem, ...], Loaded | None]:
    """Read settings and program; return every mistake of both, or what was loaded."""
    folder = find_folder(ctx.find_root().obj, Path.cwd())
    if not (folder / FILE).is_file():
        raise UsageError(f"There is no {FILE} in {folder}: go to a working folder, or make one with `nurture init`.")
    problems: set[Problem] = set()
    loaded = None
    try:
        settings_of(ctx)
    except ProgramError as error:
        problems.update(error.problems)
    try:
        loaded = load(folder)
    except ProgramError as error:
        problems.update(error.problems)
    ordered = tuple(sorted(problems, key=lambda each: (each.file, each.line, each.column, each.what)))
    return ordered, None if ordered else loaded


def print_problems(problems: tuple[Problem, ...], as_json: bool = False) -> None:
    """Print every mistake, and how many they are."""
    if as_json:
        print_json({"ok": False, "problems": [problem_value(each) for each in problems]})
        return
    for problem in problems:
        say(str(problem))
    note(f"{len(problems)} mistake{'s' if len(problems) != 1 else ''}")


def problem_value(problem: Problem) -> dict[str, object]:
    """Return a mistake as JSON."""
    return {name: getattr(problem, name) for name in ("file", "line", "column", "what", "hint")}
