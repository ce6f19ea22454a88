"""A compiled template as a value: what is stored when a program is applied, and what a mail is rendered from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nurture.core.words import Voice


@dataclass(frozen=True, slots=True)
class Artifact:
    """Subject, text and HTML as Jinja source, with layout, snippets, MJML and CSS already resolved.

    `html` is None for mail that is written as text only: its HTML part is derived from the text. `variables` are all
    names that it reads, `optional` those that it can do without. `places` says where each name is read first
    (`templates/…:line`), `parts` which files it was made of (relative to `templates/`). `hash` names the content.
    """

    name: str
    voice: Voice
    subject: str
    text: str
    html: str | None
    variables: frozenset[str]
    optional: frozenset[str] = frozenset()
    uses_unsubscribe: bool = False
    uses_postal_address: bool = False
    places: Mapping[str, str] = field(default_factory=dict)
    parts: frozenset[str] = frozenset()
    hash: str = ""

    def __hash__(self) -> int:
        return hash(self.hash)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads back to an equal artifact."""
        return {
            "name": self.name,
            "voice": self.voice.value,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "variables": sorted(self.variables),
            "optional": sorted(self.optional),
            "uses_unsubscribe": self.uses_unsubscribe,
            "uses_postal_address": self.uses_postal_address,
            "places": dict(self.places),
            "parts": sorted(self.parts),
            "hash": self.hash,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Artifact:
        """Return the artifact that `to_json` wrote."""
        sets = {name: frozenset(stored[name]) for name in ("variables", "optional", "parts")}
        return cls(**{**stored, **sets, "voice": Voice(stored["voice"]), "places": dict(stored["places"])})


def content_hash(name: str, voice: Voice, subject: str, text: str, html: str | None) -> str:
    """Return the hash (64 hex digits) of everything that a rendered mail depends on."""
    content = json.dumps([name, voice.value, subject, text, html], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
