"""The company's own fields as values."""

from __future__ import annotations

from dataclasses import dataclass

from nurture.core.model import Value
from nurture.core.words import FieldType


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A custom field as `fields.yaml` declares it. `on` is `contact` or `account`."""

    name: str
    type: FieldType
    label: str
    choices: tuple[str, ...] = ()
    on: str = "contact"
    default: Value = None
    line: int = 0
