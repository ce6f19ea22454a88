"""Reading a table: encodings, delimiters, headers, broken rows, and files that are no table at all."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from nurture.errors import ImportFailed
from nurture.importing.table import RawRow, open_table

PEOPLE = "Name,Email,City\nZoë,zoe@example.com,Köln\nAna,ana@example.com,Lima\n"


def write(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path) -> list[RawRow]:
    return list(open_table(path).rows())


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "iso8859-15"]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_encoding_and_line_ends_do_not_matter(tmp_path: Path, encoding: str, ending: str) -> None:
    path = write(tmp_path, PEOPLE.replace("\n", ending), encoding)
    assert open_table(path).columns == ("Name", "Email", "City")
    assert [row.cells for row in read(path)] == [["Zoë", "zoe@example.com", "Köln"], ["Ana", "ana@example.com", "Lima"]]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Имя;Адрес\nИван;ivan@example.com\nАнна;anna@example.com\n", "cp1251"),
        ("Imię;Adres\nŻółć;z@example.com\nŁukasz;l@example.com\n", "cp1250"),
        ("名前;メール\n山田太郎;y@example.com\n佐藤花子;s@example.com\n", "shift_jis"),
    ],
)
def test_other_scripts_are_recognized(tmp_path: Path, text: str, encoding: str) -> None:
    path = write(tmp_path, text, encoding)
    assert [row.cells[0] for row in read(path)] == [line.split(";")[0] for line in text.splitlines()[1:]]


def test_the_first_accent_may_stand_in_the_last_line(tmp_path: Path) -> None:
    text = "Name,Email\n" + "Ann,ann@example.com\n" * 60_000 + "Zoë,zoe@example.com\n"
    assert read(write(tmp_path, text, "cp1252"))[-1].cells[0] == "Zoë"


def test_one_broken_byte_costs_its_row_only(tmp_path: Path) -> None:
    content = ("Name,Email\n" + "Zoë,z@example.com\n" * 20).encode() + b"Zo\xeb,broken@example.com\n"
    rows = read(write(tmp_path, content))
    assert [row.fault for row in rows] == [None] * 20 + ["has bytes that are not in the file's encoding"]
    assert rows[0].cells[0] == "Zoë"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    text = delimiter.join(["Email", "Note"]) + "\n" + delimiter.join(["a@example.com", '"x, y; z"']) + "\n"
    table = open_table(write(tmp_path, text))
    assert table.delimiter == delimiter
    assert [row.cells for row in table.rows()] == [["a@example.com", "x, y; z"]]


def test_excels_own_line_names_the_delimiter(tmp_path: Path) -> None:
    table = open_table(write(tmp_path, "sep=;\nEmail;City\na@example.com;Lima, Peru\n"))
    assert (table.delimiter, table.columns) == (";", ("Email", "City"))
    assert [(row.line, row.cells) for row in table.rows()] == [(3, ["a@example.com", "Lima, Peru"])]


def test_a_table_may_have_one_column(tmp_path: Path) -> None:
    assert [row.cells for row in read(write(tmp_path, "Email\na@example.com\nb@example.com\n"))] == [
        ["a@example.com"],
        ["b@example.com"],
    ]


def test_repeated_and_missing_headers_get_names(tmp_path: Path) -> None:
    assert open_table(write(tmp_path, "Email,Phone,phone,,Phone\n")).columns == (
        "Email",
        "Phone",
        "phone (2)",
        "column 4",
        "Phone (3)",
    )


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    rows = read(write(tmp_path, '\nEmail,Note\na@example.com,"two\nlines"\n\nb@example.com,x\n'))
    assert [(row.line, row.cells[0]) for row in rows] == [(3, "a@example.com"), (6, "b@example.com")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("a@example.com", "has 1 cells where the header has 2"),
        ("a@example.com,x,y", "has 3 cells where the header has 2"),
        ('a@example.com,"x "y" z"', "a quote stands inside a quoted cell: double it"),
    ],
)
def test_a_broken_row_does_not_break_the_next(tmp_path: Path, row: str, fault: str) -> None:
    rows = read(write(tmp_path, f"Email,Note\n{row}\nb@example.com,fine\n"))
    assert [(r.line, r.fault) for r in rows] == [(2, fault), (3, None)]


def test_blank_cells_beyond_the_header_are_no_fault(tmp_path: Path) -> None:
    assert [row.fault for row in read(write(tmp_path, "Email,Note\na@example.com,x,,\n"))] == [None]


def test_a_cut_off_file_is_told_with_the_line_where_it_breaks(tmp_path: Path) -> None:
    rows = read(write(tmp_path, 'Email,Note\na@example.com,x\nb@example.com,"cut\noff'))
    assert [row.line for row in rows] == [2, 3]
    assert rows[1].fault is not None
    assert "ends inside a quoted cell" in rows[1].fault


def test_nul_characters_are_dropped(tmp_path: Path) -> None:
    assert [r.cells for r in read(write(tmp_path, "Email,Note\na@exam\0ple.com,x\0\n"))] == [["a@example.com", "x"]]


def test_a_ten_megabyte_cell_is_read(tmp_path: Path) -> None:
    rows = read(write(tmp_path, f'Email,Note\na@example.com,"{"x" * 10_000_000}"\nb@example.com,y\n'))
    assert [len(row.cells[1]) for row in rows] == [10_000_000, 1]


def test_a_quote_that_is_never_closed_ends_the_import(tmp_path: Path) -> None:
    path = write(tmp_path, 'Email,Note\na@example.com,"' + "x,y\n" * 5_000_000)
    with pytest.raises(ImportFailed, match="line 2 opens a quote that is not closed"):
        read(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n\n \n", "holds only blanks"),
        (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook"),
        (b"\x1f\x8b\x08\x00", "is a gzip archive"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is an HTML page"),
        (b'{"contacts": []}', "looks like JSON"),
        (bytes(range(1, 32)) * 40, "is a binary file"),
        (b"ann@example.com,Ann\nbob@example.com,Bob\n", "has no header line: its first line holds an address"),
    ],
)
def test_what_is_no_table_is_refused_with_a_clear_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(ImportFailed, match=told):
        open_table(write(tmp_path, content))


def test_a_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(ImportFailed, match="Excel workbook"):
        open_table(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="cannot be read: No such file"):
        open_table(tmp_path / "nowhere.csv")
