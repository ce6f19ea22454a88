"""`nurture web`: the web pages alone, for installations whose work is done by others."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from nurture.cli.context import opened
from nurture.cli.output import JsonOption
from nurture.cli.run import DatabaseOption
from nurture.cli.running import begin_log, ending_well, tell_fleet
from nurture.cli.serve import address_of, listen
from nurture.scheduler import program_time


def web(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer the unsubscribe pages, /health and /metrics, and do none of the engine's work: a fleet or a cron job does.

    As many as you like may run on one database. With --json the log is JSON.

    Example: `nurture web --host 0.0.0.0 --port 8080`
    """
    begin_log(as_json=as_json)
    listening = listen(host, port)
    with listening, opened(ctx, database_url) as context:
        from nurture.web.app import create_app  # the web's libraries take half a second, which no other command needs
        from nurture.web.server import serve_app

        app = create_app(
            context.database,
            context.ring,
            clock=partial(program_time, context.database),
            metrics_token=context.settings.secret("NURTURE_METRICS_TOKEN"),
        )
        with ending_well():
            tell_fleet(context, f"web, {address_of(listening)}")
            serve_app(app, listening, lambda: None)
