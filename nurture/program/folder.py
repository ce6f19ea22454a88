"""The files of a working folder that belong to its program, as texts by path (with `/`, relative to the folder)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nurture.errors import Problem

HOUSE = "nurture.toml"
TEMPLATES = "templates/"

_YAML = (".yaml", ".yml")
_SOURCES = (".txt", ".mjml", ".html", ".css")
_MOST_BYTES = 1_000_000
_FOREIGN = frozenset({"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"})
"""Files of other programs that like to lie in the same folder."""


def read_folder(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """Return the texts of the program in `folder`, and what could not be read."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in _paths(folder):
        name = path.relative_to(folder).as_posix()
        text, wrong = _read(path)
        texts[name] = text
        if wrong:
            problems.append(Problem(name, 1, 1, *wrong))
    return texts, problems


def _paths(folder: Path) -> Iterator[Path]:
    yield from (path for path in (folder / HOUSE,) if path.is_file())
    beside = (path for path in folder.iterdir() if path.suffix in _YAML and path.name not in _FOREIGN)
    yield from sorted(path for path in beside if path.is_file())
    yield from _below(folder / "sequences", _YAML)
    yield from _below(folder / "templates", _SOURCES)


def _below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files below `folder` without those that begin with a dot, which editors leave behind."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in suffixes and path.is_file() and not hidden:
            yield path


def _read(path: Path) -> tuple[str, tuple[str, str] | None]:
    """Return the text, or none and what is wrong: what and hint."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return "", (f"this file cannot be read: {error.strerror or error}", "check its permissions")
    if len(raw) > _MOST_BYTES:
        return "", (f"this file is larger than {_MOST_BYTES:,} bytes", "is it in the right folder?")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n"), None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return "", (f"this file is not UTF-8 text (line {line})", "save it as UTF-8")
