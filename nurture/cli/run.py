"""`nurture run`: the engine at work, for ever or for one moment."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

import typer

from nurture import rehearsal, selftest
from nurture.cli.context import Context, opened
from nurture.cli.output import JsonOption, note
from nurture.cli.running import MetricsPort, begin_log, ending_well, moment, print_done, scraped, tell_start
from nurture.errors import UsageError
from nurture.garbage import collect_rarely
from nurture.postroom import Postroom
from nurture.scheduler import Scheduler, new_owner, program_time, run_once
from nurture.watching import require_outbox
from nurture.wiring import close_postroom, open_postroom

DatabaseOption = Annotated[
    str | None, typer.Option("--db", metavar="URL", help="Another database than the folder's, such as a rehearsal.")
]


def run(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Do what is due, then exit: for cron.")] = False,
    at: Annotated[str | None, typer.Option(help="With --once: pretend this moment. Rehearsals only.")] = None,
    until: Annotated[str | None, typer.Option(help="Live until this moment, then exit. Rehearsals only.")] = None,
    database_url: DatabaseOption = None,
    dev: Annotated[bool, typer.Option("--dev", help="Apply the folder whenever a file changes. Outbox only.")] = False,
    metrics_port: MetricsPort = None,
    as_json: JsonOption = False,
) -> None:
    """Do the engine's work: review, schedule, draft and send whatever is due. SIGTERM ends it after the mail in flight.

    Two at once are harmless. With --json the log (without --once or --until) is JSON, too.

    Example: `nurture run --once --at 2026-03-02T09:00:00Z --db sqlite:///rehearsal.db`
    """
    _check_options(once, at, until, dev)
    if metrics_port is not None and (once or until is not None):
        raise UsageError("--metrics-port is for a run that stays: leave out --once and --until")
    begin_log(as_json=as_json)
    with opened(ctx, database_url) as context:
        postroom = open_postroom(context.settings, context.database, owner=new_owner())
        collect_rarely()
        try:
            if until is not None:
                _until(context, postroom, until, as_json)
            elif once:
                _once(context, postroom, at, as_json)
            else:
                with scraped(context, metrics_port):
                    _forever(context, postroom, dev)
        finally:
            close_postroom(postroom)


def _check_options(once: bool, at: str | None, until: str | None, dev: bool) -> None:
    if at is not None and not once:
        raise UsageError("--at is one moment: write --once --at MOMENT, or --until MOMENT to live through the time")
    if until is not None and (once or dev):
        raise UsageError("--until stands alone: it ends by itself, and applies nothing")
    if once and dev:
        raise UsageError("--dev waits for changes, and --once ends: choose one")


def _once(context: Context, postroom: Postroom, at: str | None, as_json: bool) -> None:
    if at is not None:
        rehearsal.pretend(context.database, moment("--at", at))
    now = program_time(context.database)
    tell_start(context, postroom)
    _ask_pages(context, postroom, now)
    with ending_well() as asked:
        print_done(run_once(context.database, postroom, now, stopping=asked.is_set), now, as_json)


def _ask_pages(context: Context, postroom: Postroom, now: datetime) -> None:
    """Let the unsubscribe pages test themselves when it is time and mail leaves this machine, as `nurture run` does."""
    if not (context.settings.public_url and postroom.policy.real_providers):
        return
    if selftest.due(context.database, postroom.links, now):
        problem = selftest.ask(context.database, postroom.links, secrets.token_hex(16), now)
        if problem:
            note(f"the unsubscribe pages do not answer: {problem}")


def _until(context: Context, postroom: Postroom, until: str, as_json: bool) -> None:
    end = moment("--until", until)
    rehearsal.require(context.database)
    tell_start(context, postroom)
    with ending_well() as asked:
        done = rehearsal.advance(context.database, postroom, end, stopping=asked.is_set)
    print_done(done, program_time(context.database), as_json)


def _forever(context: Context, postroom: Postroom, dev: bool) -> None:
    if dev:
        require_outbox(postroom)
    settings = context.settings
    scheduler = Scheduler(
        context.database,
        postroom,
        ask_public_url=bool(settings.public_url),
        watch=settings.folder if dev else None,
    )
    scheduler.apply()
    tell_start(context, postroom)
    with ending_well() as asked:
        scheduler.start()
        asked.wait()
        note("stopping: what is in flight is finished first")
        scheduler.stop()
