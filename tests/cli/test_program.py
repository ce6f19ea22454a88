"""`nurture lint` and `nurture apply`: every mistake with its place, and a question before the first real mail."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell

Ask = Callable[[str], list[Any]]

SMTP = '\n[providers.smtp]\nhost = "127.0.0.1"\nport = 2525\nsecurity = "none"\n'


def test_a_folder_in_order_is_one_line(bare: Shell) -> None:
    bare("init", bare.folder)
    said = bare("lint")
    assert said.out.startswith("In order: ")
    assert said.out.count("\n") == 1
    assert "5 sequences" in said.out
    found = bare("lint", "--json").json
    assert (found["ok"], found["problems"], found["sequences"]) == (True, [], 5)


def test_lint_needs_no_database(bare: Shell) -> None:
    bare("init", bare.folder)
    (bare.folder / "nurture.db").unlink()
    bare("lint")
    assert not (bare.folder / "nurture.db").exists()


def test_every_mistake_is_a_line_with_its_place(bare: Shell) -> None:
    bare("init", bare.folder)
    _change(bare, "sequences/leads/welcome.yaml", "email: leads/welcome", "emial: leads/welcome")
    _change(bare, "sequences/leads/education.yaml", "voice: marketing", "voice: marketting")
    _change(bare, "nurture.toml", "[web]", '[safty]\n[web]\npublik_url = "x"')

    said = bare("lint", code=1)

    lines = said.out.splitlines()
    assert any(line.startswith("sequences/leads/welcome.yaml:17:") and "did you mean 'email'" in line for line in lines)
    assert any(line.startswith("sequences/leads/education.yaml:4:8: ") and "'marketting'" in line for line in lines)
    assert any(line.startswith("nurture.toml:") and "did you mean 'public_url'" in line for line in lines)
    assert f"{len(lines)} mistakes" in said.err
    found = bare("lint", "--json", code=1).json
    assert found["ok"] is False
    assert {"file", "line", "column", "what", "hint"} == set(found["problems"][0])
    assert len(found["problems"]) == len(lines)


def test_no_folder_is_told(bare: Shell, tmp_path: Path) -> None:
    assert "nurture init" in bare("lint", code=2).err
    assert "nurture init" in bare("apply", code=2).err


def test_apply_says_what_it_changed(bare: Shell) -> None:
    bare("init", bare.folder)
    first = bare("apply")
    assert "+ sequences/leads/welcome.yaml" in first.out
    assert "Live: program" in first.out
    assert "Nothing changed" in bare("apply").out
    _change(bare, "templates/leads/welcome.txt", "Thank you", "Many thanks")
    said = bare("apply", "--json").json
    assert (said["added"], said["changed"], said["removed"]) == ([], ["templates/leads/welcome.txt"], [])
    assert bare("apply", "--json").json["unchanged"] is True


def test_a_program_with_mistakes_is_not_applied(nurture: Shell, stored: Ask) -> None:
    before = stored("SELECT program_hash FROM live")
    _change(nurture, "sequences/leads/welcome.yaml", "email: leads/welcome", "email: leads/wellcome")
    said = nurture("apply", code=1)
    assert "sequences/leads/welcome.yaml:" in said.out
    assert "did you mean 'leads/welcome'" in said.out
    assert stored("SELECT program_hash FROM live") == before
    assert nurture("apply", "--json", code=1).json["ok"] is False


def test_a_missing_variable_is_a_mistake_with_its_line(nurture: Shell) -> None:
    _change(nurture, "templates/leads/welcome.txt", "Thank you", "Thank you {{ fist_name }}")
    said = nurture("lint", code=1)
    assert "templates/leads/welcome.txt:" in said.out
    assert "did you mean 'first_name'" in said.out


def test_the_first_apply_with_a_real_provider_asks_and_names_how_many(office: Shell, stored: Ask) -> None:
    _real(office, stored)
    said = office("apply", code=2)
    assert "first apply with a real provider (smtp)" in said.err
    assert "up to 2 people would get mail" in said.err
    assert "At most 500 messages a day" in said.err
    assert "--yes" in said.err
    assert stored("SELECT provider FROM senders WHERE voice = 'marketing'") == [("outbox",)]


def test_yes_answers_it_and_it_is_asked_once(office: Shell, stored: Ask) -> None:
    _real(office, stored)
    said = office("apply", "--yes", "--json").json
    assert (said["real_providers"], said["people_within_24_hours"]) == (["smtp"], 2)
    _change(office, "templates/leads/welcome.txt", "Thank you", "Many thanks")
    assert office("apply", "--json").json["real_providers"] == []


def test_nobody_is_asked_about_a_rehearsal(office: Shell, stored: Ask) -> None:
    _smtp(office)
    assert office("apply", "--json").json["real_providers"] == []


@pytest.mark.parametrize(("answer", "code", "provider"), [(b"n\n", 1, "outbox"), (b"y\n", 0, "smtp")])
def test_a_person_is_asked(office: Shell, stored: Ask, answer: bytes, code: int, provider: str) -> None:
    _real(office, stored)
    keyboard, terminal = pty.openpty()
    words = [sys.executable, "-c", "from nurture.cli import main; main()", "-C", str(office.folder), "apply"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NURTURE_")}
    try:
        asking = subprocess.Popen(words, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
        os.write(keyboard, answer)
        _, said = asking.communicate(timeout=60)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert (asking.returncode, b"Apply it? [y/N]" in said) == (code, True)
    assert (b"nothing was applied" in said) is (code == 1)
    assert stored("SELECT provider FROM senders WHERE voice = 'marketing'") == [(provider,)]


def _change(shell: Shell, path: str, old: str, new: str) -> None:
    text = (shell.folder / path).read_text()
    assert old in text
    (shell.folder / path).write_text(text.replace(old, new, 1))


def _real(office: Shell, stored: Ask) -> None:
    """Make a real database of the rehearsal (which no command can), and let the newsletter go out over SMTP."""
    stored("UPDATE instance SET rehearsal = false, rehearsal_now = NULL")
    _smtp(office)


def _smtp(office: Shell) -> None:
    _change(office, "nurture.toml", 'provider = "outbox"\n\n[reps]', 'provider = "smtp"\n\n[reps]')
    settings = office.folder / "nurture.toml"
    settings.write_text(settings.read_text() + SMTP)
