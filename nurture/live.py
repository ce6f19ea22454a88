"""What runs: the program that was applied, by content hash. Applying stores it whole and moves one pointer.

Everything happens in the caller's transaction. Runs, workers and web read a program from here, never from a folder.
What is cached goes by content hash, so that it is right for every database and after every rollback.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import Connection

from nurture.core.model import VersionId
from nurture.core.program import Program
from nurture.core.sequence import Sequence
from nurture.db import members, programs
from nurture.errors import NotFound, ProgramError, Refused
from nurture.program.artifact import Artifact
from nurture.program.load import Loaded, read_version, rebuild
from nurture.program.reading import text_hash

_T = TypeVar("_T")

NOTHING_LIVE = "nothing is applied yet: run `nurture apply`"


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did: which files were added, changed and removed; `unchanged` when the program was live already.

    `restands` when the lifecycle is another one: everybody is scored anew from now on, page by page (`engine.review`).
    """

    hash: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: bool = False
    restands: bool = False


def apply(connection: Connection, loaded: Loaded, by: str, now: datetime) -> Applied:
    """Make a loaded program live; applying the one that is live changes nothing.

    Raises Refused when contacts are in stages that it does not have, or a sender is named like a rep's.
    """
    program = loaded.program
    coming = plan(connection, loaded)
    if coming.unchanged:
        return coming
    hashes = {path: text_hash(text) for path, text in loaded.files.items()}
    _store(connection, loaded, hashes, now)
    manifest = {"files": hashes, "templates": dict(program.templates)}
    programs.go_live(connection, program.hash, manifest, by, now, restand=coming.restands)
    programs.sync_stages(connection, program.lifecycle.stages)
    programs.sync_senders(connection, list(program.senders.values()), now)
    segments = program.segments
    members.sync(connection, {name: segments.meaning(name, program.lifecycle) for name in segments.by_name})
    return coming


def plan(connection: Connection, loaded: Loaded) -> Applied:
    """Return what applying a loaded program would do; raise Refused where it would be."""
    program = loaded.program
    before = programs.live_hash(connection)
    if before == program.hash:
        return Applied(program.hash, unchanged=True)
    _check_stages(connection, program)
    _check_senders(connection, program)
    hashes = {path: text_hash(text) for path, text in loaded.files.items()}
    old: Mapping[str, str] = programs.manifest(connection, before)["files"] if before else {}
    restands = before is not None and _lifecycle_of(connection, before) != program.lifecycle.hash
    return replace(_difference(program.hash, old, hashes), restands=restands)


def current(connection: Connection) -> Program:
    """Return the live program, with the keys of its sequences' versions; raise NotFound when nothing is applied.

    `templates` also has the last version of those that the program no longer has: runs of older sequences may yet
    need them.
    """
    base = rules(connection)
    keys = programs.version_ids(connection, {sequence.hash for sequence in base.sequences.values()})
    versions = {name: VersionId(keys[name, sequence.hash]) for name, sequence in base.sequences.items()}
    return replace(base, versions=versions, templates={**programs.newest_templates(connection), **base.templates})


def rules(connection: Connection) -> Program:
    """Return the live program as it was applied, for what asks neither for keys nor for templates of older programs.

    Raises NotFound when nothing is applied.
    """
    live = programs.live_hash(connection)
    if live is None:
        raise NotFound(NOTHING_LIVE)
    return _cached.get(live) or _read(connection, live)


def text(connection: Connection, path: str) -> str:
    """Return a file of the live program as it was applied; raise NotFound when there is none."""
    live = programs.live_hash(connection)
    hash_ = programs.manifest(connection, live)["files"].get(path) if live else None
    if hash_ is None:
        raise NotFound(f"the live program has no file {path}" if live else NOTHING_LIVE)
    return programs.texts(connection, {hash_})[hash_]


def current_if_any(connection: Connection) -> Program | None:
    """Return the live program, None as long as nothing was applied."""
    return current(connection) if programs.live_hash(connection) is not None else None


def versions(connection: Connection, ids: Collection[VersionId]) -> Mapping[VersionId, Sequence]:
    """Return the sequences that were stored under these keys; a key that is not there is left out."""
    rows = programs.versions(connection, ids) if ids else []
    return {VersionId(row.id): _sequence(row.definition["text"], row.definition["file"]) for row in rows}


def artifacts(connection: Connection, hashes: Collection[str]) -> Mapping[str, Artifact]:
    """Return compiled templates by hash; one that is not there is left out."""
    found = {hash_: _compiled[hash_] for hash_ in hashes if hash_ in _compiled}
    missing = set(hashes) - found.keys()
    stored = programs.templates(connection, missing) if missing else {}
    for hash_, artifact in stored.items():
        found[hash_] = Artifact.from_json(artifact)
        _keep(_compiled, hash_, found[hash_], _CACHED_TEMPLATES)
    return found


# --- applying ---------------------------------------------------------------------------------------------------------


def _check_stages(connection: Connection, program: Program) -> None:
    stages = [stage.name for stage in program.lifecycle.stages]
    stranded = programs.stranded(connection, stages)
    if stranded:
        where = ", ".join(f"{count} in {stage!r}" for stage, count in stranded.items())
        raise Refused(
            f"lifecycle {program.lifecycle.name!r} lacks stages that contacts are in: {where}. "
            "Move them to another stage first, or keep these stages in the lifecycle."
        )


def _lifecycle_of(connection: Connection, program_hash: str) -> str | None:
    """Return the hash of the lifecycle of a stored program, None where this version cannot read it any more."""
    try:
        program = _cached.get(program_hash) or _read(connection, program_hash)
    except ProgramError:
        return None
    return program.lifecycle.hash


def _check_senders(connection: Connection, program: Program) -> None:
    taken = programs.personal_names(connection, list(program.senders))
    if taken:
        raise Refused(f"sender {taken[0]!r} of nurture.toml is named like a rep's sender: give it another name")


def _store(connection: Connection, loaded: Loaded, hashes: Mapping[str, str], now: datetime) -> None:
    programs.store_files(connection, {hashes[path]: text for path, text in loaded.files.items()})
    programs.store_templates(
        connection,
        [
            {
                "hash": artifact.hash,
                "name": artifact.name,
                "source": {path: hashes[path] for path in _sources(artifact) if path in hashes},
                "artifact": artifact.to_json(),
                "created_at": now,
            }
            for artifact in loaded.artifacts.values()
        ],
    )
    programs.store_versions(
        connection,
        [
            {
                "name": sequence.name,
                "hash": sequence.hash,
                "voice": sequence.voice,
                "definition": {"file": sequence.file, "text": loaded.files[sequence.file]},
                "created_at": now,
            }
            for sequence in loaded.program.sequences.values()
        ],
    )


def _sources(artifact: Artifact) -> list[str]:
    return sorted(f"templates/{part}" for part in artifact.parts)


def _difference(program_hash: str, old: Mapping[str, str], new: Mapping[str, str]) -> Applied:
    return Applied(
        program_hash,
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(path for path in new.keys() & old.keys() if new[path] != old[path])),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


# --- reading ----------------------------------------------------------------------------------------------------------

_CACHED_PROGRAMS = 8
_CACHED_TEMPLATES = 1_000

_cached: dict[str, Program] = {}
_compiled: dict[str, Artifact] = {}


def _read(connection: Connection, live: str) -> Program:
    manifest = programs.manifest(connection, live)
    stored = programs.texts(connection, set(manifest["files"].values()))
    files = {path: stored[hash_] for path, hash_ in manifest["files"].items()}
    program = rebuild(files, manifest["templates"], live)
    _keep(_cached, live, program, _CACHED_PROGRAMS)
    return program


@lru_cache(maxsize=1_000)
def _sequence(text: str, file: str) -> Sequence:
    return read_version(text, file)


def _keep(cache: dict[str, _T], key: str, value: _T, most: int) -> None:
    while len(cache) >= most:
        cache.pop(next(iter(cache)))
    cache[key] = value
