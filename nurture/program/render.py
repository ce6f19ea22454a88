"""An artifact and the values of one contact → one mail. No loader, no clock, no environment per mail.

Compiled templates are kept per process by artifact. Values are flat texts, numbers and tuples of texts; an unknown one
is absent (None and blank texts count as unknown), and a template that reads it without a default holds that message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import jinja2

from nurture.core.model import Value
from nurture.core.quick import quick_init
from nurture.errors import TemplateError
from nurture.program.artifact import Artifact
from nurture.program.filters import MAX_TEXT
from nurture.program.plain import html_of
from nurture.program.quick import Filled, Quick, understand
from nurture.program.sandbox import TURNS, parse, prepare


@quick_init
@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail without its envelope. `html` is never missing: without one of its own it is derived from the text.

    `tame` and `undotted` are what `wire.tamed` promises of text and HTML; where they are false, it is only not known.
    """

    subject: str
    text: str
    html: str
    tame: bool = field(default=False, compare=False)
    undotted: bool = field(default=False, compare=False)


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
        prepared, known = _prepared(artifact), _known(artifact, values)
        filled = prepared.quick.write(known) if quickly and prepared.quick else None
        if filled is None or not _fits(filled, budget):
            filled = _fill_plainly(prepared, known, budget)
    except jinja2.UndefinedError as error:
        raise _unknown(artifact, error) from None
    except _FAILURES as error:
        raise TemplateError(
            f"the template {artifact.name!r} cannot be rendered: {error}", template=artifact.name
        ) from None
    subject, text, html, has_braces, tame, undotted = filled
    subject, text = " ".join(subject.split()), text.strip()
    if html is None:
        html = html_of(text)
    if "\n\n\n" in text:
        text = _GAPS.sub("\n\n", text)
    if has_braces or not (subject and text) or not html or html.isspace():
        _check_whole(artifact, subject, text, html)
    return Rendered(subject, text + "\n", html, tame, undotted and not text.startswith("."))


_FAILURES = (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError, SyntaxError)
_GAPS = re.compile(r"\n(?:[ \t]*\n){2,}")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")
_UNKNOWN: tuple[Value, ...] = (None, "")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A mail's templates: as Jinja knows them and, where they are simple enough, as constant parts and values."""

    subject: jinja2.Template
    text: jinja2.Template
    html: jinja2.Template | None
    loops: bool
    quick: Quick | None


@lru_cache(maxsize=1_000)
def _prepared(artifact: Artifact) -> _Prepared:
    subject, text, html = artifact.subject, artifact.text, artifact.html
    return _Prepared(
        prepare(subject, html=False),
        prepare(text, html=False),
        None if html is None else prepare(html, html=True),
        "{%" in subject + text + (html or ""),
        understand(parse(subject), parse(text), None if html is None else parse(html)),
    )


def _known(artifact: Artifact, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the known values that the template names."""
    if _all_wanted(artifact, values):
        return values
    return {name: value for name in artifact.variables if (value := values.get(name)) not in _UNKNOWN}


def _all_wanted(artifact: Artifact, values: Mapping[str, Value]) -> bool:
    """Tell whether the template names every value there is, and each is known."""
    given = values.values()
    return values.keys() <= artifact.variables and None not in given and "" not in given


def _fits(filled: Filled, budget: Budget) -> bool:
    """Tell whether each part is certainly short enough: no character has more than four bytes."""
    subject, text, html = filled[:3]
    return (len(subject) + len(text) + len(html or "")) * 4 <= budget.output_bytes


def _fill_plainly(prepared: _Prepared, known: Mapping[str, Value], budget: Budget) -> Filled:
    if prepared.loops:
        _check_lengths(known)
    context: dict[str, object] = {**known, TURNS: [budget.turns]}
    subject, text = _fill(prepared.subject, context, budget), _fill(prepared.text, context, budget)
    html = None if prepared.html is None else _fill(prepared.html, context, budget)
    return subject, text, html, True, False, False


def _check_lengths(known: Mapping[str, Value]) -> None:
    """Keep what a loop could do with one value within bounds."""
    for name, value in known.items():
        if isinstance(value, (str, tuple)) and len(value) > MAX_TEXT:
            raise ValueError(f"{name} is longer than {MAX_TEXT:,} characters")


def _fill(template: jinja2.Template, context: dict[str, object], budget: Budget) -> str:
    chunks: list[str] = []
    left = budget.output_bytes
    for chunk in template.root_render_func(template.new_context(context, shared=True)):
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"it is longer than {budget.output_bytes:,} bytes")
        chunks.append(chunk)
    output = "".join(chunks)
    if not output.isascii() and len(output.encode("utf-8", "replace")) > budget.output_bytes:
        raise ValueError(f"it is longer than {budget.output_bytes:,} bytes")
    return output


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


def _check_whole(artifact: Artifact, subject: str, text: str, html: str) -> None:
    """Refuse a mail with an empty part or a raw tag."""
    for part, content in (("subject", subject), ("text", text), ("HTML part", html)):
        if not content or content.isspace():
            what = f"the {part} of {artifact.name!r} is empty for this contact: give its values a default"
            raise TemplateError(what, template=artifact.name)
        if "{{" in content or "{%" in content:
            what = f"the {part} of {artifact.name!r} still has a raw {{{{ or {{% in it: look at the contact's values"
            raise TemplateError(what, template=artifact.name)
