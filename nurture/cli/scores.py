"""`nurture score`: of one contact as a receipt (`nurture score EMAIL`), of all as a table, and weights from history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nurture import live
from nurture.cli import score
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, note, print_json, say
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import Program
from nurture.errors import UsageError
from nurture.program.lifecycle import check_lifecycle, lifecycle_text
from nurture.reports.scores import export_scores, system_of

_SHOW = "show"


class _ByAddress(TyperGroup):
    """Takes what is no command for the address whose score is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ByAddress,
    help="Scores: `nurture score EMAIL` says where a contact stands, and why.",
    no_args_is_help=True,
)

app.command(_SHOW)(score.score)

LifecycleOption = Annotated[
    Path | None, typer.Option("--lifecycle", help="Score by this file; by default by what is live.")
]


@app.command()
def export(
    ctx: typer.Context,
    csv: Annotated[Path, typer.Option("--csv", help="The file to write.", metavar="OUT")],
    lifecycle: LifecycleOption = None,
    system: Annotated[
        str | None,
        typer.Option(help="Whose ids to write, where contacts have ids of several systems; `email`: addresses."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the scores of all contacts as CSV: external_id, fit_points, grade, engagement, rank_score.

    `external_id` is what the mapping's `id` was at import. The higher `rank_score`, the likelier: points of fit and of
    engagement, as `scoring: rank:` in the lifecycle file weighs them (1 and 1 unless it says otherwise).

    Example: `nurture score export --csv scores.csv --lifecycle sequences/proposed.yaml`
    """
    with opened(ctx) as context:
        with context.database.read() as connection:
            program, named = live.current(connection), system_of(connection, system)
        rules = program.lifecycle if lifecycle is None else _read(lifecycle, program)
        try:
            with csv.open("w", encoding="utf-8", newline="") as out:
                written = export_scores(context.database, rules, named, out, now_of(context))
        except OSError as error:
            raise UsageError(f"{csv} cannot be written: {error.strerror or error}") from None
    if as_json:
        counts = {"contacts": written.contacts, "without_id": written.nameless}
        print_json({"file": csv, "lifecycle": rules.name, "system": named, **counts})
        return
    say(f"{written.contacts:,} contacts scored by {rules.name!r} written to {csv}, named by {named!r}.")
    if written.nameless:
        note(f"{written.nameless:,} of them have no id there: their external_id is empty")


def _read(path: Path, program: Program) -> Lifecycle:
    """Read a lifecycle file; what is wrong with its stages, moves and levels changes no score and is only told."""
    rules, problems = check_lifecycle(lifecycle_text(path), str(path), program)
    for problem in problems:
        note(f"to do: {problem}")
    return rules
