"""What cells say, as values of a field's type."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from nurture.core.fields import FieldSpec
from nurture.core.words import FieldType
from nurture.importing import values
from nurture.importing.guess import guess
from nurture.importing.report import safe_cell


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("250", 250),
        ("1,200", 1200),
        ("1.200", 1200),
        ("1 200", 1200),
        ("51-200", 51),
        ("10,000+", 10_000),
        ("$2.5M", 2_500_000),
        ("€ 1.200,50", 1200),
        ("3k", 3000),
    ],
)
def test_amounts_are_read_as_people_write_them(cell: str, amount: int) -> None:
    assert values.whole(cell) == amount


@pytest.mark.parametrize("cell", ["many", "", "n/a", "9" * 30])
def test_what_is_no_amount_is_told(cell: str) -> None:
    with pytest.raises(ValueError, match="number"):
        values.whole(cell)


@pytest.mark.parametrize(
    ("cell", "domain"),
    [
        ("Acme.com", "acme.com"),
        ("https://www.acme.com/about?x=1", "acme.com"),
        ("info@acme.co.uk", "acme.co.uk"),
        ("acme.com:8080", "acme.com"),
    ],
)
def test_domains_come_from_web_addresses(cell: str, domain: str) -> None:
    assert values.domain(cell) == domain


def test_a_moment_without_offset_is_local() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert values.moment("2026-07-01T09:00", None, berlin) == datetime(2026, 7, 1, 7, tzinfo=UTC)
    assert values.moment("2026-07-01T09:00Z", None, berlin) == datetime(2026, 7, 1, 9, tzinfo=UTC)
    assert values.moment("01/07/2026", "%d/%m/%Y", UTC) == datetime(2026, 7, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="write it like"):
        values.moment("yesterday", None, UTC)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (FieldType.TEXT, "two\nlines", "two lines"),
        (FieldType.NUMBER, "12", 12),
        (FieldType.NUMBER, "1.5", 1.5),
        (FieldType.NUMBER, "1.234,5", 1234.5),
        (FieldType.NUMBER, "-3", -3),
        (FieldType.BOOLEAN, "Yes", True),
        (FieldType.BOOLEAN, "0", False),
        (FieldType.DATE, "2026-03-02", "2026-03-02"),
        (FieldType.CHOICE, "GOLD", "Gold"),
    ],
)
def test_own_fields_are_typed(kind: FieldType, cell: str, value: object) -> None:
    assert values.custom(FieldSpec("x", kind, "X", ("Gold", "Silver")), None)(cell) == value


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (FieldType.NUMBER, "a lot"),
        (FieldType.NUMBER, "nan"),
        (FieldType.NUMBER, "inf"),
        (FieldType.BOOLEAN, "perhaps"),
        (FieldType.DATE, "31.31.2026"),
        (FieldType.CHOICE, "Bronze"),
        (FieldType.TEXT, "x" * 5000),
    ],
)
def test_own_fields_refuse_what_does_not_fit(kind: FieldType, cell: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.custom(FieldSpec("x", kind, "X", ("Gold", "Silver")), None)(cell)


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-2.5", "-2.5"),
        ("-2+cmd", "'-2+cmd"),
        ("plain", "plain"),
        (None, ""),
    ],
)
def test_cells_that_we_write_are_no_formulas(cell: str | None, safe: str) -> None:
    assert safe_cell(cell) == safe


def test_well_known_headers_are_recognized() -> None:
    fields = [
        FieldSpec("budget", FieldType.NUMBER, "Yearly budget"),
        FieldSpec("tier", FieldType.TEXT, "Tier", on="account"),
    ]
    mapping = guess(
        ["E-Mail", "First Name", "Vorname", "Company", "# Employees", "Yearly Budget", "tier", "Shoe"], fields
    )
    assert [(target.field, target.expression.columns) for target in mapping.targets] == [
        ("email", ("E-Mail",)),
        ("first_name", ("First Name",)),
        ("account.name", ("Company",)),
        ("account.employees", ("# Employees",)),
        ("fields.budget", ("Yearly Budget",)),
        ("account.fields.tier", ("tier",)),
    ]
