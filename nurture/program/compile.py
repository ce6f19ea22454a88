"""Template files → artifacts. Everything that does not depend on a contact is resolved here, once per version.

A mail is `NAME.txt` (with its subject as a block) and, for the marketing voice, `NAME.mjml` or `NAME.html` beside it.
Mail that is written as text only is personal unless the caller says otherwise; its HTML part is derived in `render`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import jinja2

from nurture.core.words import Voice
from nurture.errors import Problem, ProgramError
from nurture.program.artifact import Artifact, content_hash
from nurture.program.grammar import did_you_mean, violations
from nurture.program.markup import from_html, from_mjml
from nurture.program.sandbox import parse, prepare
from nurture.program.sources import FOLDER, Merged, Sources
from nurture.program.variables import required, variables

UNSUBSCRIBE = "unsubscribe_url"
POSTAL_ADDRESS = "our_postal_address"
_SHARED = ("layouts/", "snippets/", "assets/")
_SUFFIXES = (".txt", ".mjml", ".html")
_Made = TypeVar("_Made")


def names(sources: Mapping[str, str]) -> list[str]:
    """Return the names of the templates among `sources`, sorted: `leads/welcome` for `templates/leads/welcome.txt`."""
    paths = [path.removeprefix(FOLDER) for path in sources]
    return sorted(
        {path.rpartition(".")[0] for path in paths if path.endswith(_SUFFIXES) and not path.startswith(_SHARED)}
    )


def compile_template(name: str, sources: Mapping[str, str], voice: Voice | None = None) -> Artifact:
    """Compile one template of `sources` (path → text; layouts and snippets included).

    Raises ProgramError with every mistake that could be found, each with file, line and column.
    """
    return _compiled(name, tuple(sources.items()), voice)


@lru_cache(maxsize=256)
def _compiled(name: str, sources: tuple[tuple[str, str], ...], voice: Voice | None) -> Artifact:
    """Compile once for all who read the same files again, as `run --dev` does after a change of a sequence."""
    files = Sources(dict(sources))
    markup = _markup_path(name, files)
    problems: list[Problem] = []
    text = _collect(problems, lambda: _text_part(name, files))
    html = _collect(problems, lambda: _html_part(markup, files)) if markup else None
    voice = voice or (Voice.MARKETING if markup else Voice.PERSONAL)
    if markup and voice is Voice.PERSONAL:
        problems.append(Problem(FOLDER + markup, 1, 1, "personal mail is written as text only", "remove this file"))
    if problems or text is None:
        raise ProgramError(problems)
    return _artifact(name, voice, text, html)


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a mail: Jinja source with everything else resolved, what it was merged from, and its files."""

    source: str
    merged: Merged
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Text:
    subject: _Part
    body: _Part


def _markup_path(name: str, files: Sources) -> str | None:
    found = [path for path in (f"{name}.mjml", f"{name}.html") if path in files]
    if len(found) == 2:
        raise ProgramError([Problem(FOLDER + found[1], 1, 1, f"there is also {FOLDER}{found[0]}", "keep one of them")])
    if f"{name}.txt" in files:
        return found[0] if found else None
    if found:
        what = f"this mail has no text part {FOLDER}{name}.txt"
        raise ProgramError([Problem(FOLDER + found[0], 1, 1, what, "write one; the subject is a block in it")])
    hint = did_you_mean(name, names(dict.fromkeys(files, "")))
    raise ProgramError([Problem(f"{FOLDER}{name}.txt", 1, 1, f"there is no template {name!r}", hint)])


def _text_part(name: str, files: Sources) -> _Text:
    path = f"{name}.txt"
    body, subject, parts = files.merge(path)
    if subject is None or not subject.text:
        what = "this mail has no subject"
        raise ProgramError([Problem(FOLDER + path, 1, 1, what, "write {% block subject %}…{% endblock %}")])
    if not body.text:
        raise ProgramError([Problem(FOLDER + path, 1, 1, "this mail is empty")])
    _check_grammar(subject)
    _check_grammar(body)
    text = _Text(_Part(subject.text, subject), _Part(body.text, body, parts))
    _check_compiles(text.subject, html=False)
    _check_compiles(text.body, html=False)
    return text


def _html_part(path: str, files: Sources) -> _Part:
    body, subject, parts = files.merge(path)
    if subject is not None:
        what = "the subject stands in the text part"
        raise ProgramError([Problem(FOLDER + path, 1, 1, what, "move the block subject into the .txt file")])
    if not body.text:
        raise ProgramError([Problem(FOLDER + path, 1, 1, "this mail is empty")])
    _check_grammar(body)
    part = _Part(from_mjml(body) if path.endswith(".mjml") else from_html(body), body, parts)
    _check_compiles(part, html=True)
    return part


def _check_grammar(merged: Merged) -> None:
    try:
        found = list(violations(parse(merged.text)))
    except (jinja2.TemplateSyntaxError, RecursionError) as error:
        what = f"this template cannot be read: {error}"
        raise ProgramError([merged.place(0).problem(what, "make it simpler")]) from None
    if found:
        raise ProgramError([merged.find(each.word, each.line).problem(each.what, each.hint) for each in found])


def _check_compiles(part: _Part, *, html: bool) -> None:
    """Find now what Jinja and Python only notice when they compile."""
    try:
        prepare(part.source, html=html)
    except (jinja2.TemplateError, SyntaxError, RecursionError, MemoryError) as error:
        what = f"this template cannot be compiled: {error}"
        raise ProgramError([part.merged.place(0).problem(what, "make it simpler")]) from None


def _collect(problems: list[Problem], work: Callable[[], _Made]) -> _Made | None:
    try:
        return work()
    except ProgramError as error:
        problems += error.problems
        return None


def _artifact(name: str, voice: Voice, text: _Text, html: _Part | None) -> Artifact:
    parts = [text.subject, text.body, *([html] if html else [])]
    read = [variables(parse(part.source)) for part in parts]
    needed = {each: place for part in reversed(parts) for each, place in _required(part).items()}
    every = frozenset[str]().union(*read)
    html_source = html.source if html else None
    return Artifact(
        name=name,
        voice=voice,
        subject=text.subject.source,
        text=text.body.source,
        html=html_source,
        variables=every,
        optional=every - needed.keys(),
        uses_unsubscribe=all(UNSUBSCRIBE in names_read for names_read in read[1:]),
        uses_postal_address=all(POSTAL_ADDRESS in names_read for names_read in read[1:]),
        places=needed,
        parts=text.body.files | (html.files if html else frozenset()),
        hash=content_hash(name, voice, text.subject.source, text.body.source, html_source),
    )


def _required(part: _Part) -> dict[str, str]:
    found = {}
    for name, line in required(parse(part.merged.text)):
        place = part.merged.find(name, line)
        found[name] = f"{place.file}:{place.line}"
    return found
