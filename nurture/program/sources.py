"""Template files before anything is compiled: layout, blocks and snippets merged into one text that knows its origins.

Merging happens once, when a program is loaded, so that rendering needs no loader and MJML sees the whole mail.
What is merged is small on purpose: `{% extends 'layouts/x.txt' %}`, `{% block name %}` and
`{% include 'snippets/y.txt' %}`.
A block or an include is replaced by what it stands for, without the blank space around that.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nurture.errors import Problem, ProgramError
from nurture.program.grammar import check_syntax, did_you_mean

FOLDER = "templates/"
SUBJECT = "subject"
MAX_CHARACTERS = 262_144
"""How long one mail may be after merging, before any value is filled in."""
MAX_INCLUDES = 200
"""How many snippets one mail may be made of, however deep."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the file that a person wrote; line and column count from 1."""

    file: str
    line: int
    column: int

    def problem(self, what: str, hint: str | None = None) -> Problem:
        """Return a problem at this place."""
        return Problem(self.file, self.line, self.column, what, hint)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one file."""

    file: str
    source: str
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters of the stretch."""
        return self.source[self.start : self.end]

    def place(self, offset: int = 0) -> Place:
        """Return where the character at `offset` (from the stretch's start) stands in its file."""
        at = self.start + offset
        return Place(self.file, self.source.count("\n", 0, at) + 1, at - self.source.rfind("\n", 0, at))


@dataclass(frozen=True, slots=True)
class Merged:
    """One text made of stretches of several files."""

    pieces: tuple[Piece, ...]
    text: str
    starts: tuple[int, ...]

    def place(self, offset: int) -> Place:
        """Return where the character at `offset` of the merged text was written."""
        index = max(bisect_right(self.starts, offset) - 1, 0)
        return self.pieces[index].place(offset - self.starts[index])

    def find(self, word: str, line: int) -> Place:
        """Return where `word` stands in that line (from 1) of the merged text; the line's first tag if it does not."""
        lines = self.text.split("\n")
        start = sum(len(earlier) + 1 for earlier in lines[: line - 1])
        return self.place(start + _column(lines[line - 1] if line <= len(lines) else "", word))


class Sources:
    """The texts of a program's templates, by path. Paths may begin with `templates/` or be relative to it."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Index `texts`; keep the paths as given for messages."""
        self._texts = {path.removeprefix(FOLDER): _plain_lines(text) for path, text in texts.items()}
        self._parsed: dict[str, _File] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._texts))

    def text(self, path: str) -> str:
        """Return the text of a file that is there."""
        return self._texts[path]

    def merge(self, path: str) -> tuple[Merged, Merged | None, frozenset[str]]:
        """Return the body and the subject (None without a subject block) of a file, and every file that went in.

        Raises ProgramError for a missing layout or snippet, a block that the layout does not have, and text beside
        the blocks of a file that extends a layout.
        """
        chain = self._chain(path)
        blocks: dict[str, _Block] = {}
        for file in chain:
            blocks = {**file.blocks, **blocks}
        expansion = _Expansion(self, blocks, {file.path for file in chain})
        body = _join(expansion.expand(chain[-1].parts, (path,)))
        subject = expansion.expand(blocks[SUBJECT].parts, (path,)) if SUBJECT in blocks else None
        return body, None if subject is None else _join(subject), frozenset(expansion.used)

    def file(self, path: str, asked_by: Place) -> _File:
        """Return a file in parts, or raise ProgramError at the place that asks for it."""
        if path not in self._texts:
            raise ProgramError([asked_by.problem(f"there is no {FOLDER}{path}", did_you_mean(path, self._texts))])
        if path not in self._parsed:
            self._parsed[path] = _parse(path, self._texts[path])
        return self._parsed[path]

    def _chain(self, path: str) -> list[_File]:
        chain = [self.file(path, Place(FOLDER + path, 1, 1))]
        while (extends := chain[-1].extends) is not None:
            parent = self.file(extends.target, extends.place)
            if parent in chain:
                raise ProgramError([extends.place.problem(f"{FOLDER}{extends.target} extends itself")])
            _check_kind(chain[-1].path, extends)
            chain.append(parent)
        _check_child_blocks(chain)
        return chain


@dataclass(frozen=True, slots=True)
class _Link:
    """An `extends` or `include` tag."""

    target: str
    place: Place


@dataclass(slots=True)
class _Block:
    name: str
    place: Place
    parts: list[Piece | _Link | _Block] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    path: str
    parts: list[Piece | _Link | _Block] = field(default_factory=list)
    blocks: dict[str, _Block] = field(default_factory=dict)
    extends: _Link | None = None


@dataclass(slots=True)
class _Expansion:
    """Replaces blocks and includes by the stretches that they stand for."""

    sources: Sources
    blocks: Mapping[str, _Block]
    used: set[str]
    includes: int = 0

    def expand(self, parts: list[Piece | _Link | _Block], inside: tuple[str, ...]) -> list[Piece]:
        found: list[Piece] = []
        for part in parts:
            match part:
                case Piece():
                    found.append(part)
                case _Link():
                    found += self._include(part, inside)
                case _Block(name) if name != SUBJECT:
                    found += _strip(self.expand(self.blocks[name].parts if name in self.blocks else part.parts, inside))
                case _Block():
                    pass
        return found

    def _include(self, link: _Link, inside: tuple[str, ...]) -> list[Piece]:
        if link.target in inside:
            raise ProgramError([link.place.problem(f"{FOLDER}{link.target} includes itself")])
        self.includes += 1
        if self.includes > MAX_INCLUDES:
            raise ProgramError([link.place.problem(f"the mail is made of more than {MAX_INCLUDES} snippets")])
        _check_kind(link.place.file, link)
        file = self.sources.file(link.target, link.place)
        if file.extends is not None or file.blocks:
            raise ProgramError([link.place.problem("a snippet cannot have blocks or a layout", "keep it plain text")])
        self.used.add(link.target)
        return _strip(self.expand(file.parts, (*inside, link.target)))


_TAG = re.compile(r"\{#.*?#\}|\{\{.*?\}\}|\{%[-+]?\s*(?P<word>\w*)\s*(?P<rest>.*?)\s*[-+]?%\}", re.DOTALL)
_PATH = re.compile(r"""(['"])([^'"]+)\1""")
_NAME = re.compile(r"[A-Za-z]\w*")


def _plain_lines(text: str) -> str:
    """Undo what Windows editors do: a byte order mark, carriage returns."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _parse(path: str, text: str) -> _File:
    check_syntax(FOLDER + path, text)
    file = _File(path)
    opened: list[_Block] = []
    last = 0
    for tag in _TAG.finditer(text):
        word, place = tag["word"], Piece(FOLDER + path, text, tag.start(), tag.end()).place()
        if word not in ("extends", "include", "block", "endblock", "raw"):
            continue
        parts = opened[-1].parts if opened else file.parts
        parts.append(Piece(FOLDER + path, text, last, tag.start()))
        last = tag.end()
        match word:
            case "extends":
                file.extends = _Link(_target(tag["rest"], place), place)
            case "include":
                parts.append(_Link(_target(tag["rest"], place), place))
            case "block":
                opened.append(_open(file, tag["rest"], place))
                parts.append(opened[-1])
            case "endblock" if opened:
                opened.pop()
            case _:
                raise ProgramError([place.problem(f"{{% {word} %}} has no place here")])
    if opened:
        raise ProgramError([opened[-1].place.problem(f"the block {opened[-1].name!r} is never closed")])
    file.parts.append(Piece(FOLDER + path, text, last, len(text)))
    return file


def _open(file: _File, name: str, place: Place) -> _Block:
    if not _NAME.fullmatch(name):
        raise ProgramError([place.problem(f"{name!r} is no name for a block", "write {% block content %}")])
    if name in file.blocks:
        raise ProgramError([place.problem(f"the block {name!r} stands twice in this file")])
    file.blocks[name] = _Block(name, place)
    return file.blocks[name]


def _target(rest: str, place: Place) -> str:
    quoted = _PATH.fullmatch(rest)
    if quoted is None:
        raise ProgramError([place.problem(f"{rest} is not one path in quotes", "write 'snippets/name.txt'")])
    return quoted[2].removeprefix(FOLDER)


def _check_kind(by: str, link: _Link) -> None:
    own, other = by.rpartition(".")[2], link.target.rpartition(".")[2]
    if own != other:
        raise ProgramError([link.place.problem(f"a .{own} file cannot be made of a .{other} file")])


def _check_child_blocks(chain: list[_File]) -> None:
    problems: list[Problem] = []
    for index, file in enumerate(chain[:-1]):
        above = {name for parent in chain[index + 1 :] for name in parent.blocks} | {SUBJECT}
        for part in file.parts:
            if isinstance(part, _Block) and part.name not in above:
                hint = did_you_mean(part.name, above)
                problems.append(part.place.problem(f"the layout has no block {part.name!r}", hint))
            elif isinstance(part, _Link):
                problems.append(part.place.problem("this include stands outside of every block and would be lost"))
            elif isinstance(part, Piece) and (loose := _TAG.sub(_blank_comment, part.text)).strip():
                place = part.place(len(loose) - len(loose.lstrip()))
                problems.append(place.problem("this stands outside of every block and would be lost"))
    if problems:
        raise ProgramError(problems)


def _blank_comment(tag: re.Match[str]) -> str:
    return " " * len(tag[0]) if tag[0].startswith("{#") else tag[0]


def _strip(pieces: list[Piece]) -> list[Piece]:
    """Take the line breaks and blank lines off both ends."""
    while pieces and not pieces[0].text.strip():
        pieces = pieces[1:]
    while pieces and not pieces[-1].text.strip():
        pieces = pieces[:-1]
    if not pieces:
        return []
    head = pieces[0]
    start = head.start + len(head.text) - len(head.text.lstrip())
    pieces = [Piece(head.file, head.source, start, head.end), *pieces[1:]]
    tail = pieces[-1]
    return [*pieces[:-1], Piece(tail.file, tail.source, tail.start, tail.start + len(tail.text.rstrip()))]


def _join(pieces: list[Piece]) -> Merged:
    pieces = _strip(pieces)
    starts: list[int] = []
    length = 0
    for piece in pieces:
        starts.append(length)
        length += piece.end - piece.start
        if length > MAX_CHARACTERS:
            raise ProgramError([piece.place().problem(f"the mail is longer than {MAX_CHARACTERS:,} characters")])
    return Merged(tuple(pieces), "".join(piece.text for piece in pieces), tuple(starts))


def _column(line: str, word: str) -> int:
    if word and (found := re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line) or re.search(re.escape(word), line)):
        return found.start()
    tag = re.search(r"\{[{%]", line)
    return tag.start() if tag else 0
