"""Reads a `kind: fields` file: the company's own fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from nurture.core.fields import FieldSpec
from nurture.core.model import Value
from nurture.core.schema.comparisons import fits
from nurture.core.schema.document import parse
from nurture.core.schema.flaws import Flaw, Flaws, flawed
from nurture.core.schema.shapes import Shape, Text, check, one_of, shown
from nurture.core.schema.vocabulary import ANYTHING
from nurture.core.words import FieldType


def read_fields(text: str, file: str) -> dict[str, FieldSpec]:
    """Read the own fields by name; raise ProgramError with every mistake."""
    document = parse(text, file)
    shape = check(FieldsShape, document, ANYTHING)
    return {
        name: FieldSpec(
            name=name,
            type=field.type,
            label=field.label or name.replace("_", " ").capitalize(),
            choices=tuple(field.choices),
            on=field.on,
            default=field.default,
            line=document.key_mark(("fields", name)).line,
        )
        for name, field in shape.own.items()
    }


def _field_name(value: object) -> str:
    if not isinstance(value, str) or not value.isidentifier() or not value.islower() or value.startswith("_"):
        raise flawed(f"{shown(value)} is no name of a field", "write small letters, digits and _, a letter first")
    return value


class FieldShape(Shape):
    """One field."""

    type: Annotated[FieldType, BeforeValidator(one_of(FieldType, "type"))]
    label: Text | None = None
    choices: list[Text] = Field(default_factory=list)
    on: Literal["contact", "account"] = "contact"
    default: Any = None

    @model_validator(mode="after")
    def _coherent(self) -> FieldShape:
        if self.type is FieldType.CHOICE and not self.choices:
            raise flawed("a choice needs `choices`", "write choices: [first, second]")
        if self.type is not FieldType.CHOICE and self.choices:
            raise Flaws([Flaw("only a choice has `choices`", "write type: choice", ("choices",), at_key=True)])
        if self.default is not None and not _fits(self.default, self):
            raise Flaws([Flaw(f"the default {shown(self.default)} is no {self.type}", path=("default",))])
        return self


def _fits(value: Value, field: FieldShape) -> bool:
    return fits(field.type, value) and (field.type is not FieldType.CHOICE or value in field.choices)


class FieldsShape(Shape):
    """A file of fields."""

    kind: Literal["fields"]
    own: dict[Annotated[str, BeforeValidator(_field_name)], FieldShape] = Field(default_factory=dict, alias="fields")
