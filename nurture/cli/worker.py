"""`nurture worker`: hands of a fleet, as many as are started."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nurture.cli.context import Context, opened, settings_of
from nurture.cli.output import JsonOption, note
from nurture.cli.run import DatabaseOption
from nurture.cli.running import MetricsPort, begin_log, ending_well, scraped, tell_fleet
from nurture.db import senders
from nurture.db.session import Database
from nurture.errors import UsageError
from nurture.garbage import collect_rarely
from nurture.postroom import Postroom
from nurture.scheduler import new_owner, program_time
from nurture.wiring import close_postroom, open_postroom

if TYPE_CHECKING:
    from nurture.worker import Worker

CHILD_SECONDS = 0.5
"""How often the first of several processes looks whether the others are still there."""


def worker(
    ctx: typer.Context,
    queues: Annotated[
        str,
        typer.Option(
            "--queues",
            "-q",
            metavar="NAMES",
            help="tick, send, inbound, reports, or send:NAME for one sender; several with commas. By default all.",
        ),
    ] = "",
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=8, help="Jobs at once in a process, each in a thread.")
    ] = 1,
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, max=64, help="How many processes.")] = 1,
    database_url: DatabaseOption = None,
    metrics_port: MetricsPort = None,
    as_json: JsonOption = False,
) -> None:
    """Do the work that `nurture scheduler` calls for, on PostgreSQL. Start as many as you like, on any machine.

    SIGTERM ends it after the mail in flight. With --json the log is JSON.

    Example: `nurture worker --queues send --processes 4`
    """
    from nurture import fleet  # the queue's library takes time and memory, which no other command needs
    from nurture.worker import Worker

    if processes > 1 and metrics_port is not None:
        raise UsageError("--metrics-port is one process's own: start the processes one by one, each with its port")
    begin_log(as_json=as_json)
    names = [name.strip() for name in queues.split(",") if name.strip()]
    with opened(ctx, database_url) as context:
        fleet.require_postgresql(context.database, "worker")
        asking = partial(_queues, context.database, names)
        asking()
        if processes > 1:
            _in_processes(_words(ctx, queues, concurrency, database_url, as_json), processes)
            return
        with _postrooms(context, concurrency) as postrooms, scraped(context, metrics_port):
            clock = partial(program_time, context.database)
            said = partial(tell_fleet, context, f"worker of {', '.join(names) or 'all queues'}")
            collect_rarely()
            _until_asked(Worker(context.database, postrooms, clock, asking if names else None), said)


def _queues(database: Database, names: Sequence[str]) -> list[str] | None:
    with database.read() as connection:
        known = {sender.name: int(sender.id) for sender in senders.every(connection)}
    from nurture import fleet

    return fleet.queues(names, known)


@contextmanager
def _postrooms(context: Context, count: int) -> Iterator[list[Postroom]]:
    """Open the parts of sending for as many threads: each claims under a name of its own."""
    with ExitStack() as stack:
        opened_here = []
        for _ in range(count):
            opened_here.append(open_postroom(context.settings, context.database, owner=new_owner()))
            stack.callback(close_postroom, opened_here[-1])
        yield opened_here


def _until_asked(worker: Worker, said: Callable[[], None]) -> None:
    """Let it serve in a thread, so that a signal is heard at once; exit with 1 when it died by itself."""
    died: list[BaseException] = []
    with ending_well() as asked:

        def serve() -> None:
            try:
                worker.run()
            except BaseException as error:
                died.append(error)
                raise
            finally:
                asked.set()

        said()
        serving = threading.Thread(target=serve, name="worker")
        serving.start()
        asked.wait()
        if not died:
            note("stopping: what is in flight is finished first")
        worker.stop()
        serving.join()
    if died:
        raise typer.Exit(1)


# --- several processes ------------------------------------------------------------------------------------------------


def _words(ctx: typer.Context, queues: str, concurrency: int, database_url: str | None, as_json: bool) -> list[str]:
    """Return the command line of one of several processes."""
    words = ["-C", str(settings_of(ctx).folder), "worker", "--concurrency", str(concurrency)]
    words += ["--queues", queues] if queues else []
    words += ["--db", database_url] if database_url else []
    return words + (["--json"] if as_json else [])


def _in_processes(words: Sequence[str], count: int) -> None:
    """Keep several workers alive until asked to end. When one dies by itself, the others end well, and so does this."""
    command = [sys.executable, "-c", "from nurture.cli import main; main()", *words]
    with ending_well() as asked:
        children = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
        while not asked.wait(CHILD_SECONDS) and all(child.poll() is None for child in children):
            pass
        for child in children:
            child.terminate()
        codes = [child.wait() for child in children]
    if not asked.is_set():
        note(f"a worker ended with code {next((code for code in codes if code), 0)}: so did the others")
        raise typer.Exit(1)
