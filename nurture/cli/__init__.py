"""The command line: one file per noun. A command parses, calls one shell function and prints; it decides nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import nurture
from nurture.cli import (
    approvals,
    bench,
    contacts,
    db,
    demo,
    doctor,
    events,
    handoff_report,
    handoffs,
    init,
    lifecycle,
    messages,
    pause,
    plan,
    preview,
    program,
    qualify,
    rehearse,
    reports,
    reps,
    run,
    safety,
    scheduler,
    scores,
    segments,
    serve,
    suppressions,
    tasks,
    timeline,
    training,
    web,
    why,
    worker,
)
from nurture.errors import NurtureError


class _Commands(TyperGroup):
    """Tells what went wrong on purpose in one line; everything unexpected keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NurtureError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    cls=_Commands,
    name="nurture",
    help="Outreach sequences and lead nurturing from your own server. Begin with `nurture init my-company`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

contacts.app.command("show")(timeline.show)
reports.app.command("handoffs")(handoff_report.handoffs)
scores.app.command("train")(training.train)

app.command("init")(init.init)
app.command("demo")(demo.demo)
app.command("lint")(program.lint)
app.command("plan")(plan.plan)
app.command("apply")(program.apply)
app.command("preview")(preview.preview)
app.add_typer(contacts.app, name="contacts")
app.add_typer(segments.app, name="segments")
app.add_typer(reps.app, name="reps")
app.add_typer(events.app, name="events")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(approvals.app, name="approvals")
app.add_typer(tasks.app, name="tasks")
app.add_typer(qualify.app, name="qualify")
app.add_typer(lifecycle.app, name="lifecycle")
app.add_typer(handoffs.app, name="handoffs")
app.add_typer(messages.app, name="messages")
app.command("why")(why.why)
app.add_typer(scores.app, name="score")
app.add_typer(reports.app, name="report")
app.add_typer(db.app, name="db")
app.add_typer(bench.app, name="bench")
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("scheduler")(scheduler.scheduler)
app.command("web")(web.web)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.add_typer(safety.app, name="safety")
app.command("doctor")(doctor.doctor)
app.command("rehearse")(rehearse.rehearse)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nurture {nurture.__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            "-C",
            envvar="NURTURE_FOLDER",
            help="The working folder. By default the nearest one above with a nurture.toml.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    ctx.obj = folder


def main() -> None:
    """Run `nurture` with the arguments of this process."""
    try:
        app()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
