"""Reading rows the fast way says what reading them plainly says, cell for cell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.mapping import Expression, Mapping, Target, parse_expression
from nurture.core.model import Company
from nurture.core.program import Program
from nurture.core.words import FieldType
from nurture.importing.rows import Row, bind

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
COLUMNS = ("Mail", "Name", "First", "Title", "Company", "Site", "Staff", "Plan", "Seats", "Since", "Trial", "Tools")
FIELDS = {
    "plan": FieldSpec("plan", FieldType.CHOICE, "Plan", ("free", "pro")),
    "seats": FieldSpec("seats", FieldType.NUMBER, "Seats"),
    "since": FieldSpec("since", FieldType.DATE, "Since"),
    "trial": FieldSpec("trial", FieldType.BOOLEAN, "Trial", on="account"),
}
PROGRAM = Program("p", Lifecycle("l", (), "lead"), {}, fields=FIELDS, company=Company("Us", "Here"))
TITLES = Expression(parse_expression("Title").parts, {"boss": "Chief", "": "unknown"}, None)
MAPPING = Mapping(
    (
        Target("email", parse_expression("Mail")),
        Target("name", parse_expression("Name")),
        Target("first_name", parse_expression("First")),
        Target("title", TITLES),
        Target("source", parse_expression("=fair")),
        Target("account.name", parse_expression("Company")),
        Target("account.domain", parse_expression("Site")),
        Target("account.employees", parse_expression("Staff")),
        Target("account.technologies", parse_expression("Tools")),
        Target("fields.plan", parse_expression("Plan")),
        Target("fields.seats", parse_expression("{Seats}{Staff}")),
        Target("fields.since", parse_expression("Since")),
        Target("account.fields.trial", parse_expression("Trial")),
    ),
    blank=frozenset({"n/a"}),
)
READER = bind(MAPPING, COLUMNS, PROGRAM, Path("people.csv"))

ABOUT = ["", "   ", "N/A", "ann@acme.example", "Ann", "Lovelace, Ada", "boss", " Boss ", "Acme", "'=1+1", "a\tb", "Zoë"]
OTHER = ["https://www.acme.example/x", "12", "1,200", "51-200", "free", "PRO", "gold", "2026-03-02", "yes", "SAP; Jira"]
CELLS = st.sampled_from(ABOUT + OTHER) | st.text(max_size=8)


def read(fast: bool, cells: list[str]) -> Row | str:
    try:
        return READER.read(2, cells, NOW) if fast else READER.read_plainly(2, cells)
    except ValueError as error:
        return str(error)


@given(st.lists(st.lists(CELLS, min_size=12, max_size=12), min_size=1, max_size=5))
def test_rows_read_fast_are_rows_read_plainly(rows: list[list[str]]) -> None:
    for cells in rows:
        plain = read(False, cells)
        if isinstance(plain, Row) and plain.email_key is None:
            plain = "has neither an address nor an id"
        assert read(True, cells) == plain


@given(CELLS)
def test_what_a_cell_said_once_it_says_again(cell: str) -> None:
    cells = ["ann@acme.example", *[cell] * 11]
    assert read(True, cells) == read(True, cells)
