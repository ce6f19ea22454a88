"""The names that a program file may use, so that a wrong one is found where it is written.

What is None is not checked: a stored version is read again without asking what else the folder held.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from nurture.core.fields import FieldSpec
from nurture.core.words import FieldType, Voice


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Known names. `fields` maps every field of conditions to its type, `values` some of them to their words."""

    fields: Mapping[str, FieldType] | None = None
    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    events: Collection[str] | None = None
    stages: Collection[str] | None = None
    contents: Collection[str] | None = None
    templates: Collection[str] | None = None
    senders: Mapping[str, Voice] | None = None
    segments: Collection[str] | None = None

    def with_fields(self, builtin: Mapping[str, FieldType], own: Mapping[str, FieldSpec]) -> Vocabulary:
        """Return it knowing the built-in fields and those of `fields.yaml`."""
        types = dict(builtin)
        values = dict(self.values)
        for spec in own.values():
            name = f"account.fields.{spec.name}" if spec.on == "account" else f"fields.{spec.name}"
            types[name] = spec.type
            if spec.type is FieldType.CHOICE:
                values[name] = spec.choices
        return replace(self, fields=types, values=values)

    def with_values(self, **values: Collection[str]) -> Vocabulary:
        """Return it knowing which words the fields named may hold."""
        return replace(self, values={**self.values, **values})


ANYTHING = Vocabulary()
"""Knows no names, and so allows every one."""
