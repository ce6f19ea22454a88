"""TOML text as a document that can point at its mistakes: the parser keeps no positions, so they are looked for."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from nurture.core.schema import PARTS, Document, Mark
from nurture.core.schema.document import Path
from nurture.errors import Problem, ProgramError

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_ENTRY = re.compile(r"(\s*)([A-Za-z0-9_.\"'-]+)\s*=\s*")


def parse_toml(text: str, file: str) -> Document:
    """Read the program's part of `text`; raise ProgramError where it is no TOML."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProgramError([_syntax(str(error), text, file)]) from None
    keys: dict[Path, Mark] = {}
    values: dict[Path, Mark] = {(): Mark(1, 1)}
    for path, key, entry in _places(text):
        keys.setdefault(path, key)
        values.setdefault(path, entry)
    return Document(file, {part: _plain(value[part]) for part in PARTS if part in value}, values, keys)


def _syntax(said: str, text: str, file: str) -> Problem:
    found = re.search(r"\s*\(at line (\d+), column (\d+)\)", said)
    whole = text.rstrip()
    end = whole.count("\n") + 1, len(whole) - whole.rfind("\n")
    line, column = (int(found[1]), int(found[2])) if found else end
    what = said[: found.start()] if found else said.partition(" (at ")[0]
    return Problem(file, line, column, f"this is no TOML: {what[:1].lower()}{what[1:]}")


def _places(text: str) -> Iterator[tuple[Path, Mark, Mark]]:
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            mark = Mark(number, header.start(1) + 1)
            yield table, mark, mark
        elif entry := _ENTRY.match(line):
            yield (*table, *_parts(entry[2])), Mark(number, entry.start(2) + 1), Mark(number, entry.end() + 1)


def _parts(written: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in written.split("."))


def _plain(value: Any) -> Any:
    """Return a value without dates, which TOML knows and the program's part has no use for."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


def program_part(text: str) -> str:
    """Return `text` reduced to what belongs to the program, always written in the same way: to be hashed."""
    value = tomllib.loads(text)
    part = {name: value[name] for name in PARTS if name in value}
    return "\n".join(_lines(part, ())) + "\n"


def _lines(table: dict[str, Any], path: Path) -> Iterator[str]:
    if path:
        yield f"[{'.'.join(_text(str(name)) for name in path)}]"
    for key, value in sorted(table.items()):
        if not isinstance(value, dict):
            yield f"{_text(key)} = {_text(value) if isinstance(value, str) else json.dumps(value, default=str)}"
    for key, value in sorted(table.items()):
        if isinstance(value, dict):
            yield from _lines(value, (*path, key))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
