"""`nurture db confirm`: the sentence of a person that lets a restored database send again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Shell

Ask = Callable[[str], list[Any]]


def test_there_is_nothing_to_confirm_in_a_new_database(nurture: Shell) -> None:
    assert "nothing to confirm" in nurture("db", "confirm").out


def test_a_copy_of_a_folder_that_has_not_sent_yet_is_one(bare: Shell, tmp_path: Path) -> None:
    bare("init", bare.folder)
    copy = Shell(tmp_path / "copy", bare.environ)
    shutil.copytree(bare.folder, copy.folder)
    assert "is a copy of another one" in copy("db", "confirm", code=2).err
    assert "nothing to confirm" in bare("db", "confirm").out


def test_a_restored_database_is_confirmed_once_and_only_by_somebody_who_means_it(nurture: Shell, stored: Ask) -> None:
    ((name,),) = stored("SELECT instance_id FROM instance")
    witness = nurture.folder / ".nurture" / "instance"
    witness.write_text(f'{{"instance": "{name}", "sent": 7, "inode": 1}}')
    assert "does not know of 7 messages" in nurture("db", "confirm", code=2).err
    assert '"sent": 7' in witness.read_text()
    said = nurture("db", "confirm", "--yes", "--json").json
    assert "restored from a backup" in said["confirmed"]
    assert nurture("db", "confirm", "--json").json == {"confirmed": None}
