"""`nurture run`, `serve` and `rehearse` as they are typed."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nurture.cli.running import print_done
from nurture.cli.serve import address_of, listen
from nurture.db import instance
from nurture.db.session import Database
from nurture.scheduler import Done
from tests.cli.conftest import Shell
from tests.processes import started

REHEARSAL = "sqlite:///rehearsal.db"
PEOPLE = "email,first_name\nann@example.com,Ann\nbob@example.com,Bob\n"


@pytest.fixture
def rehearsing(nurture: Shell) -> Shell:
    """A folder with two contacts who came on a Monday in March, and a rehearsal that begins there."""
    nurture("rehearse", "--to", REHEARSAL, "--at", "2026-03-02T09:00:00Z")
    inside = Shell(nurture.folder, {**nurture.environ, "NURTURE_DATABASE_URL": REHEARSAL})
    inside("contacts", "import", nurture.file("people.csv", PEOPLE))
    return inside


# --- run --------------------------------------------------------------------------------------------------------------


def test_once_tells_where_it_runs_and_what_it_did(nurture: Shell) -> None:
    nurture("contacts", "import", nurture.file("people.csv", PEOPLE))
    said = nurture("run", "--once", "--json")
    assert said.json["scheduled"] == 2
    for word in (str(nurture.folder), "nurture.db", "providers outbox", "program ", "2 contacts"):
        assert word in said.err
    assert nurture("run", "--once", "--json").json["scheduled"] == 0


def test_it_tells_of_handoffs_whose_clock_rang(capsys: pytest.CaptureFixture[str]) -> None:
    print_done(Done(watched=2), datetime(2026, 3, 2, 9, tzinfo=UTC), as_json=False)
    assert "handoffs looked at       2" in capsys.readouterr().out


def test_the_start_line_never_shows_a_password(nurture: Shell) -> None:
    said = nurture("run", "--once", "--db", "postgresql://me:secret@127.0.0.1:1/nurture", code=1)
    assert "secret" not in said.err
    assert "nurture on 127.0.0.1:1 cannot be reached" in said.err


def test_a_folder_without_an_applied_program_says_what_to_do(bare: Shell) -> None:
    bare("init", bare.folder)
    assert "run `nurture apply`" in bare("run", "--once", code=1).err


def test_a_real_database_pretends_nothing(nurture: Shell) -> None:
    for words in (("--once", "--at", "2030-01-01"), ("--until", "2030-01-01")):
        said = nurture("run", *words, code=1)
        assert "Only a rehearsal may pretend a moment" in said.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--at", "2026-03-02"), "--once --at MOMENT"),
        (("--once", "--at", "monday"), "2026-03-02T09:00:00Z"),
        (("--until", "2026-03-02", "--once"), "stands alone"),
        (("--once", "--dev"), "choose one"),
    ],
)
def test_options_that_do_not_go_together(nurture: Shell, words: tuple[str, ...], hint: str) -> None:
    assert hint in nurture("run", *words, code=2).err


def test_a_rehearsal_lives_until_a_moment_and_never_goes_back(rehearsing: Shell) -> None:
    lived = rehearsing("run", "--until", "2026-04-01", "--json").json
    assert lived["now"] == "2026-04-01T00:00:00Z"
    assert lived["accepted"] > 0
    folder = rehearsing.folder / "outbox" / "rehearsal-rehearsal"
    assert len(list(folder.rglob("*.eml"))) == lived["accepted"]
    for words in (("--until", "2026-03-20"), ("--once", "--at", "2026-03-20")):
        assert "never goes back" in rehearsing("run", *words, code=1).err
    once = rehearsing("run", "--once", "--at", "2026-04-01T09:00:00+02:00", "--json").json
    assert once["now"] == "2026-04-01T07:00:00Z"


def test_run_once_in_a_rehearsal_happens_at_its_own_time(rehearsing: Shell) -> None:
    assert rehearsing("run", "--once", "--json").json["now"] == "2026-03-02T09:00:00Z"


def test_dev_applies_a_change_and_goes_on_after_a_mistake(nurture: Shell) -> None:
    with started("run", "--dev", "--json", folder=nurture.folder) as running:
        running.go()
        running.wait_for("providers outbox")
        house = (nurture.folder / "nurture.toml").read_text()
        nurture.file("nurture.toml", house.replace("Example Company", "Northwind"))
        applied = json.loads(running.wait_for('"applied"'))
        nurture.file("nurture.toml", house.replace('provider = "outbox"', "provider = ", 1))
        assert "nurture.toml:" in running.wait_for('"not applied"')
        running.process.send_signal(signal.SIGINT)
        code, _ = running.end()
    assert code == 0, running.heard
    nurture.file("nurture.toml", house)
    assert applied["program"] in nurture("run", "--once").err


def test_dev_is_refused_where_mail_could_leave(nurture: Shell) -> None:
    house = (nurture.folder / "nurture.toml").read_text()
    nurture.file("nurture.toml", house + '\n[providers.smtp]\nhost = "127.0.0.1"\nsecurity = "none"\n')
    assert "nothing may leave this machine" in nurture("run", "--dev", code=1).err


def test_a_wrong_option_of_a_provider_is_told_with_its_line(nurture: Shell, stored: Callable[[str], list[Any]]) -> None:
    house = (nurture.folder / "nurture.toml").read_text()
    stored("UPDATE senders SET provider = 'smtp'")
    table = house.count("\n") + 2
    for options, said in {
        'host = "h"\nport = "x"': f"nurture.toml:{table + 2}:1: `port` in [providers.smtp] must be a whole",
        'host = "h"\nsecurity = "ssl"': f"nurture.toml:{table + 2}:1: `security` in [providers.smtp] must",
        'hots = "h"': f"nurture.toml:{table + 1}:1: `hots` in [providers.smtp] is not an option: did you mean",
        "port = 25": f"nurture.toml:{table}:2: the provider 'smtp' has no host",
    }.items():
        nurture.file("nurture.toml", f"{house}\n[providers.smtp]\n{options}\n")
        assert nurture("run", "--once", code=1).err.startswith(f"error: {said}")


def test_a_provider_that_senders_use_must_be_complete(nurture: Shell) -> None:
    house = (nurture.folder / "nurture.toml").read_text()
    nurture.file("nurture.toml", house + '\n[providers.postmark]\nstream = {marketing = "broadcast"}\n')
    assert "NURTURE_POSTMARK_TOKEN" in nurture("run", "--once").err  # nobody uses it: told, and left out
    database = Database(f"sqlite:///{nurture.folder / 'nurture.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE senders SET provider = 'postmark'")
    database.dispose()
    assert "NURTURE_POSTMARK_TOKEN" in nurture("run", "--once", code=1).err


# --- serve ------------------------------------------------------------------------------------------------------------


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def test_serve_answers_until_it_is_asked_to_end(nurture: Shell) -> None:
    with started("serve", "--port", "0", folder=nurture.folder) as running:
        running.go()
        url = running.wait_for("http://127.0.0.1:").rpartition(" ")[2].strip()
        assert json.loads(get(f"{url}/health"))["status"] == "ok"
        assert "Unsubscribe" in get(f"{url}/u/x")
        running.process.send_signal(signal.SIGTERM)
        code, _ = running.end()
    assert code == 0, running.heard


def test_an_address_that_is_taken_is_said(nurture: Shell) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = address_of(taken).rpartition(":")[2]
        assert "choose another --port" in nurture("serve", "--port", port, code=2).err


def test_a_socket_for_everybody_is_reached_from_here() -> None:
    with listen("0.0.0.0", 0) as listening:
        assert address_of(listening).startswith("http://127.0.0.1:")
    if socket.has_dualstack_ipv6():
        with listen("::1", 0) as listening:
            assert address_of(listening).startswith("http://[::1]:")


# --- rehearse ---------------------------------------------------------------------------------------------------------


def test_rehearse_copies_the_database_of_the_folder(nurture: Shell) -> None:
    nurture("contacts", "import", nurture.file("people.csv", PEOPLE))
    said = nurture("rehearse", "--to", REHEARSAL, "--json").json
    assert said["rows"]["contacts"] == 2
    assert said["database"] == str(nurture.folder / "rehearsal.db")
    database = Database(f"sqlite:///{nurture.folder / 'rehearsal.db'}")
    with database.read() as connection:
        assert instance.read(connection).rehearsal
    database.dispose()
    again = nurture("rehearse", "--to", REHEARSAL, code=1)
    assert "has contacts already" in again.err


def test_rehearse_copies_any_database_that_is_named(nurture: Shell) -> None:
    nurture("rehearse", "--to", REHEARSAL)
    nurture("rehearse", "--from", REHEARSAL, "--to", "sqlite:///second.db")
    assert (nurture.folder / "second.db").exists()


def test_nothing_is_made_where_there_is_nothing_to_copy(nurture: Shell) -> None:
    said = nurture("rehearse", "--from", "sqlite:///nothing.db", "--to", REHEARSAL, code=1)
    assert "There is no database at" in said.err
    assert not Path(nurture.folder, "rehearsal.db").exists()
    assert not os.path.exists(nurture.folder / "nothing.db")
