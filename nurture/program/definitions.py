"""Lifecycle files by name: those of the working folder, and the definition packs that nurture ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import nurture
from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.schema import read_fields, read_lifecycle
from nurture.errors import NotFound, Problem, ProgramError, UsageError
from nurture.program.folder import HOUSE, read_folder
from nurture.program.lifecycle import lifecycle_text
from nurture.program.reading import Reading, fields_known, text_hash


def shipped_root() -> Path:
    """Return the folder with the files that `nurture init` copies: beside the package in a checkout, else inside it."""
    package = Path(nurture.__file__).parent
    return package / "_shipped" if (package / "_shipped").is_dir() else package.parent


def packs() -> dict[str, Path]:
    """Return the files of the definition packs by name."""
    return {path.stem: path for path in sorted((shipped_root() / "sequences" / "lifecycles").glob("*.yaml"))}


def shipped_lifecycles() -> list[Lifecycle]:
    """Return every definition pack, by name."""
    return [_read(path, name_of_pack(path), _shipped_fields()) for path in packs().values()]


def name_of_pack(path: Path) -> str:
    """Return how a pack's file is called in what is printed: without the machine's folders."""
    return f"sequences/lifecycles/{path.name}"


def find_lifecycle(word: str | None, folder: Path, fields: Mapping[str, FieldSpec] | None = None) -> Lifecycle:
    """Return the lifecycle that a word names: a file, a name in the folder, or a pack; None is the folder's own.

    `fields` are those that it may speak of; by default what the folder (or for a pack, what nurture ships) declares.

    Raises:
        NotFound: nothing has that name.
        UsageError: the file cannot be read, or there is no folder to look into.
        ProgramError: it has mistakes; every one is listed.
    """
    if word is not None and (path := Path(word)).suffix in (".yaml", ".yml"):
        known = fields if fields is not None else {**_shipped_fields(), **_fields_of(folder)}
        return _read(path, str(path), known)
    here, problems = _of_folder(folder) if (folder / HOUSE).is_file() else ({}, [])
    if word is None:
        return _own(folder, here, problems)
    if word in here:
        return here[word]
    if word in packs():
        return _read(packs()[word], name_of_pack(packs()[word]), {**_shipped_fields(), **(fields or {})})
    known_names = ", ".join(sorted({*here, *packs()}))
    raise NotFound(f"there is no lifecycle {word!r}: there are {known_names}, and files that end in .yaml")


def _own(folder: Path, here: Mapping[str, Lifecycle], problems: Sequence[Problem]) -> Lifecycle:
    if not (folder / HOUSE).is_file():
        raise UsageError(f"there is no {HOUSE} in {folder}: name a pack ({', '.join(packs())}) or a file")
    house = _reading(folder).house()
    if house is not None and house.lifecycle in here:
        return here[house.lifecycle]
    if problems:
        raise ProgramError(problems)
    raise NotFound(f"{HOUSE} names no lifecycle of this folder: there is {', '.join(here) or 'none'}")


def _of_folder(folder: Path) -> tuple[dict[str, Lifecycle], list[Problem]]:
    """Return the lifecycles of a folder by name, and what is wrong with the others."""
    reading = _reading(folder)
    fields = reading.fields()
    found = {}
    for path in reading.by_kind["lifecycle"]:
        lifecycle = reading.collect(partial(_parsed, reading.files[path], path, fields or {}))
        if lifecycle is not None:
            found[lifecycle.name] = lifecycle
    return found, reading.problems


def _reading(folder: Path) -> Reading:
    files, problems = read_folder(folder)
    reading = Reading(files, list(problems))
    reading.sort_by_kind()
    return reading


def _fields_of(folder: Path) -> Mapping[str, FieldSpec]:
    return _reading(folder).fields() or {} if (folder / HOUSE).is_file() else {}


def _shipped_fields() -> Mapping[str, FieldSpec]:
    path = shipped_root() / "fields.yaml"
    return read_fields(path.read_text("utf-8"), path.name) if path.is_file() else {}


def _read(path: Path, file: str, fields: Mapping[str, FieldSpec]) -> Lifecycle:
    return _parsed(lifecycle_text(path), file, fields)


def _parsed(text: str, file: str, fields: Mapping[str, FieldSpec]) -> Lifecycle:
    return replace(read_lifecycle(text, file, fields_known(fields)), hash=text_hash(text))
