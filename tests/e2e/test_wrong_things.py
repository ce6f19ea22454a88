"""Wrong things get one clear line that names the thing and the next step, and lose nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Company

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is wrong before a database is asked."""

PEOPLE = "E-mail,First name\nann@acme.example,Ann\nbob@acme.example,\ncid@acme.example,Cid\n"


@pytest.fixture
def filled(company: Company) -> Company:
    """A company with three contacts and two mails due for each of them."""
    company.use_short_sequences()
    company("apply")
    company("contacts", "import", company.file("people.csv", PEOPLE))
    return company


def told(company: Company, *words: str | Path, code: int = 1) -> str:
    """Type a command that fails: it says one line, names what is wrong, and no table has another number of rows."""
    before = company.counts()
    line = said(company, *words, code=code)
    assert company.counts() == before
    return line


def said(company: Company, *words: str | Path, code: int = 1) -> str:
    """Type a command that fails, and return the one line that it says."""
    lines = company(*words, code=code).err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@ONLY_SQLITE
def test_a_mapping_with_an_unknown_field(filled: Company) -> None:
    mapping = "kind: mapping\nname: people\nfields:\n  email: E-mail\n  frist_name: First name\n"
    line = told(filled, "contacts", "import", "people.csv", "--mapping", filled.file("people.yaml", mapping))
    assert "people.yaml:5:3: " in line
    assert "`frist_name`" in line
    assert "did you mean 'first_name'" in line


@ONLY_SQLITE
def test_a_mapping_that_is_no_yaml(filled: Company) -> None:
    mapping = filled.file("people.yaml", "kind: mapping\nfields: {email: [E-mail\n")
    assert "people.yaml:" in told(filled, "contacts", "import", "people.csv", "--mapping", mapping)


MISTAKES = [
    ("steps:", "steps: [", "sequences/leads/hello.yaml:", ""),
    ("steps:", "\tsteps:", "sequences/leads/hello.yaml:9:", ""),
    ("description:", "descripton:", "sequences/leads/hello.yaml:3:1: ", "did you mean 'description'"),
    ("leads/welcome", "leads/wellcome", "sequences/leads/hello.yaml:10:", "did you mean 'leads/welcome'"),
]


@ONLY_SQLITE
def test_a_program_with_a_mistake_is_not_applied(filled: Company) -> None:
    before, live = filled.counts(), filled.ask("SELECT program_hash FROM live")
    for right, wrong, place, what in MISTAKES:
        filled.change("sequences/leads/hello.yaml", (right, wrong))
        for command in ("lint", "apply"):
            answer = filled(command, code=1)
            assert answer.err == "1 mistake\n", answer
            assert answer.out.startswith(place), answer.out
            assert what in answer.out
        filled.change("sequences/leads/hello.yaml", (wrong, right))
    assert filled.counts() == before
    assert filled.ask("SELECT program_hash FROM live") == live
    assert filled("run", "--once", "--json").json["accepted"] == 6, "what was applied before goes on"


def test_a_missing_variable_holds_that_message_and_the_others_go(filled: Company) -> None:
    filled.change("templates/leads/welcome.txt", ("{{ first_name | default('there') }}", "{{ first_name }}"))
    filled("apply")
    assert filled("run", "--once", "--json").json["accepted"] == 4
    (held,) = [row for row in filled("messages", "list", "--json").json if row["state"] == "ready"]
    assert held["to_address"] == "bob@acme.example"
    (coming,) = filled("why", "bob@acme.example", "--json").json["next"]
    reason = filled("messages", "show", str(held["id"]), "--json").json["decisions"][0]["reason"]
    for words in ("'leads/welcome'", "'first_name'", "templates/leads/welcome.txt:", "default("):
        assert words in reason
    assert "first_name" in coming["waits"]
    assert filled.lost() == []

    filled("contacts", "import", filled.file("more.csv", PEOPLE.replace("bob@acme.example,", "bob@acme.example,Bob")))
    filled.hurry()
    assert filled("run", "--once", "--json").json["accepted"] == 2
    assert filled.states() == {"accepted": 6}
    assert len(filled.mails()) == 6


NO_CSV = [
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "PDF"),
    (b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n", "HTML"),
    (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "Excel"),
    (b"", "empty"),
    (b"\xef\xbb\xbf\n\n", "nothing to import"),
    (b'{"email": "ann@acme.example"}\n', "JSON"),
]


@ONLY_SQLITE
@pytest.mark.parametrize("noun", ["contacts", "events", "suppressions"])
def test_a_file_that_is_no_csv(filled: Company, noun: str) -> None:
    for content, what in NO_CSV:
        line = told(filled, noun, "import", filled.file("leads.csv", content))
        assert "leads.csv" in line
        assert what.lower() in line.lower()
    assert list(filled.folder.glob("*.rejected.csv")) == []


@ONLY_SQLITE
def test_a_file_that_is_not_there(filled: Company) -> None:
    assert "nowhere.csv" in told(filled, "contacts", "import", filled.folder / "nowhere.csv")


VERSIONS = [("'9999'", ("newer", "9999")), ("'0000'", ("nurture", "0000")), (None, ("nurture db upgrade",))]


def test_a_database_of_another_version(filled: Company) -> None:
    ((was,),) = filled.ask("SELECT version_num FROM alembic_version")
    for revision, words in VERSIONS:
        filled.tell("DELETE FROM alembic_version")
        if revision:
            filled.tell(f"INSERT INTO alembic_version (version_num) VALUES ({revision})")
        for command in (
            ["run", "--once"],
            ["contacts", "import", "people.csv"],
            ["apply"],
            ["why", "ann@acme.example"],
        ):
            line = told(filled, *command)
            assert all(word in line for word in words), line
    assert filled.mails() == []

    filled.tell("DELETE FROM alembic_version")
    filled.tell(f"INSERT INTO alembic_version (version_num) VALUES ('{was}')")
    assert filled("run", "--once", "--json").json["accepted"] == 6


def test_a_database_that_is_not_there(filled: Company) -> None:
    filled.url += "_lost"
    line = said(filled, "run", "--once")
    assert "_lost" in line
    assert "sqlite" not in filled.url or "nurture db upgrade" in line
    assert not Path(filled.url.removeprefix("sqlite:///")).exists()


@ONLY_SQLITE
def test_a_database_of_a_kind_that_nobody_knows(filled: Company) -> None:
    filled.url = "mysql://root:secret@localhost/nurture"
    line = said(filled, "run", "--once")
    assert "mysql" in line
    assert "secret" not in line


NEED_THE_KEY = [["run", "--once"], ["contacts", "import", "people.csv"], ["suppressions", "list"]]


def test_without_its_suppression_key_a_database_sends_nothing(filled: Company) -> None:
    keys = filled.folder / ".nurture" / "keys"
    right = keys.read_text()
    keys.unlink()
    for command in NEED_THE_KEY:
        line = told(filled, *command)
        assert "suppression key" in line
        assert ".nurture/keys" in line
        assert "nothing is sent" in line

    filled("init", filled.folder)  # makes another one
    assert keys.read_text() != right
    for command in NEED_THE_KEY:
        line = told(filled, *command)
        assert "not the one" in line
        assert "nothing is sent" in line
        assert keys.read_text().partition(":")[2].strip() not in line
    assert filled.mails() == []
    assert filled.states() == {}

    keys.write_text(right)
    assert filled("run", "--once", "--json").json["accepted"] == 6


@ONLY_SQLITE
def test_a_key_file_that_was_cut(filled: Company) -> None:
    (filled.folder / ".nurture" / "keys").write_text("k1:c2hvcnQ=\n")
    line = told(filled, "run", "--once")
    assert "key" in line
    assert "c2hvcnQ" not in line
