"""A database that cannot be opened says what is in the way, and what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from nurture.db import migrate
from nurture.db.session import Database, read_url, unreachable
from nurture.errors import DatabaseError
from tests.databases import postgresql_url


def refused(url: str) -> list[str]:
    """Return what opening says, and what migrating says."""
    with pytest.raises(DatabaseError) as opening, Database(url).read():
        pass
    with pytest.raises(DatabaseError) as migrating:
        migrate.upgrade(url)
    return [str(opening.value), str(migrating.value)]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for said in refused(f"sqlite:///{tmp_path}/nowhere/deep/x.db"):
        assert f"there is no folder {tmp_path}/nowhere/deep. Make it, or correct" in said


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file/x.db", "file/deep/x.db"):
        for said in refused(f"sqlite:///{tmp_path}/{name}"):
            assert f"{tmp_path}/file is a file and no folder" in said


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    for said in refused(f"sqlite:///{tmp_path}/."):
        assert f"{tmp_path} is a folder: name a file in" in said


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("Dear Ann, " * 200)
    for said in refused(f"sqlite:///{tmp_path}/x.db"):
        assert "x.db is no SQLite database" in said
        assert "put the last backup in its place" in said


def test_postgresql_that_does_not_answer_says_what_to_check() -> None:
    for said in refused("postgresql://me:canary@127.0.0.1:1/name"):
        assert "Start PostgreSQL there, or correct host and port" in said
        assert "canary" not in said


def test_a_database_that_postgresql_does_not_have_is_to_be_made() -> None:
    with postgresql_url() as url:
        missing = make_url(url).set(database="not_there").render_as_string(hide_password=False)
        for said in refused(missing):
            assert "Make it (`createdb not_there`) and run `nurture db upgrade`" in said


def test_a_user_whom_postgresql_does_not_let_in_is_to_be_checked() -> None:
    with postgresql_url() as url:
        stranger = make_url(url).set(username="stranger", password="canary").render_as_string(hide_password=False)
        for said in refused(stranger):
            assert "Check user and password in" in said
            assert "canary" not in said


def test_a_wrong_password_is_to_be_checked_and_never_told() -> None:
    words = 'connection failed: FATAL:  password authentication failed for user "me"'  # our servers ask for none
    said = str(unreachable(read_url("postgresql://me:canary@h/n"), OperationalError("", None, Exception(words))))
    assert "Check user and password in" in said
    assert "canary" not in said
