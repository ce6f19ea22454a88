"""How Alembic runs the migrations: inside `nurture db upgrade`, or from its own command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from alembic import context
from sqlalchemy import JSON, BigInteger, Connection

from nurture.db.tables import Base
from nurture.db.types import Moment


def render_item(kind: str, item: Any, autogen: Any) -> str | Literal[False]:
    """Write column types the way a migration may use them: a custom type is named with its import."""
    if kind != "type":
        return False
    if isinstance(item, Moment):
        autogen.imports.add("from nurture.db.types import Moment")
        return "Moment()"
    if isinstance(item, BigInteger):
        autogen.imports.add("from nurture.db.types import Key")
        return "Key"
    if isinstance(item, JSON):
        autogen.imports.add("from nurture.db.types import Json")
        return "Json"
    return False


def ours(name: str | None, kind: str, parents: Any) -> bool:
    """Leave out the tables of the queue, which only PostgreSQL has and which no model describes."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def run(connection: Connection) -> None:
    """Run the migrations in the transaction of `connection`."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        include_name=ours,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Take the connection of `nurture.db.migrate`, or open one as it does."""
    if context.is_offline_mode():
        raise SystemExit("Migrations need a database: --sql is not supported.")
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    from nurture.db.migrate import migrating

    with migrating(_url()) as connection:
        run(connection)


def _url() -> str:
    from nurture.settings import load_settings

    return load_settings(Path.cwd(), os.environ).database_url


main()
