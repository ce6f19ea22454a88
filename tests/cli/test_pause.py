"""The kill switch from the command line, and what the doctor says of it."""

from __future__ import annotations

from typing import Any

import pytest

from nurture.db import instance, senders
from nurture.db.session import Database
from tests.cli.conftest import Shell


def findings(nurture: Shell, code: int = 0) -> dict[str, Any]:
    said = nurture("doctor", "--json", code=code).json
    assert said["healthy"] is (code == 0)
    return {finding["name"]: finding for finding in said["findings"]}


def paused(nurture: Shell) -> tuple[str | None, list[str]]:
    database = Database(f"sqlite:///{nurture.folder / 'nurture.db'}")
    with database.read() as connection:
        answer = (
            instance.read(connection).sending_paused,
            [sender.name for sender in senders.every(connection) if sender.paused_reason],
        )
    database.dispose()
    return answer


def test_all_sending_is_paused_and_resumed(nurture: Shell) -> None:
    said = nurture("pause", "--all", "--reason", "wrong price").out
    assert said == "all sending: paused. `nurture resume --all` lets it go on.\n"
    assert paused(nurture)[0] == "wrong price"
    assert "was paused already" in nurture("pause", "--all", "--reason", "another").out
    assert paused(nurture)[0] == "wrong price"
    assert findings(nurture)["sending"]["what"] == "paused: wrong price"
    assert nurture("resume", "--all", "--json").json == {"resumed": "all sending", "changed": True}
    assert paused(nurture)[0] is None
    assert "was not paused" in nurture("resume", "--all").out


def test_a_sender_is_paused_and_resumed(nurture: Shell) -> None:
    assert nurture("pause", "--sender", "newsletter", "--json").json["changed"]
    assert paused(nurture) == (None, ["newsletter"])
    found = findings(nurture, code=1)["sender newsletter"]
    assert found["state"] == "wrong"
    assert "nurture resume --sender newsletter" in found["todo"]
    nurture("resume", "--sender", "newsletter")
    assert paused(nurture) == (None, [])


def test_a_sequence_is_paused_and_resumed(nurture: Shell, stored: Any) -> None:
    (name, *_) = [row[0] for row in stored("SELECT name FROM sequence_versions ORDER BY name")]
    assert nurture("pause", "--sequence", name, "--json").json["changed"]
    assert not nurture("pause", "--sequence", name, "--json").json["changed"]
    assert stored("SELECT name, reason FROM paused_sequences") == [(name, "by hand")]
    assert findings(nurture)[f"sequence {name}"]["state"] == "chosen"
    assert nurture("resume", "--sequence", name, "--json").json["changed"]
    assert stored("SELECT name FROM paused_sequences") == []


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize(("option", "thing"), [("--sender", "newslettr"), ("--sequence", "nobody")])
def test_what_is_not_there_is_named(nurture: Shell, command: str, option: str, thing: str) -> None:
    assert f"there is no {option.strip('-')} '{thing}'" in nurture(command, option, thing, code=1).err


@pytest.mark.parametrize("words", [[], ["--all", "--sender", "newsletter"]])
def test_exactly_one_thing_is_paused_at_a_time(nurture: Shell, words: list[str]) -> None:
    assert "say what" in nurture("pause", *words, code=2).err
