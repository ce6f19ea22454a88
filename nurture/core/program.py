"""A program as a value: all that was applied together. Reading files is `program/`, storing it `live`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nurture.core.fields import FieldSpec
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Company, VersionId
from nurture.core.rates import Rate
from nurture.core.segments import NO_SEGMENTS, Segments
from nurture.core.sequence import Sequence
from nurture.core.words import FieldType as FieldType
from nurture.core.words import Voice


@dataclass(frozen=True, slots=True)
class SenderSpec:
    """A marketing sender as `nurture.toml` declares it. Personal senders come from reps."""

    name: str
    voice: Voice
    address: str
    display_name: str
    provider: str
    reply_to: str | None = None
    rate: Rate | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """What is live: one immutable value, named by the hash of everything in it.

    `templates` maps a template's name (`leads/welcome`) to the hash of its compiled artifact.
    `versions` maps a sequence's name to the key of its stored version.
    """

    hash: str
    lifecycle: Lifecycle
    sequences: Mapping[str, Sequence]
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    senders: Mapping[str, SenderSpec] = field(default_factory=dict)
    company: Company = field(default_factory=lambda: Company("", ""))
    templates: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, VersionId] = field(default_factory=dict)
    segments: Segments = NO_SEGMENTS
