"""What long commands share: the log, the start line, and ending well when somebody asks for it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Annotated, Any

import structlog
import typer
from sqlalchemy import func, select

import nurture
from nurture import live, vitals
from nurture.cli.context import Context
from nurture.cli.output import note, print_json, print_table
from nurture.db import instance, senders, tables
from nurture.db.session import place
from nurture.errors import NotFound, UsageError
from nurture.postroom import Postroom, Sent
from nurture.scheduler import Done, program_time


def begin_log(*, as_json: bool) -> None:
    """Write the log to standard error: one event a line, for people or (`as_json`) for programs."""
    last = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_to_stderr,
    )


def _to_stderr(*_: object) -> structlog.PrintLogger:
    """Print to what standard error is now, not to what it was when the log began."""
    return structlog.PrintLogger(sys.stderr)


def tell_start(context: Context, postroom: Postroom, more: str = "") -> None:
    """Say what runs where: folder, database (never its password), providers, program, and how many contacts there are.

    Raises NotFound when no program is applied.
    """
    with context.database.read() as connection:
        program = live.current(connection)
        contacts = connection.scalar(select(func.count()).select_from(tables.Contact))
        used = sorted({sender.provider for sender in senders.every(connection)}) or sorted(postroom.providers)
        home = instance.read(connection)
    where = place(context.database.url) + (" (a rehearsal: outbox only)" if home.rehearsal else "")
    note(
        f"nurture {nurture.__version__}: folder {context.settings.folder}, database {where}, "
        f"providers {', '.join(used)}, program {program.hash[:12]}, {contacts:,} contacts{more}"
    )


def tell_fleet(context: Context, part: str) -> None:
    """Say what a part of a fleet stands on. It may start before a program is applied."""
    with context.database.read() as connection:
        try:
            program = f"program {live.current(connection).hash[:12]}"
        except NotFound:
            program = "no program applied yet"
    note(f"nurture {nurture.__version__} {part}: database {place(context.database.url)}, {program}")


MetricsPort = Annotated[
    int | None,
    typer.Option(help="Answer Prometheus on this port, too; 9464, for instance.", min=1, max=65535),
]


@contextmanager
def ending_well() -> Iterator[threading.Event]:
    """Yield what is set when SIGTERM or SIGINT asks to end; a second Ctrl-C ends at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_done(done: Done, now: datetime, as_json: bool) -> None:
    """Print what was handled, and what became of the mail."""
    mail = {part.name: getattr(done.sent, part.name) for part in fields(Sent) if part.name != "due"}
    counts: dict[str, Any] = {
        "reviewed": done.reviewed,
        "watched": done.watched,
        "scheduled": done.scheduled,
        "drafted": done.drafted,
        **mail,
    }
    if as_json:
        print_json({"now": now, **counts})
        return
    rows = [(_LABELS[name], count) for name, count in counts.items() if count]
    print_table(f"at {now:%Y-%m-%d %H:%M} UTC", ("", "count"), rows or [("nothing was due", 0)])


_LABELS = {
    "reviewed": "contacts reviewed",
    "watched": "handoffs looked at",
    "scheduled": "runs looked at",
    "drafted": "drafts written or expired",
    "accepted": "messages sent",
    "held": "messages held",
    "cancelled": "messages skipped or cancelled",
    "refused": "messages refused",
    "retrying": "messages to be tried again",
    "ambiguous": "messages of which nobody knows (nurture messages list --state ambiguous)",
}


def moment(option: str, text: str) -> datetime:
    """Return the moment that an option names: ISO 8601, UTC unless it says otherwise, a date alone is its midnight."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no moment: write it like 2026-03-02T09:00:00Z") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


@contextmanager
def scraped(context: Context, port: int | None) -> Iterator[None]:
    """Answer Prometheus on a port of this process's own, on every address, while it runs; None is no port."""
    if port is None:
        yield
        return
    try:
        server, thread = vitals.serve(
            vitals.Vitals(context.database, partial(program_time, context.database)), "0.0.0.0", port
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen on port {port}: {error.strerror or error}; choose another --metrics-port"
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
