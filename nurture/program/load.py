"""Reads the working folder into a program: every file is checked, and every mistake is told at once.

`load` reads a folder, `build` its texts, `rebuild` the texts of a program that was applied before: those are trusted to
be well formed, so that a newer version's stricter lint cannot stop what runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.lint import lint, template_problems
from nurture.core.program import Program
from nurture.core.schema import ANYTHING, House, look, read_sequence
from nurture.core.segments import Segments
from nurture.core.sequence import Sequence
from nurture.errors import Problem, ProgramError
from nurture.program.artifact import Artifact
from nurture.program.folder import HOUSE, read_folder
from nurture.program.known import template_names
from nurture.program.reading import Reading, text_hash
from nurture.program.toml import program_part


@dataclass(frozen=True, slots=True)
class Loaded:
    """A program with everything that it was made of: texts by path, compiled templates by hash."""

    program: Program
    files: Mapping[str, str]
    artifacts: Mapping[str, Artifact]


def load(folder: Path) -> Loaded:
    """Read and check the program in `folder`; raise ProgramError with every mistake."""
    files, problems = read_folder(folder)
    return build(files, problems)


def build(files: Mapping[str, str], problems: Iterable[Problem] = ()) -> Loaded:
    """Check the program that consists of `files` (path → text); raise ProgramError with every mistake."""
    reading = Reading(files, list(problems))
    house = reading.house()
    reading.check_providers(house)
    reading.sort_by_kind()
    fields = reading.fields()
    lifecycle = reading.lifecycle(house, fields)
    known = reading.vocabulary(house, fields, lifecycle)
    segments = reading.segments(known)
    sequences = reading.sequences(known)
    reading.mappings(known)
    artifacts = reading.templates(sequences)
    if house is None or fields is None:
        raise ProgramError(_sorted(reading.problems))
    names = template_names(fields, house.company)
    if lifecycle is None:
        raise ProgramError(_sorted([*reading.problems, *template_problems(artifacts, names, files)]))
    stored = {**files, HOUSE: program_part(files[HOUSE])}
    program = _program(stored, house, fields, lifecycle, segments, sequences, artifacts)
    reading.problems += lint(program, artifacts, names, files, reading.sequence_names())
    if reading.problems:
        raise ProgramError(_sorted(reading.problems))
    return Loaded(program, stored, {artifact.hash: artifact for artifact in artifacts.values()})


def rebuild(files: Mapping[str, str], templates: Mapping[str, str], hash_: str) -> Program:
    """Return the program that was applied with these `files`; `templates` maps names to the hashes stored then."""
    reading = Reading(files, [])
    house = reading.house()
    reading.sort_by_kind()
    fields = reading.fields()
    lifecycle = reading.lifecycle(house, None)
    segments = reading.segments(ANYTHING)
    sequences = reading.sequences(ANYTHING)
    if house is None or lifecycle is None or reading.problems:
        raise ProgramError(_sorted(reading.problems))
    program = _program(files, house, fields or {}, lifecycle, segments, sequences, {})
    return replace(program, templates=dict(templates), hash=hash_)


def read_version(text: str, file: str) -> Sequence:
    """Return a sequence as it was stored, without asking what else its program held."""
    return read_sequence(text, file)


def _program(
    files: Mapping[str, str],
    house: House,
    fields: Mapping[str, FieldSpec],
    lifecycle: Lifecycle,
    segments: Segments,
    sequences: Mapping[str, Sequence],
    artifacts: Mapping[str, Artifact],
) -> Program:
    templates = {name: artifact.hash for name, artifact in artifacts.items()}
    return Program(
        hash=_hash(files, templates),
        lifecycle=replace(lifecycle, memory=max(lifecycle.memory, _look(segments, sequences.values()))),
        sequences=dict(sequences),
        fields=dict(fields),
        senders=dict(house.senders),
        company=house.company,
        templates=templates,
        segments=segments,
    )


def _hash(files: Mapping[str, str], templates: Mapping[str, str]) -> str:
    manifest = [sorted((path, text_hash(text)) for path, text in files.items()), sorted(templates.items())]
    return text_hash(json.dumps(manifest))


def _look(segments: Segments, sequences: Iterable[Sequence]) -> timedelta:
    """Return how far back the conditions of segments and sequences look."""
    every = list(sequences)
    conditions = [
        *segments.rules.values(),
        *(sequence.audience.when for sequence in every),
        *(exit_.when for sequence in every for exit_ in sequence.exits),
        *(arm.when for sequence in every for step in sequence.steps for arm in step.arms),
    ]
    return max((look(condition) for condition in conditions if condition), default=timedelta())


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda each: (each.file, each.line, each.column, each.what))
