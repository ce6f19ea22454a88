"""What a cell says, as a value of a field's type. Everything that does not fit raises ValueError with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from zoneinfo import available_timezones

from nurture.core.fields import FieldSpec
from nurture.core.model import Value
from nurture.core.words import FieldType

LONGEST = 2000
"""Characters in one field."""

Convert = Callable[[str], Value]

_TRUE = frozenset({"true", "yes", "y", "1", "on", "x", "t", "ja", "oui", "si", "sí"})
_FALSE = frozenset({"false", "no", "n", "0", "off", "f", "nein", "non"})
_AMOUNT = re.compile(r"^[^\d+-]{0,4}(?P<sign>-?)(?P<digits>\d[\d.,' \u00a0\u202f]*)(?P<unit>[kKmMbB]?)\b")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_LARGEST = 2**62


def text(value: str) -> str:
    """Return one line of text: runs of blanks and control characters become one space."""
    if not value.isprintable():
        value = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    if len(value) > LONGEST:
        raise ValueError(f"has {len(value):,} characters where {LONGEST:,} are allowed")
    return value


def whole(value: str) -> int:
    """Read a head count or an amount of money: `1,200`, `51-200` (the lower bound), `10,000+`, `$2.5M`."""
    found = _AMOUNT.match(value)
    if not found:
        raise ValueError(f"{_short(value)} is no number")
    amount = round(_decimal(found["digits"]) * _UNITS[found["unit"].lower()])
    if amount > _LARGEST:
        raise ValueError(f"{_short(value)} is too large a number")
    return -amount if found["sign"] else amount


def domain(value: str) -> str:
    """Return the host of a domain or a web address, lower case and without `www.`."""
    host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", value.strip().lower()).split("/")[0].split("?")[0].split(":")[0]
    host = host.rpartition("@")[2].removeprefix("www.").rstrip(".")
    if not re.fullmatch(r"[^\s.,;]+(\.[^\s.,;]+)+", host):
        raise ValueError(f"{_short(value)} is no domain")
    return host


def words(value: str) -> tuple[str, ...]:
    """Split a list at semicolons, bars or commas."""
    return tuple(dict.fromkeys(word for part in re.split(r"[;|,]", value) if (word := text(part.strip()))))


def time_zone(value: str) -> str:
    """Return the name of a time zone of the IANA database."""
    if value not in _zones():
        raise ValueError(f"{_short(value)} is no time zone; write it like Europe/Berlin")
    return value


def moment(value: str, dates: str | None, zone: tzinfo) -> datetime:
    """Read a moment: ISO 8601, or by the strptime format `dates`. Without an offset it is local to `zone`."""
    try:
        read = datetime.strptime(value, dates) if dates else datetime.fromisoformat(value)  # noqa: DTZ007 - zone follows
    except ValueError:
        wanted = f"like {dates}" if dates else "like 2026-03-02 or 2026-03-02T09:00:00Z"
        raise ValueError(f"{_short(value)} is no date; write it {wanted}") from None
    aware = read if read.tzinfo is not None else read.replace(tzinfo=zone)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{_short(value)} is no date of our time") from None


def plain(value: str) -> str | int | float | bool:
    """Return a number, true or false where the text is written as one, else the text."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if re.fullmatch(r"-?(0|[1-9]\d{0,15})", value):
        return int(value)
    return float(value) if re.fullmatch(r"-?(0|[1-9]\d{0,15})\.\d+", value) else text(value)


def custom(spec: FieldSpec, dates: str | None) -> Convert:
    """Return what reads cells into a field of `fields.yaml`."""
    if spec.type is FieldType.NUMBER:
        return _number
    if spec.type is FieldType.BOOLEAN:
        return _boolean
    if spec.type is FieldType.DATE:
        return lambda value: _date(value, dates)
    if spec.type is FieldType.CHOICE:
        choices = {choice.casefold(): choice for choice in spec.choices}
        return lambda value: _choice(value, choices)
    return text


def _number(value: str) -> int | float:
    try:
        number = float(value)
    except ValueError:
        number = _plain_number(value)
    if not abs(number) < _LARGEST:
        raise ValueError(f"{_short(value)} is too large a number")
    return int(number) if number.is_integer() else number


def _plain_number(value: str) -> float:
    found = _AMOUNT.fullmatch(value)
    if not found or found["unit"]:
        raise ValueError(f"{_short(value)} is no number")
    number = _decimal(found["digits"])
    return -number if found["sign"] else number


def _decimal(digits: str) -> float:
    plain = re.sub(r"['\s\u00a0\u202f]", "", digits).rstrip(".,")
    if "," in plain and "." in plain:
        mark = max(",", ".", key=plain.rfind)
        whole_part, _, rest = plain.rpartition(mark)
        return float(re.sub(r"[.,]", "", whole_part) + "." + rest)
    for mark in ",.":
        if mark in plain and re.fullmatch(rf"\d{{1,3}}(\{mark}\d{{3}})+", plain):
            return float(plain.replace(mark, ""))
    if plain.count(",") + plain.count(".") > 1:
        raise ValueError(f"{_short(digits)} is no number")
    return float(plain.replace(",", "."))


def _boolean(value: str) -> bool:
    word = value.casefold()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{_short(value)} is neither yes nor no")


def _date(value: str, dates: str | None) -> str:
    day: date = moment(value, dates, UTC).date()
    return day.isoformat()


def _choice(value: str, choices: dict[str, str]) -> str:
    found = choices.get(value.casefold())
    if found is None:
        raise ValueError(f"{_short(value)} is not one of {', '.join(choices.values())}")
    return found


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:39] + "…")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
