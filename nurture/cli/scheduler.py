"""`nurture scheduler`: the ticker of a fleet, alone."""

from __future__ import annotations

from functools import partial

import typer

from nurture.cli.context import opened
from nurture.cli.output import JsonOption, note
from nurture.cli.run import DatabaseOption
from nurture.cli.running import MetricsPort, begin_log, ending_well, scraped, tell_fleet
from nurture.scheduler import new_owner, program_time


def scheduler(
    ctx: typer.Context,
    database_url: DatabaseOption = None,
    metrics_port: MetricsPort = None,
    as_json: JsonOption = False,
) -> None:
    """Call the fleet's workers to what is due, every two seconds. It needs PostgreSQL, and sends nothing itself.

    A second one is harmless: it waits, and takes over when the first is gone. With --json the log is JSON.

    Example: `nurture scheduler`
    """
    from nurture import fleet  # the queue's library takes time and memory, which no other command needs
    from nurture.ticker import Ticker

    begin_log(as_json=as_json)
    with opened(ctx, database_url) as context:
        fleet.require_postgresql(context.database, "scheduler")
        clock = partial(program_time, context.database)
        ticker = Ticker(context.database, new_owner(), clock, ask_public_url=bool(context.settings.public_url))
        with scraped(context, metrics_port), ending_well() as asked:
            tell_fleet(context, "scheduler")
            ticker.start()
            asked.wait()
            note("stopping")
            ticker.stop()
