"""`nurture bench`: how fast this machine sends, through the full loop, to any sink."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from nurture.benchmark import stock
from nurture.benchmark.measure import SCHEMES, Job, Measured, measure, open_provider
from nurture.cli.output import JsonOption, note, print_facts, print_json
from nurture.db.session import place, read_url
from nurture.errors import UsageError

app = typer.Typer(help="Measure how fast mail is sent.", no_args_is_help=True)


@app.command("send")
def send(
    provider: Annotated[str, typer.Option(help="smtp, postmark, or none: mail is written, and dropped.")] = "smtp",
    endpoint: Annotated[str, typer.Option(metavar="URL", help="smtp://HOST:PORT, or a base URL for postmark.")] = "",
    messages: Annotated[int, typer.Option(min=1, help="How many contacts get the benchmark's mail.")] = 10_000,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many processes share the work.")] = 1,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="An empty database. By default a temporary SQLite.")
    ] = "",
    batch: Annotated[int, typer.Option(min=1, max=500, help="Mails in a request to postmark.")] = 500,
    connections: Annotated[int, typer.Option(min=1, max=100, help="Connections of each process.")] = 4,
    blank: Annotated[bool, typer.Option("--blank", help="Send a mail that says nothing, to measure the rest.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send the benchmark's mail to made-up contacts (at bench.example) through the full loop, and measure it.

    The contacts are made first; what is measured is claiming, deciding, rendering, sending and recording.

    Example: `nurture bench send --provider smtp --endpoint smtp://127.0.0.1:2525 --messages 20000 --json`
    """
    if provider not in SCHEMES:
        raise UsageError(f"there is no provider {provider!r} to measure: choose {', '.join(SCHEMES)}")
    with tempfile.TemporaryDirectory(prefix="nurture-bench-") as folder:
        job = Job(provider, endpoint, db or f"sqlite:///{Path(folder) / 'bench.db'}", processes, batch, connections)
        open_provider(job).close()
        now = datetime.now(UTC).replace(microsecond=0)
        stock.fill(job.database, messages, now, blank=blank)
        measured = measure(job, now)
    _show(job, messages, measured, as_json)
    if measured.accepted < messages:
        note(f"{messages - measured.accepted:,} of {messages:,} messages were not accepted: does {endpoint} take mail?")
    if not measured.accepted:
        raise typer.Exit(1)


def _show(job: Job, messages: int, measured: Measured, as_json: bool) -> None:
    facts = {
        "provider": job.provider,
        "endpoint": job.endpoint,
        "database": place(read_url(job.database)),
        "messages": messages,
        "processes": job.processes,
        "batch": job.batch if job.provider == "postmark" else None,
        "connections": job.connections,
        **measured.to_json(),
    }
    if as_json:
        print_json(facts)
    else:
        print_facts("mail through the full loop", facts)
