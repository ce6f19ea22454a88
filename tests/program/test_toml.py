"""The program's part of `nurture.toml`: found, pointed into, and always written in the same way."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.errors import ProgramError
from nurture.program.toml import parse_toml, program_part

TEXT = """\
lifecycle = "scored"  # which

[company]
name = "Northwind"
[company.extra]
phone = "+49 40 1"

[senders.newsletter]
address = "news@northwind.example"

[safety]
launch_cap = 500
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("lifecycle",), (1, 13)),
        (("company", "name"), (4, 8)),
        (("company", "extra", "phone"), (6, 9)),
        (("senders", "newsletter"), (8, 2)),
        (("senders", "newsletter", "address"), (9, 11)),
        (("senders", "newsletter", "provider"), (8, 2)),
        (("senders", "other"), (1, 1)),
    ],
)
def test_a_value_is_found_or_what_it_should_stand_in(path: tuple[str, ...], place: tuple[int, int]) -> None:
    mark = parse_toml(TEXT, "n.toml").mark(path)
    assert (mark.line, mark.column) == place


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('a = 1\nb = "x', "n.toml:2:7: this is no TOML: "),
        ("a = \n", "n.toml:1:5: this is no TOML: invalid value"),
        ("a = 1\na = 2", "n.toml:2:6: this is no TOML: cannot overwrite a value"),
        ("[a]\nb", "n.toml:2:2: this is no TOML: expected '=' after a key"),
    ],
)
def test_bad_toml_is_pointed_at(text: str, problem: str) -> None:
    with pytest.raises(ProgramError) as error:
        parse_toml(text, "n.toml")
    assert str(error.value).startswith(problem)


def test_settings_are_no_part_of_the_program() -> None:
    part = program_part(TEXT)
    assert "safety" not in parse_toml(TEXT, "n.toml").value
    assert "launch_cap" not in part
    assert "which" not in part


def test_order_and_spaces_make_no_difference() -> None:
    other = '[senders.newsletter]\naddress="news@northwind.example"\n'
    other = 'lifecycle="scored"\n' + other + '[company]\nextra={phone="+49 40 1"}\nname="Northwind"\n'
    assert program_part(other) == program_part(TEXT)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4))
def test_what_is_written_means_the_same(company: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\U{ord(character):08X}" for character in text) + '"'

    text = "[company]\n" + "".join(f"{quoted(key)} = {quoted(value)}\n" for key, value in company.items())
    assert tomllib.loads(program_part(text)) == {"company": company}
