"""One reading of a program's files: each is read by its kind, and the mistakes of all of them are kept."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from nurture.core.facts import FIELDS
from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.program import SenderSpec
from nurture.core.schema import (
    ANYTHING,
    Document,
    House,
    Vocabulary,
    meant,
    own_words,
    parse,
    read_fields,
    read_house,
    read_lifecycle,
    read_mapping,
    read_segments,
    read_sequence,
    segment_names,
)
from nurture.core.segments import Segment, Segments, assemble, built_on, circle
from nurture.core.sequence import Sequence
from nurture.core.words import Voice
from nurture.errors import Problem, ProgramError
from nurture.program.artifact import Artifact
from nurture.program.compile import compile_template, names
from nurture.program.folder import HOUSE, TEMPLATES
from nurture.program.toml import parse_toml

KINDS = ("lifecycle", "sequence", "segments", "fields", "mapping")
"""What a file may be, by the `kind:` on its first line."""

_T = TypeVar("_T")


def text_hash(text: str) -> str:
    """Return the hash that names a text (SHA-256, 64 hex digits)."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class Reading:
    """One reading of a program's files, with the mistakes found so far."""

    files: Mapping[str, str]
    problems: list[Problem]
    by_kind: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    places: dict[str, str] = field(default_factory=dict)

    def collect(self, read: Callable[[], _T]) -> _T | None:
        """Return what `read` returns, or keep its mistakes."""
        try:
            return read()
        except ProgramError as error:
            self.problems += error.problems
        return None

    def house(self) -> House | None:
        """Return the program's part of `nurture.toml`."""
        if HOUSE not in self.files:
            self.problems.append(Problem(HOUSE, 1, 1, f"there is no {HOUSE} here", "begin with `nurture init DIR`"))
            return None
        return self.collect(lambda: read_house(self._house_document()))

    def check_providers(self, house: House | None) -> None:
        """Check that every provider is set up. Only a folder can tell: what is applied leaves the settings out."""
        for sender in house.senders.values() if house else ():
            self._check_provider(sender)

    def _check_provider(self, sender: SenderSpec) -> None:
        set_up = {"outbox", *tomllib.loads(self.files[HOUSE]).get("providers", {})}
        if sender.provider not in set_up and "." not in sender.provider:
            what = f"provider {sender.provider!r} is not set up"
            hint = meant(sender.provider, set_up)
            hint = hint if hint.startswith("did you mean") else f"write [providers.{sender.provider}]"
            place = ("senders", sender.name, "provider")
            self.problems.append(self._house_document().problem(place, what, hint))

    def _house_document(self) -> Document:
        return parse_toml(self.files[HOUSE], HOUSE)

    def sort_by_kind(self) -> None:
        """Find out what every YAML file is."""
        for path in self.files:
            if path.endswith((".yaml", ".yml")):
                document = self.collect(partial(parse, self.files[path], path))
                kind = self.collect(partial(_kind, document)) if document else None
                if kind:
                    self.by_kind[kind].append(path)

    def fields(self) -> dict[str, FieldSpec] | None:
        """Return the own fields of all files, None when one of them cannot be read."""
        found: dict[str, FieldSpec] = {}
        complete = True
        for path in self.by_kind["fields"]:
            read = self.collect(partial(read_fields, self.files[path], path))
            complete = complete and read is not None
            for name, spec in (read or {}).items():
                self._once("field", name, path, spec.line)
                found[name] = spec
        return found if complete else None

    def lifecycle(self, house: House | None, fields: dict[str, FieldSpec] | None) -> Lifecycle | None:
        """Return the lifecycle that `nurture.toml` names; all are checked."""
        known = ANYTHING if fields is None else fields_known(fields)
        found: dict[str, Lifecycle] = {}
        paths = self.by_kind["lifecycle"]
        for path in paths:
            read = self.collect(partial(read_lifecycle, self.files[path], path, known))
            if read:
                self._once("lifecycle", read.name, path, 1)
                found[read.name] = replace(read, hash=text_hash(self.files[path]))
        if house and house.lifecycle not in found and len(found) == len(paths):
            what = f"there is no lifecycle {house.lifecycle!r}"
            hint = meant(house.lifecycle, found) if found else "write a file with `kind: lifecycle` under sequences/"
            self.problems.append(self._house_document().problem(("lifecycle",), what, hint))
        return found.get(house.lifecycle) if house else None

    def vocabulary(
        self, house: House | None, fields: dict[str, FieldSpec] | None, lifecycle: Lifecycle | None
    ) -> Vocabulary:
        """Return the names that sequences may use; what could not be read is not checked."""
        known = Vocabulary() if fields is None else fields_known(fields)
        if lifecycle:
            known = own_words(parse(self.files[lifecycle.file], lifecycle.file), known)
            contents = [stage.content for stage in lifecycle.stages if stage.voice is not Voice.SILENT]
            known = replace(known, contents=frozenset().union(*contents) if all(contents) else None)
        if house:
            known = replace(known, senders={name: sender.voice for name, sender in house.senders.items()})
        return replace(known, templates=names(self._templates()), segments=self.segment_names())

    def sequences(self, known: Vocabulary) -> dict[str, Sequence]:
        """Return the sequences that can be read, by name."""
        found: dict[str, Sequence] = {}
        for path in self.by_kind["sequence"]:
            read = self.collect(partial(read_sequence, self.files[path], path, known))
            if read and self._once("sequence", read.name, path, 1):
                found[read.name] = read
        return found

    def segments(self, known: Vocabulary) -> Segments:
        """Return the segments that can be read; those that are built on themselves are mistakes, and left out."""
        found: dict[str, Segment] = {}
        for path in self.by_kind["segments"]:
            read = self.collect(partial(read_segments, self.files[path], path, known)) or {}
            found |= {name: one for name, one in read.items() if self._once("segment", name, path, one.line)}
        while around := circle(found):
            segment = found.pop(around[0])
            document = parse(self.files[segment.file], segment.file)
            what = f"segment {segment.name!r} is built on itself: {' → '.join(around)}"
            self.problems.append(document.key_problem(("segments", segment.name), what, "take one of them out"))
        while strange := [one for one in found.values() if not found.keys() >= set(built_on(one))]:
            del found[strange[0].name]  # what it is built on has mistakes of its own
        return assemble(found.values())

    def segment_names(self) -> set[str]:
        """Return the names that the files give segments, those with mistakes included."""
        return {
            name for path in self.by_kind["segments"] for name in segment_names(parse(self.files[path], path).value)
        }

    def sequence_names(self) -> set[str]:
        """Return the names that the sequence files give themselves, those with mistakes included."""
        documents = (parse(self.files[path], path) for path in self.by_kind["sequence"])
        return {str(document.value.get("name")) for document in documents}

    def mappings(self, known: Vocabulary) -> None:
        """Check the mappings; imports read them when they are asked to."""
        for path in self.by_kind["mapping"]:
            self.collect(partial(read_mapping, self.files[path], path, known))

    def templates(self, sequences: Mapping[str, Sequence]) -> dict[str, Artifact]:
        """Return the templates that can be compiled, by name, each in the voice of the sequence that uses it."""
        sources = self._templates()
        voices = {step.template: each.voice for each in sequences.values() for step in each.steps if step.template}
        found: dict[str, Artifact] = {}
        for name in names(sources):
            made = self.collect(partial(compile_template, name, sources, voices.get(name)))
            if made:
                found[name] = made
        return found

    def _templates(self) -> dict[str, str]:
        return {path: text for path, text in self.files.items() if path.startswith(TEMPLATES)}

    def _once(self, noun: str, name: str, path: str, line: int) -> bool:
        """Keep it as a mistake when another file has a thing of that name already."""
        first = self.places.setdefault(f"{noun} {name}", path)
        if first == path:
            return True
        document = parse(self.files[path], path)
        listed = {"field": "fields", "segment": "segments"}.get(noun)
        way = (listed, name) if listed else ("name",)
        point = document.key_problem if listed else document.problem
        self.problems.append(point(way, f"{noun} {name!r} stands in {first} too", "give one of them another name"))
        return False


def _kind(document: Document) -> str:
    value = document.value.get("kind") if isinstance(document.value, dict) else None
    if value is None:
        what = "this file does not say what it is"
        hint = f"begin it with `kind: …` ({', '.join(KINDS)})"
        raise ProgramError([Problem(document.file, 1, 1, what, hint)])
    if value not in KINDS:
        raise ProgramError([document.problem(("kind",), f"unknown kind {value!r}", meant(str(value), KINDS))])
    return str(value)


def fields_known(fields: Mapping[str, FieldSpec]) -> Vocabulary:
    """Return a vocabulary that knows the built-in fields and these own ones."""
    return Vocabulary().with_fields({name: info.type for name, info in FIELDS.items()}, fields)
