from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

SEGMENTS = """\
kind: segments
segments:
  readers:
    description: Who clicked lately
    when: did('clicked', within='30 days')
    exclude: suppressed
  germans: {when: "country == 'DE'"}
  readers-here: {when: "in_segment('readers') and in_segment('germans')"}
"""

PEOPLE = """\
Email,First name,Company,Country
ann@acme.example,=Ann,Acme,DE
bob@acme.example,Bob,Acme,US
"""


@pytest.fixture(scope="module")
def clicked(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three segments and two people, one of whom clicked."""
    folder = tmp_path_factory.mktemp("clicked") / "company"
    shutil.copytree(made, folder)
    shell = Shell(folder, {})
    shell("contacts", "import", shell.file("people.csv", PEOPLE))
    shell.file("segments.yaml", SEGMENTS)
    assert "+ segments.yaml" in shell("apply", "--yes").out
    shell("events", "record", "ann@acme.example", "clicked")
    return folder


@pytest.fixture
def crowd(bare: Shell, clicked: Path) -> Shell:
    """A shell in that folder."""
    shutil.copytree(clicked, bare.folder)
    return bare


def test_segments_are_listed_and_filled_by_apply(crowd: Shell) -> None:
    found = {each["name"]: each["members"] for each in crowd("segments", "list", "--json").json}
    assert found == {"readers": 1, "germans": 1, "readers-here": 1}
    assert "Who clicked lately" in crowd("segments", "list").out


def test_a_segment_says_who_is_in_it_and_who_asks_for_it(crowd: Shell) -> None:
    said = crowd("segments", "show", "readers", "--explain").out
    assert "readers: (clicked a link within 30 days) and not is suppressed" in said
    assert "written in segments.yaml:3, used by segment readers-here" in said
    assert "1 in it; counted now: 1" in said
    assert "SELECT count(*)" in said
    assert "events" in said


def test_counting_asks_segments_and_conditions(crowd: Shell) -> None:
    assert crowd("segments", "count", "germans").out == "1 contact\n"
    asked = crowd("segments", "count", "--when", "country in ('DE', 'US') and not in_segment('readers')", "--json").json
    assert asked["count"] == 1
    assert crowd("segments", "count", "--when", "did('imported', within='5000 days')").out == "2 contacts\n"


def test_exporting_writes_who_is_in_it(crowd: Shell) -> None:
    rows = list(csv.DictReader(io.StringIO(crowd("segments", "export", "readers").out)))
    assert [(row["email"], row["first_name"], row["company"]) for row in rows] == [
        ("ann@acme.example", "'=Ann", "Acme")
    ]
    assert rows[0]["since"]
    crowd("segments", "export", "--when", "country == 'US'", "--csv", crowd.folder / "us.csv")
    assert "bob@acme.example" in (crowd.folder / "us.csv").read_text("utf-8")
    assert [row["email"] for row in crowd("segments", "export", "germans", "--json").json] == ["ann@acme.example"]


def test_refreshing_asks_everybody(crowd: Shell) -> None:
    assert crowd("segments", "refresh").out == "2 contacts were asked.\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["count"], 2, "name a segment, or give a condition"),
        (["count", "readers", "--when", "country == 'DE'"], 2, "name a segment, or give a condition"),
        (["show", "nobody"], 1, "there is no segment 'nobody': there is germans, readers, readers-here"),
        (["refresh", "nobody"], 1, "there is no segment 'nobody'"),
        (["count", "--when", "contry == 'DE'"], 2, "unknown field `contry` (did you mean 'country'?)"),
        (["count", "--when", "in_segment('reader')"], 2, "did you mean 'readers'?"),
        (["export", "readers", "--json", "--csv", "x.csv"], 2, "leave --csv out"),
    ],
)
def test_what_cannot_be_asked_is_told(crowd: Shell, words: list[str], code: int, said: str) -> None:
    assert said in crowd("segments", *words, code=code).err
