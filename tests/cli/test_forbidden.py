"""Commands of a user who may not write the database, or its folder: they say which, and `doctor` reads where it can.

Nothing is forbidden to root, so where the tests are root's the commands run as a user without rights.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import Process

NOBODY = 65534

_TYPING = f"""
import json, os, pwd, shutil, sys
from tests.typed import typed
if os.getuid() == 0:
    # What a command loads may lie where only root may look: every module is loaded before.
    for line in sys.argv[2:]:
        shutil.rmtree(sys.argv[1] + "-of-root", ignore_errors=True)
        shutil.copytree(sys.argv[1], sys.argv[1] + "-of-root")
        typed(["-C", sys.argv[1] + "-of-root", *line.split()])
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
said = [typed(["-C", sys.argv[1], *line.split()]) for line in sys.argv[2:]]
print(json.dumps([[each.code, each.out + each.err] for each in said]))
"""


@pytest.fixture
def folder(lived: Path) -> Iterator[Path]:
    """A working folder that belongs to who types, in a place that everybody may look into."""
    with tempfile.TemporaryDirectory() as place:
        company = Path(place) / "company"
        shutil.copytree(lived, company)
        if os.getuid() == 0:
            for path in (Path(place), company, *company.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        yield company
        company.chmod(0o700)


def typed_by_a_user(folder: Path, *lines: str) -> list[tuple[int, str]]:
    """Return the exit code of each command, and everything that it said."""
    with closing(Process(_TYPING, str(folder), *lines)) as process:
        said = process.stdout.read()
        assert process.wait() == 0, process.stderr.read()
    return [(code, " ".join(text.split())) for code, text in json.loads(said)]


CHANGES = ("run --once", "pause --all", "db upgrade")


def test_a_file_that_may_not_be_written_is_named_and_still_looked_into(folder: Path) -> None:
    file = folder / "nurture.db"
    file.chmod(0o400)
    looked, *changes = typed_by_a_user(folder, "doctor --json", f"contacts import {folder}/people.csv", *CHANGES)
    assert looked[0] == 1
    found = {each["name"]: each for each in json.loads(looked[1])["findings"]}
    assert f"may not write the file {file}" in found["writing"]["what"]
    assert found["timers"]["state"] == "ok"
    for code, said in changes:
        assert (code, f"may not write the file {file}" in said) == (1, True), said
        assert "Run nurture as the user who may" in said


def test_a_folder_that_may_not_be_written_is_named(folder: Path) -> None:
    folder.chmod(0o500)
    for code, said in typed_by_a_user(folder, "doctor", "db upgrade"):
        assert (code, f"may not write in the folder {folder}" in said) == (1, True), said


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    (folder / "nurture.db").chmod(0)
    for code, said in typed_by_a_user(folder, "doctor", "db upgrade"):
        assert (code, f"may not read the file {folder / 'nurture.db'}" in said) == (1, True), said


def test_what_another_user_left_beside_the_database_is_named(folder: Path) -> None:
    for end in ("-wal", "-shm"):
        beside = folder / f"nurture.db{end}"
        beside.touch()
        beside.chmod(0o400)
    ((code, said),) = typed_by_a_user(folder, "pause --all")
    assert (code, "may not write the file" in said) == (1, True), said
