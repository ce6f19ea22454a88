"""`nurture demo`: the whole idea at work, on an invented company's sample, in seconds."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from nurture.cli.context import Context, opened
from nurture.cli.init import make_folder
from nurture.cli.output import JsonOption, note, print_json, print_table, say
from nurture.cli.running import begin_log
from nurture.cli.serve import address_of, attend, listen
from nurture.demo import outcome, play
from nurture.demo.outcome import Line
from nurture.errors import Refused, UsageError
from nurture.scheduler import new_owner
from nurture.wiring import LOCAL_URL, close_postroom, open_postroom

MARK = ".nurture-demo"
"""The file by which an earlier demo is known, so that nothing else is ever deleted."""

PORTS = 20
"""How many ports are tried before giving up."""


def demo(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where the demo is made. An earlier demo there is deleted.")] = Path(
        "demo"
    ),
    days: Annotated[int, typer.Option(help="How many days to live through.", min=1, max=365)] = 30,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve afterwards, or end.")] = True,
    port: Annotated[int, typer.Option(help="Port to serve on; the next free one if taken.", min=0, max=65535)] = 8000,
    as_json: JsonOption = False,
) -> None:
    """See the whole idea work: 300 invented contacts and their reps live through a month, with the real engine.

    It happens in a rehearsal, which can never send: every mail is a file in the folder's outbox.

    Example: `nurture demo --no-serve`
    """
    _check_environment()
    begin_log(as_json=as_json)
    _clear(folder)
    with _listening(port) if serve else nullcontext() as listening:
        url = address_of(listening) if listening else LOCAL_URL
        _make(folder)
        ctx.find_root().obj = folder
        with opened(ctx) as context:
            found = _play(context, days, url)
            commands = _commands(context, folder)
            _print(found, commands, folder, days, as_json)
            if listening:
                note(f"\nServing the unsubscribe pages and {url}/health until Ctrl-C.")
                attend(context, listening)


# --- the folder -------------------------------------------------------------------------------------------------------


def _check_environment() -> None:
    for name in ("NURTURE_DATABASE_URL", "NURTURE_KEYS"):
        if name in os.environ:
            raise UsageError(f"{name} is set, and the demo has a database and keys of its own: unset it first")


def _clear(folder: Path) -> None:
    """Delete an earlier demo; refuse to touch anything else."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).is_file()):
        raise Refused(f"{folder} is there already and is no demo: name another with --folder")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UsageError(f"the earlier demo in {folder} cannot be deleted: {error.strerror or error}") from None


def _make(folder: Path) -> None:
    """Write the sample's files, then everything else as `nurture init` does."""
    try:
        folder.mkdir(parents=True)
        (folder / MARK).write_text("Made by `nurture demo`, and deleted by the next one.\n", "utf-8")
        for name in play.FILES:
            shutil.copyfile(play.DATA / name, folder / name)
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from None
    make_folder(folder, "scored")


# --- living -----------------------------------------------------------------------------------------------------------


def _play(context: Context, days: int, url: str) -> list[Line]:
    settings, database = context.settings, context.database
    until = play.BEGIN + timedelta(days=days)
    with _progress(days) as heard:
        came = play.furnish(database, context.ring, settings.folder, settings.reps_provider)
        postroom = open_postroom(settings, database, owner=new_owner(), local_url=url)
        try:
            play.live_through(database, postroom, until, heard)
        finally:
            close_postroom(postroom)
    with database.read() as connection:
        return outcome.lines(connection, came, until)


@contextmanager
def _progress(days: int) -> Iterator[Callable[[datetime], None]]:
    """Show which day it is on standard error, unless nobody watches."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("day {task.completed} of {task.total}"))
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("importing", total=days)

        def heard(now: datetime) -> None:
            bar.update(task, description=_day(now), completed=(now - play.BEGIN).days)

        yield heard


# --- telling ----------------------------------------------------------------------------------------------------------


def _commands(context: Context, folder: Path) -> list[str]:
    """Return three commands worth trying next, as they can be typed here."""
    with context.database.read() as connection:
        who = outcome.examples(connection)
    start = f"{_program()} -C {shlex.quote(str(folder))}"
    tried = [f"{start} approvals list"]
    if who.waiting:
        tried.append(f"{start} why {shlex.quote(who.waiting)}")
    if who.whole_way:
        tried.append(f"{start} contacts show {shlex.quote(who.whole_way)}")
    return tried


def _program() -> str:
    """Return how this program was called, the way it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name != "nurture" or shutil.which("nurture") == str(called.absolute()):
        return "nurture"
    here = called.absolute()
    return shlex.quote(str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here))


def _print(found: list[Line], commands: list[str], folder: Path, days: int, as_json: bool) -> None:
    if as_json:
        counted = [{"what": line.what, "count": line.count, "more": line.more} for line in found]
        print_json({"folder": folder, "days": days, "happened": counted, "next": commands})
        return
    until = play.BEGIN + timedelta(days=days)
    title = f"From {_day(play.BEGIN)} to {_day(until)}, lived through in a rehearsal"
    print_table(title, ("", "", ""), [(line.what, line.count, line.more) for line in found])
    say(f"Every mail is a file in {folder / 'outbox'}. Nothing has left this machine, and nothing can.")
    say()
    say("Try next:")
    for command in commands:
        say(f"  {command}")


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens on the first free port from `port` on."""
    listening = _first_free(port)
    with listening:
        listening.listen()
        yield listening


def _first_free(port: int) -> socket.socket:
    for candidate in range(port, min(port + PORTS, 65536)):
        try:
            return listen("127.0.0.1", candidate)
        except UsageError:
            continue
    raise UsageError(f"no port from {port} to {port + PORTS - 1} is free; choose another with --port")
