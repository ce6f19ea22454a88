"""`nurture db`: the schema of the database."""

from __future__ import annotations

import uuid

import typer

from nurture.cli.asking import YesOption
from nurture.cli.asking import confirm as ask
from nurture.cli.context import opened, program_time, settings_of
from nurture.cli.output import JsonOption, print_json, say
from nurture.db import instance, migrate
from nurture.db.session import Database, place, read_url
from nurture.settings import Settings
from nurture.wiring import witness_of

app = typer.Typer(help="The database: bring its tables up to date.", no_args_is_help=True)


@app.command()
def upgrade(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Bring the database to the schema of this version, making it where it is missing.

    Example: `nurture db upgrade`
    """
    settings = settings_of(ctx)
    ready_database(settings)
    revision = migrate.head()
    if as_json:
        print_json({"revision": revision})
    else:
        say(f"The database {place(read_url(settings.database_url))} is at revision {revision}.")


@app.command()
def current(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Tell the schema of the database, and whether this version can use it.

    Example: `nurture db current --json`
    """
    settings = settings_of(ctx)
    database = Database(settings.database_url)
    try:
        with database.read() as connection:
            revision = migrate.current(connection)
    finally:
        database.dispose()
    usable = revision == migrate.head()
    if as_json:
        print_json({"revision": revision, "head": migrate.head(), "usable": usable})
    else:
        say(f"revision {revision or 'none'}" + ("" if usable else f"; this version needs {migrate.head()}"))


@app.command()
def confirm(ctx: typer.Context, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Say that this database may send, after it was restored, moved or copied.

    First make sure that no other copy of it sends. What left after a backup was made is not known in it: look through
    `nurture messages list` with sending paused (`nurture pause --all`) before you confirm.

    Example: `nurture db confirm`
    """
    with opened(ctx) as context:
        witness = witness_of(context.settings)
        with context.database.read() as connection:
            problem = witness.problem(connection)
        if problem is not None:
            ask(f"{problem} May it send all the same?", yes, "nothing is sent")
            with context.database.read() as connection:
                witness.confirm(connection)
    if as_json:
        print_json({"confirmed": problem})
    else:
        say("It may send." if problem else "There was nothing to confirm: this database may send.")


def ready_database(settings: Settings) -> None:
    """Bring the database up to date and tell it its keys, where it does not know them yet."""
    migrate.upgrade(settings.database_url)
    database = Database(settings.database_url)
    try:
        with database.write() as connection:
            if settings.ring is not None:
                instance.create(connection, str(uuid.uuid4()), settings.ring, program_time(None))
                witness_of(settings).begin(connection)
    finally:
        database.dispose()
