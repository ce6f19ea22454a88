"""Cross-checks of a whole program: what is wrong between files that are each well formed. Pure; reads no file.

Shapes, names and conditions were checked when the files were read (`core.schema`); here are the mistakes that only show
when lifecycle, sequences and templates are looked at together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Protocol

from nurture.core.findings import Texts
from nurture.core.lint_lifecycle import lifecycle_problems
from nurture.core.lint_sequences import sequence_problems
from nurture.core.program import Program
from nurture.core.words import Voice
from nurture.errors import Problem

SENDING_VALUES: Mapping[Voice, frozenset[str]] = {
    Voice.MARKETING: frozenset({"unsubscribe_url", "first_of_run"}),
    Voice.PERSONAL: frozenset({"first_of_run"}),
}
"""What sending adds to the values of `telling.template_values`, by voice."""


class Compiled(Protocol):
    """What lint asks of a compiled template. `places` says where what it cannot do without is read (`file:line`)."""

    @property
    def voice(self) -> Voice:
        """How it speaks."""

    @property
    def variables(self) -> frozenset[str]:
        """All names that it reads."""

    @property
    def places(self) -> Mapping[str, str]:
        """Where each required name is read first."""

    @property
    def parts(self) -> frozenset[str]:
        """The files that it was made of, relative to `templates/`."""

    @property
    def uses_unsubscribe(self) -> bool:
        """Whether every part has the link."""

    @property
    def uses_postal_address(self) -> bool:
        """Whether every part has the address."""


def lint(
    program: Program,
    templates: Mapping[str, Compiled],
    known: Collection[str],
    files: Mapping[str, str],
    unread: Collection[str] = (),
) -> tuple[Problem, ...]:
    """Return every mistake, in the order of files and lines.

    `known` are the names that `telling.template_values` can answer, `files` the texts (path → text) to point into,
    `unread` the names of sequences that are there but have mistakes of their own.
    """
    texts = Texts(files)
    found = [
        *lifecycle_problems(program, texts),
        *sequence_problems(program, texts, {*program.sequences, *unread}),
        *_used_by_both_voices(program, texts),
        *template_problems(templates, known, files),
        *_unset_about_us(program, templates, texts),
    ]
    return tuple(sorted(set(found), key=lambda problem: (problem.file, problem.line, problem.column, problem.what)))


def template_problems(
    templates: Mapping[str, Compiled], known: Collection[str], files: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield the mistakes of templates that show without the lifecycle and the sequences."""
    texts = Texts(files)
    for name, template in templates.items():
        yield from _unknown_variables(template, known, texts)
        if template.voice is Voice.MARKETING:
            yield from _missing_footer(name, template, texts)


def _used_by_both_voices(program: Program, texts: Texts) -> Iterator[Problem]:
    first: dict[str, tuple[str, Voice]] = {}
    for sequence in program.sequences.values():
        for step in sequence.steps:
            if step.template is None:
                continue
            name, voice = first.setdefault(step.template, (sequence.name, sequence.voice))
            if voice is not sequence.voice:
                what = f"template {step.template!r} is {sequence.voice} mail here and {voice} mail in sequence {name!r}"
                yield texts.problem(sequence.file, step.line, what, "write one for each voice", word=step.template)


def _unset_about_us(program: Program, templates: Mapping[str, Compiled], texts: Texts) -> Iterator[Problem]:
    """Yield where a template cannot do without what nobody said about the company: all of its mail would be held."""
    about = program.company
    for setting, value in (("website", about.website), ("privacy_url", about.privacy_url)):
        variable = f"our_{setting}"
        for template in templates.values():
            if value is None and variable in template.places:
                file, line = _place(variable, template, texts)
                hint = f"write {setting} in [company] of nurture.toml, or {{% if {variable} is defined %}} here"
                yield texts.problem(file, line, f"`{variable}` is not set", hint, word=variable)


def _unknown_variables(template: Compiled, known: Collection[str], texts: Texts) -> Iterator[Problem]:
    allowed = {*known, *SENDING_VALUES[template.voice]}
    for variable in sorted(template.variables - allowed):
        file, line = _place(variable, template, texts)
        yield texts.problem(
            file, line, f"unknown variable `{variable}`", _variable_hint(variable, allowed), word=variable
        )


def _variable_hint(variable: str, allowed: Collection[str]) -> str:
    if variable in SENDING_VALUES[Voice.MARKETING]:
        return "only marketing mail has it"
    close = get_close_matches(variable, sorted(allowed), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else "own fields stand in fields.yaml"


def _place(variable: str, template: Compiled, texts: Texts) -> tuple[str, int]:
    if variable in template.places:
        file, _, line = template.places[variable].rpartition(":")
        return file, int(line)
    parts = sorted(f"templates/{part}" for part in template.parts)
    return next((part for part in parts if variable in texts.files.get(part, "")), parts[0] if parts else ""), 1


def _missing_footer(name: str, template: Compiled, texts: Texts) -> Iterator[Problem]:
    file = f"templates/{name}.txt"
    for present, what, variable in (
        (template.uses_unsubscribe, "no unsubscribe link", "unsubscribe_url"),
        (template.uses_postal_address, "no postal address", "our_postal_address"),
    ):
        if not present:
            hint = f"every part needs {{{{ {variable} }}}}: extend a layout that has it"
            yield texts.problem(file, 1, f"marketing mail {name!r} has {what}", hint)
