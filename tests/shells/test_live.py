"""What is applied runs, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select

from nurture import live
from nurture.core.words import Voice
from nurture.db import tables
from nurture.db.session import Database
from nurture.errors import NotFound, Refused
from nurture.program.load import build
from tests import factories
from tests.factories import NOW
from tests.programs import HOUSE, LIFECYCLE, NURTURE, small

SMALL = build(small())
LATER = NOW + timedelta(days=1)


def changed(path: str, text: str) -> live.Loaded:
    """Return the small program with one file changed (an empty text takes it away)."""
    return build({name: content for name, content in {**small(), path: text}.items() if content})


def apply(database: Database, loaded: live.Loaded = SMALL) -> live.Applied:
    with database.write() as connection:
        return live.apply(connection, loaded, "ann", NOW)


def test_nothing_runs_before_something_was_applied(database: Database) -> None:
    with database.read() as connection, pytest.raises(NotFound, match="run `nurture apply`"):
        live.current(connection)


def test_what_was_applied_is_what_runs(database: Database) -> None:
    applied = apply(database)
    with database.read() as connection:
        program = live.current(connection)
        row = connection.execute(select(tables.Live.__table__)).one()
    assert program.hash == applied.hash == SMALL.program.hash
    assert (program.lifecycle, program.sequences) == (SMALL.program.lifecycle, SMALL.program.sequences)
    assert (program.fields, program.senders) == (SMALL.program.fields, SMALL.program.senders)
    assert (program.company, program.templates) == (SMALL.program.company, SMALL.program.templates)
    assert (row.applied_by, row.applied_at) == ("ann", NOW)


def test_the_first_apply_adds_every_file(database: Database) -> None:
    applied = apply(database)
    assert (set(applied.added), applied.changed, applied.removed) == (set(SMALL.files), (), ())


def test_applying_again_changes_nothing(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        before = _everything(connection)
        again = live.apply(connection, SMALL, "bob", LATER)
        assert again == live.Applied(SMALL.program.hash, unchanged=True)
        assert _everything(connection) == before


def test_an_apply_says_what_it_changed_and_keeps_what_ran(database: Database) -> None:
    apply(database)
    new = {**small(), "sequences/nurture.yaml": NURTURE.replace("3 days", "4 days"), "sequences/more.yaml": MORE}
    del new["sequences/introduction.yaml"]
    del new["templates/prospects/first.txt"]
    applied = apply(database, build(new))
    assert applied.added == ("sequences/more.yaml",)
    assert applied.changed == ("sequences/nurture.yaml",)
    assert applied.removed == ("sequences/introduction.yaml", "templates/prospects/first.txt")


MORE = """\
kind: sequence
name: more
voice: personal
audience: {role: engage}
steps:
  - {id: only, email: prospects/second}
"""


def test_a_run_stays_on_the_version_in_which_it_began(database: Database) -> None:
    apply(database)
    with database.read() as connection:
        old = live.current(connection).versions["nurture"]
    apply(database, changed("sequences/nurture.yaml", NURTURE.replace("3 days", "4 days")))
    with database.read() as connection:
        program = live.current(connection)
        new = program.versions["nurture"]
        stored = live.versions(connection, {old, new})
    assert old != new
    assert stored[old] == SMALL.program.sequences["nurture"]
    assert stored[new] == program.sequences["nurture"]


def test_a_version_is_stored_once(database: Database) -> None:
    apply(database)
    with database.read() as connection:
        before = live.current(connection).versions
    apply(database, changed("nurture.toml", HOUSE.replace("Bristol", "Bath")))
    with database.read() as connection:
        assert live.current(connection).versions == before


def test_a_template_that_is_gone_can_still_be_rendered_for_older_runs(database: Database) -> None:
    apply(database)
    files = small()
    del files["sequences/introduction.yaml"], files["templates/prospects/first.txt"]
    apply(database, build(files))
    with database.read() as connection:
        name = live.current(connection).templates["prospects/first"]
        assert live.artifacts(connection, {name})[name].name == "prospects/first"


def test_stored_templates_are_those_that_were_compiled(database: Database) -> None:
    apply(database)
    with database.read() as connection:
        assert live.artifacts(connection, SMALL.artifacts.keys()) == SMALL.artifacts
        assert live.artifacts(connection, {"no such hash"}) == {}
        assert live.versions(connection, set()) == {}


def test_stages_follow_the_lifecycle(database: Database) -> None:
    apply(database)
    renamed = LIFECYCLE.replace("label: Lead", "label: Reader").replace("customer", "client")
    apply(database, changed("sequences/lifecycle.yaml", renamed.replace("role: client", "role: customer")))
    table = tables.Stage.__table__
    with database.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.position)).all()
    assert [row.name for row in rows] == ["lead", "prospect", "client", "lost"]
    assert (rows[0].label, rows[0].role, rows[0].voice) == ("Reader", "nurture", "marketing")


def test_a_lifecycle_that_lacks_peoples_stages_is_refused(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        factories.contact(connection, "a@a.example", stage="lost")
        factories.contact(connection, "b@a.example", stage="lost")
        factories.contact(connection, "c@a.example", stage="lead")
    other = LIFECYCLE.replace("name: lost", "name: gone").replace("to: lost", "to: gone")
    with pytest.raises(Refused, match="2 in 'lost'"):
        apply(database, changed("sequences/lifecycle.yaml", other))
    with database.read() as connection:
        assert live.current(connection).hash == SMALL.program.hash


def test_senders_follow_the_settings_and_the_gone_ones_are_paused(database: Database) -> None:
    apply(database)
    sequence = NURTURE.replace("sender: newsletter", "sender: digest")
    house = HOUSE.replace("[senders.newsletter]", "[senders.digest]").replace("newsletter@", "digest@")
    apply(database, build({**small(), "nurture.toml": house, "sequences/nurture.yaml": sequence}))
    assert _senders(database) == {
        "digest": ("digest@northwind.example", None),
        "newsletter": ("newsletter@northwind.example", "no longer in nurture.toml"),
    }
    apply(database, changed("nurture.toml", HOUSE.replace("newsletter@", "letters@")))
    assert _senders(database)["newsletter"] == ("letters@northwind.example", None)


def test_a_sender_that_a_person_paused_stays_paused(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        connection.execute(tables.Sender.__table__.update().values(paused_reason="complaints"))
    apply(database, changed("nurture.toml", HOUSE.replace("newsletter@", "letters@")))
    assert _senders(database)["newsletter"] == ("letters@northwind.example", "complaints")


def test_a_marketing_sender_cannot_take_a_reps_name(database: Database) -> None:
    with database.write() as connection:
        rep = factories.rep(connection)
        factories.sender(connection, "newsletter", voice=Voice.PERSONAL, rep_id=rep)
    with pytest.raises(Refused, match="'newsletter'"):
        apply(database)


def test_what_was_rolled_back_was_never_applied(database: Database) -> None:
    apply(database, changed("sequences/nurture.yaml", NURTURE.replace("3 days", "9 days")))
    with database.engine.connect() as connection:
        live.apply(connection, SMALL, "ann", NOW)
        assert live.current(connection).hash == SMALL.program.hash
        connection.rollback()
    apply(database, changed("sequences/nurture.yaml", NURTURE.replace("3 days", "8 days")))
    apply(database)
    with database.read() as connection:
        program = live.current(connection)
        stored = live.versions(connection, program.versions.values())
    assert {stored[key].hash for key in program.versions.values()} == {one.hash for one in program.sequences.values()}


def _senders(database: Database) -> dict[str, tuple[str, str | None]]:
    with database.read() as connection:
        rows = connection.execute(select(tables.Sender.__table__)).all()
    return {row.name: (row.address, row.paused_reason) for row in rows}


def _everything(connection: Connection) -> dict[str, object]:
    counts = {
        model.__tablename__: connection.scalar(select(func.count()).select_from(model.__table__))
        for model in (tables.Blob, tables.ProgramVersion, tables.SequenceVersion, tables.Template, tables.Stage)
    }
    return {**counts, "live": connection.execute(select(tables.Live.__table__)).one()}
