"""What a working folder and its environment say about where and how to run. One frozen value, built at the outside.

`nurture.toml` holds the program's part too (lifecycle, company, senders), which `nurture.program` reads. The
environment wins over the file. Secrets stand in the environment or in `.nurture/keys`, never in the file.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from nurture.core.rates import Limit, Rate, Rates, parse_rate, per_day
from nurture.core.spans import parse_span
from nurture.errors import Problem, ProgramError, SuppressionKeyError, UsageError
from nurture.mail.keys import KeyRing, parse_keys

FILE = "nurture.toml"
KEY_FILE = Path(".nurture", "keys")

T = TypeVar("T")

_PROGRAM = ("lifecycle", "company", "senders")

_VARIABLES = {
    ("database", "url"): "NURTURE_DATABASE_URL",
    ("web", "public_url"): "NURTURE_PUBLIC_URL",
    ("reps", "provider"): "NURTURE_REPS_PROVIDER",
    ("reps", "rate"): "NURTURE_REPS_RATE",
    ("reps", "per_day"): "NURTURE_REPS_PER_DAY",
    ("safety", "redirect_all_to"): "NURTURE_REDIRECT_ALL_TO",
    ("safety", "allow_domains"): "NURTURE_ALLOW_DOMAINS",
    ("safety", "launch_cap"): "NURTURE_LAUNCH_CAP",
    ("safety", "settle_after"): "NURTURE_SETTLE_AFTER",
}
"""The variables of the environment, which win over the file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run. `launch_cap` is messages a day through real providers; `ring` is None where there are no keys.

    `places` says where a provider's option stands ("nurture.toml:12:1"), and under ("smtp", "") where its table does.
    """

    folder: Path
    database_url: str = field(repr=False)
    ring: KeyRing | None
    public_url: str
    providers: Mapping[str, Mapping[str, object]] = field(repr=False)
    reps_provider: str
    redirect_all_to: str | None
    allow_domains: frozenset[str]
    launch_cap: int
    settle_after: timedelta
    rates: Rates
    places: Mapping[tuple[str, str], str]
    secrets: Mapping[str, str] = field(repr=False)

    def secret(self, name: str) -> str | None:
        """Return the environment variable `name`; None when it is missing or empty."""
        return self.secrets.get(name) or None


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Read the settings of a working folder.

    Raises:
        ProgramError: `nurture.toml` has mistakes, all of which are named; so does a variable of the environment.
        SuppressionKeyError: the key file cannot be read.
        UsageError: this is no working folder.
    """
    folder = folder.absolute()
    reading = _Reading(_text(folder, environ), environ)
    settings = Settings(
        folder=folder,
        database_url=_absolute(folder, reading.value("database", "url", _words, "sqlite:///nurture.db")),
        ring=_ring(folder, environ),
        public_url=reading.value("web", "public_url", _public_url, ""),
        providers=reading.tables("providers"),
        reps_provider=reading.value("reps", "provider", _words, "outbox"),
        redirect_all_to=reading.value("safety", "redirect_all_to", _address, "") or None,
        allow_domains=reading.value("safety", "allow_domains", _domains, frozenset()),
        launch_cap=reading.value("safety", "launch_cap", _count, 500),
        settle_after=reading.value("safety", "settle_after", _length, timedelta(days=3)),
        rates=_rates(reading),
        places=reading.places("providers"),
        secrets=dict(environ),
    )
    reading.finish()
    return settings


def _rates(reading: _Reading) -> Rates:
    """Return how much may go out from a rep's mailbox, and to the mailboxes of which domains."""
    own = (reading.value("reps", "rate", _rate, None), reading.value("reps", "per_day", _day, None))
    domains: dict[str, Limit] = {}
    for names, rate in reading.entries("rates", "domains", _rate).items():
        for name in sorted(_domains(names)):
            domains[name] = Limit(f"domain:{names.lower()}:{int(rate.every.total_seconds())}", names.lower(), rate)
    return Rates(tuple(rate for rate in own if rate), domains=domains)


def _text(folder: Path, environ: Mapping[str, str]) -> str:
    try:
        return (folder / FILE).read_text("utf-8")
    except FileNotFoundError:
        if environ.get("NURTURE_DATABASE_URL"):
            return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder / FILE} cannot be read: {error}") from None
    raise UsageError(f"There is no {FILE} in {folder}: go to a working folder, or make one with `nurture init`.")


def _absolute(folder: Path, url: str) -> str:
    """Return a SQLite URL with its path counted from the folder."""
    start = "sqlite:///"
    return f"{start}{folder / url.removeprefix(start)}" if url.startswith(start) else url


def _ring(folder: Path, environ: Mapping[str, str]) -> KeyRing | None:
    if given := environ.get("NURTURE_KEYS"):
        return parse_keys(given)
    path = folder / KEY_FILE
    try:
        return parse_keys(path.read_text("ascii"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds more than ASCII"
        raise SuppressionKeyError(f"the key file {path} cannot be read: {reason}") from None


class _Reading:
    """The file under the environment, and every mistake that was met."""

    def __init__(self, text: str, environ: Mapping[str, str]) -> None:
        self._lines = text.splitlines()
        self._environ = environ
        self._problems: list[Problem] = []
        self._known: dict[str, list[str]] = {}
        try:
            self._file: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ProgramError([_syntax(str(error), text)]) from None

    def value(self, table: str, key: str, read: Callable[[Any], T], default: T) -> T:
        """Return one setting; `read` raises ValueError with what is wrong with it."""
        self._known.setdefault(table, []).append(key)
        variable = _VARIABLES[table, key]
        given = self._environ.get(variable)
        written = self.table(table).get(key)
        if given is None and written is None:
            return default
        try:
            return read(written if given is None else given)
        except ValueError as error:
            file, (line, column) = (FILE, self._place(table, key)) if given is None else (f"${variable}", (1, 1))
            self._problems.append(Problem(file, line, column, str(error)))
            return default

    def tables(self, name: str) -> dict[str, Mapping[str, object]]:
        """Return the tables below a table; who uses them knows what may stand in them."""
        found = self.table(name)
        for key, value in found.items():
            if not isinstance(value, dict):
                self._wrong(name, key, f"{key!r} must be a table", f"write [{name}.{key}]")
        return {key: value for key, value in found.items() if isinstance(value, dict)}

    def places(self, name: str) -> dict[tuple[str, str], str]:
        """Return where the tables below a table and their entries stand, of those that are found."""
        found: dict[tuple[str, str], str] = {}
        for below, entries in self.table(name).items():
            for key in ("", *(entries if isinstance(entries, dict) else ())):
                inside = self._find(f"{name}.{below}", key) if key else None
                if (place := inside or self._find(name, below)) is not None:
                    found[below, key] = f"{FILE}:{place[0]}:{place[1]}"
        return found

    def entries(self, table: str, key: str, read: Callable[[Any], T]) -> dict[str, T]:
        """Return the entries of the table [TABLE.KEY]; `read` raises ValueError with what is wrong with one."""
        self._known.setdefault(table, []).append(key)
        written = self.table(table).get(key, {})
        if not isinstance(written, dict):
            self._wrong(table, key, f"{key!r} must be a table", f"write [{table}.{key}]")
            return {}
        found: dict[str, T] = {}
        for name, value in written.items():
            try:
                found[name] = read(value)
            except ValueError as error:
                self._wrong(f"{table}.{key}", name, str(error))
        return found

    def table(self, name: str) -> dict[str, Any]:
        """Return a table of the file."""
        self._known.setdefault(name, [])
        found = self._file.get(name, {})
        return found if isinstance(found, dict) else {}

    def finish(self) -> None:
        """Raise every mistake that was met, names that nobody knows among them."""
        for table, value in self._file.items():
            if table in _PROGRAM:
                continue
            if table not in self._known:
                self._wrong(None, table, f"unknown setting {table!r}", _meant(table, [*self._known, *_PROGRAM]))
            elif not isinstance(value, dict):
                self._wrong(None, table, f"{table!r} must be a table", f"write [{table}]")
            elif known := self._known[table]:
                for key in value.keys() - set(known):
                    self._wrong(table, key, f"unknown setting {key!r} in [{table}]", _meant(key, known))
        if self._problems:
            raise ProgramError(sorted(self._problems, key=lambda problem: (problem.file, problem.line)))

    def _wrong(self, table: str | None, key: str, what: str, hint: str | None = None) -> None:
        self._problems.append(Problem(FILE, *self._place(table, key), what, hint))

    def _place(self, table: str | None, key: str) -> tuple[int, int]:
        """Return line and column of a key, or of the beginning."""
        return self._find(table, key) or (1, 1)

    def _find(self, table: str | None, key: str) -> tuple[int, int] | None:
        """Return line and column of a key. The parser keeps no positions, so they are looked for."""
        inside: str | None = None
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]", line):
                inside = header[1]
                if inside == (f"{table}.{key}" if table else key):
                    return number, header.start(1) + 1
            elif inside == table and (entry := re.match(rf"\s*[\"']?({re.escape(key)})[\"']?\s*[=.]", line)):
                return number, entry.start(1) + 1
        return None


def _syntax(said: str, text: str) -> Problem:
    place = re.search(r"\s*\(at line (\d+), column (\d+)\)", said)
    line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 1)
    return Problem(FILE, line, column, f"this is no TOML: {said[: place.start()] if place else said}")


def _meant(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"


# --- values, from the file or from the environment --------------------------------------------------------------------


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"this must be a text, not {value!r}")
    return value.strip()


def _public_url(value: Any) -> str:
    url = _words(value).rstrip("/")
    here = re.match(r"http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)", url)
    if url and not here and not re.match(r"https://[^\s/]+", url):
        raise ValueError(f"{url!r} must begin with https://, because mail programs call it")
    return url


def _address(value: Any) -> str:
    address = _words(value)
    if address and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address):
        raise ValueError(f"{address!r} is no e-mail address")
    return address


def _domains(value: Any) -> frozenset[str]:
    found = re.split(r"[,\s]+", value) if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(domain, str) for domain in found):
        raise ValueError('this must be a list of domains, such as ["company.example"]')
    wrong = [domain for domain in found if "@" in domain]
    if wrong:
        raise ValueError(f"{wrong[0]!r} must be a domain without @")
    return frozenset(domain.strip().lower() for domain in found if domain.strip())


def _count(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"this must be a whole number, not {value!r}")
    return number


def _length(value: Any) -> timedelta:
    length = parse_span(_words(value)).elapsed
    if length is None:
        raise ValueError(f"{value!r} must be elapsed time, such as '3 days'")
    return length


def _rate(value: Any) -> Rate:
    return parse_rate(_words(value))


def _day(value: Any) -> Rate | None:
    most = _count(value)
    return per_day(most) if most else None
