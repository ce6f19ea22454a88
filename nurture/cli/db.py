"""`nurture db`: the schema of the database."""

from __future__ import annotations

import uuid

import typer

from nurture.cli.context import program_time, settings_of
from nurture.cli.output import JsonOption, print_json, say
from nurture.db import instance, migrate
from nurture.db.session import Database, place, read_url
from nurture.settings import Settings

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


def ready_database(settings: Settings) -> None:
    """Bring the database up to date and tell it its keys, where it does not know them yet."""
    migrate.upgrade(settings.database_url)
    database = Database(settings.database_url)
    try:
        with database.write() as connection:
            if settings.ring is not None:
                instance.create(connection, str(uuid.uuid4()), settings.ring, program_time(None))
    finally:
        database.dispose()
