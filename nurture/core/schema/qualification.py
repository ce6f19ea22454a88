"""Reads the `qualification:` part of a lifecycle file: the slots, and the events that fill them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from nurture.core.definition import Slot, SlotSource
from nurture.core.schema.document import Document
from nurture.core.schema.flaws import Flaw, Flaws, flawed, meant
from nurture.core.schema.shapes import EventName, Length, Shape, Text, shown
from nurture.core.spans import Span, Unit

FRESH_FOR = Span(180, Unit.DAYS)
"""How long a statement stays fresh where the file does not say."""


def read_slots(shape: QualificationShape, document: Document) -> tuple[Slot, ...]:
    """Return the slots of a checked file, in its order."""
    way = ("qualification", "slots")
    return tuple(
        Slot(
            name=name,
            label=slot.label or name.replace("_", " ").replace("-", " ").capitalize(),
            fresh_for=slot.fresh_for or shape.fresh_for,
            values=tuple(slot.values),
            against=frozenset(slot.against),
            sources=tuple(
                _source(source, document.line((*way, name, "from", at))) for at, source in enumerate(slot.sources)
            ),
            line=document.key_mark((*way, name)).line,
        )
        for name, slot in shape.slots.items()
    )


def slot_words(value: object) -> dict[str, list[str]]:
    """Return the names of the slots in the raw value of a file, each with its words (none: any text)."""
    part = value.get("qualification") if isinstance(value, dict) else None
    slots = part.get("slots") if isinstance(part, dict) else None
    if not isinstance(slots, dict):
        return {}
    return {name: _words(slot) for name, slot in slots.items()}


def _words(slot: object) -> list[str]:
    values = slot.get("values") if isinstance(slot, dict) else None
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _source(shape: SourceShape, line: int) -> SlotSource:
    return SlotSource(shape.event, shape.value, shape.data, shape.where, shape.confidence, line)


def _slot_name(value: object) -> str:
    if not isinstance(value, str) or not value.isidentifier() or not value.islower() or value.startswith("_"):
        raise flawed(f"{shown(value)} is no name of a slot", "write small letters, digits and _, a letter first")
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise flawed(f"expected a number from 0 to 1, not {shown(value)}")
    return float(value)


def _where(value: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict) or not value:
        raise flawed("expected what the event's data must say", "write where: {form: pricing}")
    return tuple((name, _allowed(words)) for name, words in value.items())


def _allowed(words: object) -> tuple[str, ...]:
    every = words if isinstance(words, list) else [words]
    return tuple(str(word).lower() if isinstance(word, bool) else str(word) for word in every)


Share = Annotated[float, BeforeValidator(_share)]


class SourceShape(Shape):
    """A kind of event that fills the slot."""

    event: EventName
    value: Text | None = None
    data: Text | None = None
    where: Annotated[tuple[tuple[str, tuple[str, ...]], ...], PlainValidator(_where)] = ()
    confidence: Share = 1.0

    @model_validator(mode="after")
    def _says_one_thing(self) -> SourceShape:
        if (self.value is None) == (self.data is None):
            raise flawed("a source has `value` or `data`", "write what the event means, or where its data say it")
        return self


def _unlike(values: list[str]) -> list[str]:
    twice = [at for at, value in enumerate(values) if value.casefold() in [v.casefold() for v in values[:at]]]
    if twice:
        raise Flaws(Flaw(f"{values[at]!r} stands here twice", path=(at,)) for at in twice)
    return values


class SlotShape(Shape):
    """One slot."""

    label: Text | None = None
    values: Annotated[list[Text], AfterValidator(_unlike)] = Field(default_factory=list)
    against: list[Text] = Field(default_factory=list)
    fresh_for: Length | None = None
    sources: list[SourceShape] = Field(default_factory=list, alias="from")

    @model_validator(mode="after")
    def _known_values(self) -> SlotShape:
        if flaws := list(self._unknown()):
            raise Flaws(flaws)
        return self

    def _unknown(self) -> Any:
        if self.against and not self.values:
            yield Flaw("`against` needs `values`", "list the words that the slot may hold", ("against",), at_key=True)
            return
        for at, word in enumerate(self.against):
            if word not in self.values:
                yield Flaw(f"{word!r} is not one of `values`", meant(word, self.values), ("against", at))
        for at, source in enumerate(self.sources):
            if self.values and source.value is not None and source.value not in self.values:
                what, hint = f"the slot never holds {source.value!r}", meant(source.value, self.values)
                yield Flaw(what, hint, ("from", at, "value"))


class QualificationShape(Shape):
    """The slots."""

    fresh_for: Length = FRESH_FOR
    least_confidence: Share = 0.5
    slots: dict[Annotated[str, BeforeValidator(_slot_name)], SlotShape] = Field(default_factory=dict)
