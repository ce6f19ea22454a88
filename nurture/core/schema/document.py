"""YAML 1.2 text as plain values that remember where they stood, so that every mistake can be pointed at.

Scalars follow the YAML 1.2 core schema (`on`, `yes` and `17:00` are text); dates stay text. Anchors, tags and several
documents in one file are refused: a program file says what it means in the place where it means it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from nurture.errors import Problem, ProgramError

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and places in lists."""

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands: line and column from 1, and for text the raw characters that it was read from."""

    line: int
    column: int
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its plain `value`, where every value stands (`values`) and where every key stands (`keys`)."""

    file: str
    value: Any
    values: Mapping[Path, Mark]
    keys: Mapping[Path, Mark]

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line at which the value of `path` begins."""
        return self.mark(path).line

    def mark(self, path: Sequence[str | int]) -> Mark:
        """Return where the value of `path` stands, or the nearest thing around it that stands somewhere."""
        way = tuple(path)
        while way and way not in self.values:
            way = way[:-1]
        return self.values[way]

    def key_mark(self, path: Sequence[str | int]) -> Mark:
        """Return where the key of `path` stands, or its value where it has none."""
        return self.keys.get(tuple(path)) or self.mark(path)

    def problem(self, path: Sequence[str | int], what: str, hint: str | None = None, *, offset: int = 0) -> Problem:
        """Point at the value of `path`, `offset` characters into its text."""
        mark = self.mark(path)
        line, column = _inside(mark, self._text(path), offset)
        return Problem(self.file, line, column, what, hint)

    def key_problem(self, path: Sequence[str | int], what: str, hint: str | None = None) -> Problem:
        """Point at the key of `path`."""
        mark = self.key_mark(path)
        return Problem(self.file, mark.line, mark.column, what, hint)

    def _text(self, path: Sequence[str | int]) -> str:
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return ""
        return value if isinstance(value, str) else ""


@lru_cache(maxsize=128)
def parse(text: str, file: str) -> Document:
    """Read `text`; raise ProgramError naming every syntax mistake, duplicate key and forbidden construct."""
    if len(text) > MAX_CHARACTERS:
        raise ProgramError([Problem(file, 1, 1, f"this file is longer than {MAX_CHARACTERS:,} characters")])
    node = _compose(text, file)
    if node is None:
        raise ProgramError([Problem(file, 1, 1, "this file is empty", "begin it with a line such as `kind: sequence`")])
    builder = _Builder(text, file)
    value = builder.build(node, ())
    if builder.problems:
        raise ProgramError(builder.problems)
    return Document(file, value, builder.values, builder.keys)


def _compose(text: str, file: str) -> Node | None:
    try:
        composed: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ProgramError([Problem(file, line, column, *_syntax(error))]) from None
    except RecursionError:
        raise ProgramError([Problem(file, 1, 1, f"values are nested deeper than {MAX_DEPTH} levels")]) from None
    except YAMLError as error:
        what = str(error).partition("\n")[0]
        raise ProgramError([Problem(file, *_bad_character(text), f"this is no YAML: {what}")]) from None
    except ValueError as error:
        raise ProgramError([Problem(file, 1, 1, f"this is no YAML: {error}")]) from None
    return composed


_SAYINGS = (
    ("'\\t'", "a tab", "indent with spaces: YAML allows no tabs"),
    ("mapping values are not allowed", "a colon where none can stand", "put the text in quotes, or indent the line"),
    ("another document", "a second document begins here", "write it into a file of its own"),
    ("undefined alias", "text cannot begin with *", "put it in quotes"),
    ("cannot start any token", "text cannot begin with this character", "put it in quotes"),
    ("while parsing a flow", "this list or mapping in brackets cannot be read", "put text that has a comma in quotes"),
    ("expected <block end>", "this line does not fit the indentation above it", "indent it like its neighbors"),
    ("unexpected end of stream", "the file ends inside quotes", "close the quotes"),
    ("could not find expected ':'", "a key without a colon", "write `key: value`"),
)
"""What the parser says (a part of it), what we say, and what to do."""


def _syntax(error: MarkedYAMLError) -> tuple[str, str | None]:
    said = " ".join(part for part in (error.problem, error.context) if part)
    for part, what, hint in _SAYINGS:
        if part in said:
            return what, hint
    return f"this is no YAML: {said}", None


def _bad_character(text: str) -> tuple[int, int]:
    found = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    before = text[: found.start()] if found else ""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Builder:
    """Turns nodes into plain values and keeps where they stood."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.problems: list[Problem] = []

    def build(self, node: Node, path: Path) -> Any:
        mark = self._mark(node)
        self.values[path] = mark
        if node.anchor:
            return self._refuse(node, "anchors and aliases (& and *) cannot be used here", "write the value out")
        if len(path) > MAX_DEPTH:
            return self._refuse(node, f"values are nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return [self.build(item, (*path, place)) for place, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in built:
                self._refuse(key_node, f"`{key}` stands here twice", f"first on line {self.keys[(*path, key)].line}")
                continue
            self.keys[(*path, key)] = self._mark(key_node)
            built[key] = self.build(value_node, (*path, key))
        return built

    def _key(self, node: Node) -> str | None:
        if not isinstance(node, ScalarNode):
            self._refuse(node, "a key must be text", "text that begins with { or [ needs quotes")
            return None
        return str(node.value)

    def _scalar(self, node: ScalarNode) -> Any:
        read = _SCALARS.get(str(node.tag))
        if read is None:
            return self._refuse(node, f"tags ({node.tag}) cannot be used here", "text that begins with ! needs quotes")
        try:
            return read(node.value)
        except ValueError:
            return node.value

    def _mark(self, node: Node) -> Mark:
        start = node.start_mark
        raw = self.text[start.index : node.end_mark.index] if isinstance(node, ScalarNode) else ""
        return Mark(start.line + 1, start.column + 1, raw)

    def _refuse(self, node: Node, what: str, hint: str | None = None) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, what, hint))


def _integer(text: str) -> int:
    return int(text.replace("_", ""), 0) if not re.match(r"[-+]?0\d", text) else int(text)


_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Any] = {
    f"{_TAG}str": str,
    f"{_TAG}timestamp": str,
    f"{_TAG}int": _integer,
    f"{_TAG}float": lambda text: float(text.replace("_", "")),
    f"{_TAG}bool": lambda text: text.lower() == "true",
    f"{_TAG}null": lambda text: None,
    "!": str,
}


def _inside(mark: Mark, text: str, offset: int) -> tuple[int, int]:
    """Return line and column of `text[offset]` in the file.

    Folding and indenting change blanks only, so the place is found by counting the characters that are no blanks.
    """
    ahead = sum(not character.isspace() for character in text[:offset])
    raw = mark.raw
    place = _begins(raw)
    while place < len(raw) and (ahead or raw[place].isspace()):
        if raw.startswith("''", place) and raw[0] == "'":
            place += 1
        ahead -= not raw[place].isspace()
        place += 1
    before = raw[:place]
    if "\n" not in before:
        return mark.line, mark.column + place
    return mark.line + before.count("\n"), place - before.rfind("\n")


def _begins(raw: str) -> int:
    """Return where the content of a scalar begins: after the quote, or after the line of `>` or `|`."""
    if raw[:1] in ("'", '"'):
        return 1
    return raw.find("\n") + 1 if raw[:1] in ("|", ">") else 0
