"""`nurture serve`: the engine and its web pages in one process."""

from __future__ import annotations

import socket
from functools import partial
from typing import Annotated

import typer

from nurture.cli.context import Context, opened
from nurture.cli.output import JsonOption
from nurture.cli.run import DatabaseOption
from nurture.cli.running import begin_log, ending_well, tell_start
from nurture.errors import UsageError
from nurture.garbage import collect_rarely
from nurture.scheduler import Scheduler, new_owner, program_time
from nurture.wiring import close_postroom, open_postroom


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the engine and answer the unsubscribe pages and /health. With --json the log is JSON.

    Example: `nurture serve --host 0.0.0.0 --port 8080`
    """
    begin_log(as_json=as_json)
    listening = listen(host, port)
    with listening, opened(ctx, database_url) as context:
        attend(context, listening)


def attend(context: Context, listening: socket.socket) -> None:
    """Run the engine of an opened installation and answer on a socket, until SIGTERM or SIGINT asks to end."""
    from nurture.web.app import create_app  # the web's libraries take half a second, which no other command needs
    from nurture.web.server import serve_app

    url = address_of(listening)
    postroom = open_postroom(context.settings, context.database, owner=new_owner(), local_url=url)
    scheduler = Scheduler(context.database, postroom, ask_public_url=bool(context.settings.public_url))
    app = create_app(
        context.database,
        context.ring,
        clock=partial(program_time, context.database),
        metrics_token=context.settings.secret("NURTURE_METRICS_TOKEN"),
    )
    collect_rarely()
    try:
        tell_start(context, postroom, f", {url}")
        with ending_well():
            scheduler.start()
            serve_app(app, listening, scheduler.begin_to_stop)
            scheduler.stop()
    finally:
        close_postroom(postroom)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise UsageError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port") from None
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the URL under which a socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
