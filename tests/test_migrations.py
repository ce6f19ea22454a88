from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from nurture.core.gates import rate
from nurture.db import decisions, migrate
from nurture.db.decisions import Decided
from nurture.db.session import Database, place, read_url
from nurture.db.tables import Base, Enrollment
from nurture.errors import DatabaseError
from tests import databases, factories
from tests.processes import Process

ROOT = Path(__file__).parent.parent


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A database without tables, that can be made."""
    opened = Database(empty_url, create=True)
    yield opened
    opened.dispose()


# --- the migrations make what the models say --------------------------------------------------------------------------


def test_alembic_finds_no_difference(database: Database) -> None:
    with database.engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "target_metadata": Base.metadata}
        context = MigrationContext.configure(connection, opts=opts | {"include_name": not_of_the_queue})
        assert compare_metadata(context, Base.metadata) == []


def not_of_the_queue(name: str | None, *_: Any) -> bool:
    return not str(name).startswith("procrastinate_")


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.pg)])
def test_migrations_and_models_make_the_same_tables(dialect: str, tmp_path: Path) -> None:
    """Alembic compares neither CHECK constraints nor the conditions of partial indexes; the database knows them."""
    if dialect == "sqlite":
        assert_same(databases.sqlite_url(tmp_path), databases.sqlite_url(tmp_path, empty=True))
        return
    with databases.postgresql_url() as migrated, databases.postgresql_url(empty=True) as modelled:
        assert_same(migrated, modelled)


def assert_same(migrated_url: str, modelled_url: str) -> None:
    migrated, modelled = Database(migrated_url), Database(modelled_url, create=True)
    Base.metadata.create_all(modelled.engine)
    try:
        left, right = reflected(migrated), reflected(modelled)
    finally:
        migrated.dispose()
        modelled.dispose()
    assert left.keys() == right.keys()
    for name in right:
        assert left[name] == right[name], name


def reflected(database: Database) -> dict[str, Any]:
    inspector = sa.inspect(database.engine)
    asked = (
        "columns",
        "pk_constraint",
        "foreign_keys",
        "indexes",
        "unique_constraints",
        "check_constraints",
        "table_options",
    )
    return {
        name: {what: sorted(map(written, listed(getattr(inspector, f"get_{what}")(name)))) for what in asked}
        for name in inspector.get_table_names()
        if name != "alembic_version" and not_of_the_queue(name)
    }


def listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def written(found: Any) -> str:
    return json.dumps(found, default=str, sort_keys=True)


def test_timers_are_clustered_on_sqlite(tmp_path: Path) -> None:
    opened = Database(databases.sqlite_url(tmp_path))
    with opened.read() as connection:
        text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'timers'").scalar_one()
    opened.dispose()
    assert "WITHOUT ROWID" in text


# --- up and down ------------------------------------------------------------------------------------------------------


def test_up_down_and_up_again(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    migrate.upgrade(url)
    migrate.upgrade(url)
    migrate.check(empty)
    with empty.write() as connection:
        factories.contact(connection, "a@leads.example")
    migrate.downgrade(url, "base")
    assert set(sa.inspect(empty.engine).get_table_names()) <= {"alembic_version"}
    migrate.upgrade(url)
    migrate.check(empty)


def test_a_revision_that_words_conditions_anew_can_be_taken_back(tmp_path: Path) -> None:
    """The database is what its parts say, so what comes back must say the same to the letter."""
    opened = Database(databases.sqlite_url(tmp_path, empty=True), create=True)
    url = opened.url.render_as_string(hide_password=False)
    migrate.upgrade(url)
    newest = worded(opened)
    migrate.downgrade(url, "0007")
    older = worded(opened)
    migrate.upgrade(url)
    assert worded(opened) == newest
    assert older["timers"] != newest["timers"]
    migrate.downgrade(url, "0007")
    assert worded(opened) == older
    assert all(" IN (" not in text.replace("'personal' OR state IN", "") for text in newest.values())
    opened.dispose()


def worded(database: Database) -> dict[str, str]:
    database.engine.dispose()
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").all()
    return {row.name: row.sql for row in rows}


def test_runs_that_are_over_get_the_moment_of_their_end(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    migrate.upgrade(url)
    migrate.downgrade(url, "0007")
    with empty.write() as connection:
        person, version = factories.contact(connection), factories.version(connection)
        for number, state in enumerate(("waiting", "exited", "completed")):
            values = {"state": state, "run": number, "ended_at": None if state == "exited" else factories.NOW}
            factories.enrollment(connection, person, version, **values)
    migrate.upgrade(url)
    with empty.read() as connection:
        runs = connection.execute(sa.select(Enrollment.state, Enrollment.ended_at).order_by(Enrollment.run)).all()
    assert runs == [("waiting", None), ("exited", factories.NOW), ("completed", factories.NOW)]


def test_decisions_are_read_as_before_on_the_way_up_and_survive_the_way_down(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    migrate.upgrade(url)
    with empty.write() as connection:
        person = factories.contact(connection)
        about = Decided(person, None, 1, "a", "send", "", (rate.check(None),), rule="a.yaml:3")
        decisions.record(connection, [about], "hash", factories.NOW)
    migrate.downgrade(url, "0009")
    migrate.upgrade(url)
    with empty.read() as connection:
        (found,) = decisions.of_contact(connection, person, 10)
    assert (found.rule, found.program_hash, found.outcome) == ("a.yaml:3", "hash", "send")
    assert [(check["gate"], check["inputs"]) for check in found.checks] == [("rate", {"rate": None})]


@pytest.mark.parametrize(("state", "ended_at"), [("waiting", factories.NOW), ("exited", None), ("running", None)])
def test_a_run_is_over_if_and_only_if_it_has_an_end(database: Database, state: str, ended_at: Any) -> None:
    with database.write() as connection:
        person, version = factories.contact(connection), factories.version(connection)
    with pytest.raises(sa.exc.IntegrityError, match="ck_enrollments_state"), database.write() as connection:
        factories.enrollment(connection, person, version, state=state, ended_at=ended_at)


UPGRADE = "import sys; from nurture.db import migrate; sys.stdin.readline(); migrate.upgrade(sys.argv[1])"


def test_the_tables_of_the_queue_are_those_that_the_library_asks_for() -> None:
    """When a newer one asks for others: a new revision runs its migrations, and this file stays as it was."""
    from procrastinate.schema import SchemaManager

    shipped = (ROOT / "migrations" / "queue" / "procrastinate-3.10.sql").read_text("utf-8")
    assert shipped.endswith(SchemaManager.get_schema())


def test_two_processes_may_upgrade_at_once(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        racers = [stack.enter_context(closing(Process(UPGRADE, url))) for _ in range(2)]
        for racer in racers:
            racer.go()
        answers = [racer.stderr.read() for racer in racers]
        assert [racer.wait() for racer in racers] == [0, 0], answers
    migrate.check(empty)


def test_the_command_line_of_alembic_works(tmp_path: Path) -> None:
    environ = {"NURTURE_DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        check=False,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    for command in (["check"], ["current"], ["downgrade", "base"]):
        here = f"import os; os.chdir({str(ROOT)!r}); from alembic.config import main; main()"
        with closing(Process(here, *command, environ=environ)) as forked:
            said = forked.stderr.read()
            assert forked.wait() == 0, said


# --- refusing ---------------------------------------------------------------------------------------------------------


def test_a_database_from_a_newer_version_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    newer = r"made by a newer nurture \(revision 9999\); upgrade nurture"
    url = database.url.render_as_string(hide_password=False)
    with pytest.raises(DatabaseError, match=newer):
        migrate.check(database)
    with pytest.raises(DatabaseError, match=newer):
        migrate.upgrade(url)
    with pytest.raises(DatabaseError, match=newer):
        migrate.downgrade(url, "base")


def test_an_empty_database_is_refused(empty: Database) -> None:
    with empty.engine.connect():
        pass
    with pytest.raises(DatabaseError, match="is empty: run `nurture db upgrade`"):
        migrate.check(empty)


def test_a_database_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(DatabaseError, match=r"no database at .*missing\.db\. Run `nurture db upgrade`"):
        migrate.check(Database(f"sqlite:///{missing}"))
    assert not missing.exists()


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    url = "postgresql://me:canary@127.0.0.1:1/leads"
    with pytest.raises(DatabaseError, match=r"leads on 127\.0\.0\.1:1 cannot be reached") as refused:
        migrate.upgrade(url)
    assert "canary" not in str(refused.value)
    assert "canary" not in place(read_url(url))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    path.write_text("First name,Last name\n" * 100)
    with pytest.raises(DatabaseError, match=r"leads\.db .*not a database"):
        migrate.upgrade(f"sqlite:///{path}")
    with pytest.raises(DatabaseError, match=r"leads\.db .*not a database"):
        migrate.check(Database(f"sqlite:///{path}"))


# --- what the template demands ----------------------------------------------------------------------------------------


def test_every_revision_stands_alone() -> None:
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        imports = [line for line in path.read_text("utf-8").splitlines() if line.startswith(("import ", "from "))]
        ours = {line.split()[1] for line in imports if "nurture" in line}
        assert ours <= {"nurture.db.types"}, path.name


def test_the_template_names_column_types_with_their_imports(tmp_path: Path) -> None:
    """Make a first revision anew, as a developer would, and read it."""
    script = (
        "import os, sys\n"
        "os.chdir(sys.argv[3])\n"
        "from alembic import command\n"
        "from alembic.config import Config\n"
        "from nurture.db import migrate\n"
        "config = Config('alembic.ini')\n"
        "config.set_main_option('version_locations', sys.argv[2])\n"
        "config.set_main_option('path_separator', 'os')\n"
        "with migrate.migrating(sys.argv[1]) as connection:\n"
        "    config.attributes['connection'] = connection\n"
        "    command.revision(config, 'try', autogenerate=True, rev_id='try')\n"
    )
    versions = tmp_path / "versions"
    versions.mkdir()
    url = databases.sqlite_url(tmp_path, empty=True)
    with closing(Process(script, url, str(versions), str(ROOT))) as revising:
        said = revising.stderr.read()
        assert revising.wait() == 0, said
    text = (versions / "try_try.py").read_text("utf-8")
    compile(text, "try_try.py", "exec")
    assert "from nurture.db.types import Moment" in text
    assert "nurture.db.types.Moment" not in text.replace("from nurture.db.types import Moment", "")
    assert "sa.Column('due_at', Moment(), nullable=False)" in text
    assert "sa.Column('id', Key, nullable=False)" in text
    assert "Json" in text
    assert "What a migration may do" in text
