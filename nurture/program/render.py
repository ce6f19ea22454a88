"""An artifact and the values of one contact → one mail. No loader, no clock, no environment per mail.

Compiled templates are kept per process by artifact. Values are flat texts, numbers and tuples of texts; an unknown one
is absent (None and blank texts count as unknown), and a template that reads it without a default holds that message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import jinja2

from nurture.core.model import Value
from nurture.core.quick import quick_init
from nurture.errors import TemplateError
from nurture.program.artifact import Artifact
from nurture.program.filters import MAX_TEXT
from nurture.program.plain import html_of
from nurture.program.quick import Parts, Values, understand
from nurture.program.sandbox import TURNS, parse, prepare


@quick_init
@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail without its envelope. `html` is never missing: without one of its own it is derived from the text."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What one render may use: bytes of each part, and turns of all loops together."""

    output_bytes: int = 262_144
    turns: int = 10_000


DEFAULT_BUDGET = Budget()


def render(
    artifact: Artifact, values: Mapping[str, Value], *, budget: Budget = DEFAULT_BUDGET, quickly: bool = True
) -> Rendered:
    """Fill `values` into `artifact`. `quickly` or not comes out the same: without it, Jinja writes every part.

    Raises TemplateError that names the template and, where one is unknown, the variable and where it is read.
    """
    try:
        prepared = _prepared(artifact) if quickly else _prepared(artifact).plainly()
        filling = Values(_known(artifact, values))
        if prepared.loops:
            _check_lengths(filling)
        fill = _Fill(filling, budget)
        subject = " ".join(fill(prepared.subject).split())
        text = fill(prepared.text).strip()
        html = html_of(text) if prepared.html is None else fill(prepared.html)
    except jinja2.UndefinedError as error:
        raise _unknown(artifact, error) from None
    except _FAILURES as error:
        raise TemplateError(
            f"the template {artifact.name!r} cannot be rendered: {error}", template=artifact.name
        ) from None
    if "\n\n\n" in text:
        text = _GAPS.sub("\n\n", text)
    braces = prepared.has_braces or "{" in filling.words
    _check_whole(artifact, subject, text, html, could_be_raw=braces)
    return Rendered(subject, text + "\n", html)


_FAILURES = (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError, SyntaxError)
_GAPS = re.compile(r"\n(?:[ \t]*\n){2,}")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")
_UNKNOWN: tuple[Value, ...] = (None, "")


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a mail: as Jinja knows it and, where it is simple enough, as constant parts and values."""

    jinja: jinja2.Template
    quick: Parts | None


@dataclass(frozen=True, slots=True)
class _Prepared:
    subject: _Part
    text: _Part
    html: _Part | None
    loops: bool
    has_braces: bool

    def plainly(self) -> _Prepared:
        """Return the same, to be written by Jinja alone."""
        html = replace(self.html, quick=None) if self.html else None
        return _Prepared(replace(self.subject, quick=None), replace(self.text, quick=None), html, self.loops, True)


@lru_cache(maxsize=1_000)
def _prepared(artifact: Artifact) -> _Prepared:
    subject, text = _part(artifact.subject, html=False), _part(artifact.text, html=False)
    html = None if artifact.html is None else _part(artifact.html, html=True)
    parts = [part.quick for part in (subject, text, html) if part is not None]
    sources = artifact.subject + artifact.text + (artifact.html or "")
    return _Prepared(subject, text, html, "{%" in sources, any(part is None or part.has_braces for part in parts))


def _part(source: str, *, html: bool) -> _Part:
    return _Part(prepare(source, html=html), understand(parse(source), html=html))


def _known(artifact: Artifact, values: Mapping[str, Value]) -> dict[str, object]:
    """Return the known values that the template names."""
    if _all_wanted(artifact, values):
        return {**values}
    return {name: value for name in artifact.variables if (value := values.get(name)) not in _UNKNOWN}


def _all_wanted(artifact: Artifact, values: Mapping[str, Value]) -> bool:
    """Tell whether the template names every value there is, and each is known."""
    given = values.values()
    return values.keys() <= artifact.variables and None not in given and "" not in given


def _check_lengths(values: Values) -> None:
    """Keep what a loop could do with one value within bounds."""
    if values.texts and len(values.words) <= MAX_TEXT:
        return
    for name, value in values.known.items():
        if isinstance(value, (str, tuple)) and len(value) > MAX_TEXT:
            raise ValueError(f"{name} is longer than {MAX_TEXT:,} characters")


class _Fill:
    """What fills values into one part of a mail after the other, all out of one budget."""

    def __init__(self, values: Values, budget: Budget) -> None:
        self._values = values
        self._bytes = budget.output_bytes
        self._turns = [budget.turns]

    def __call__(self, part: _Part) -> str:
        output = part.quick.write(self._values) if part.quick else None
        if output is None or len(output) > self._bytes:
            output = self._plainly(part.jinja)
        if not output.isascii() and len(output.encode("utf-8", "replace")) > self._bytes:
            raise ValueError(f"it is longer than {self._bytes:,} bytes")
        return output

    def _plainly(self, template: jinja2.Template) -> str:
        chunks: list[str] = []
        left = self._bytes
        context = template.new_context({**self._values.known, TURNS: self._turns}, shared=True)
        for chunk in template.root_render_func(context):
            left -= len(chunk)
            if left < 0:
                raise ValueError(f"it is longer than {self._bytes:,} bytes")
            chunks.append(chunk)
        return "".join(chunks)


def _unknown(artifact: Artifact, error: jinja2.UndefinedError) -> TemplateError:
    found = _UNDEFINED.search(str(error))
    if found is None:
        return TemplateError(f"the template {artifact.name!r} cannot be rendered: {error}", template=artifact.name)
    name = found[1]
    place = artifact.places.get(name)
    where = f" ({place})" if place else ""
    what = f"the template {artifact.name!r} reads {name!r}{where}, which is not known for this contact"
    hint = f"fill it in, or write {{{{ {name} | default('…') }}}} or {{% if {name} is defined %}}"
    line = int(place.rpartition(":")[2]) if place else None
    return TemplateError(f"{what}: {hint}", template=artifact.name, variable=name, line=line)


def _check_whole(artifact: Artifact, subject: str, text: str, html: str, *, could_be_raw: bool) -> None:
    """Refuse a mail with an empty part or a raw tag; only braces in a value or a constant could make one."""
    for part, content in (("subject", subject), ("text", text), ("HTML part", html)):
        if not content or content.isspace():
            what = f"the {part} of {artifact.name!r} is empty for this contact: give its values a default"
            raise TemplateError(what, template=artifact.name)
        if could_be_raw and ("{{" in content or "{%" in content):
            what = f"the {part} of {artifact.name!r} still has a raw {{{{ or {{% in it: look at the contact's values"
            raise TemplateError(what, template=artifact.name)
