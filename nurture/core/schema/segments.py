"""Reads a `kind: segments` file: named conditions, and whom they leave out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo

from nurture.core.schema.comparisons import check_segment
from nurture.core.schema.document import parse
from nurture.core.schema.flaws import Flaws, flawed
from nurture.core.schema.shapes import Name, Shape, When, check, shown, vocabulary
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary
from nurture.core.segments import SUPPRESSED, Segment


def read_segments(text: str, file: str, known: Vocabulary = ANYTHING) -> dict[str, Segment]:
    """Read the segments by name; raise ProgramError with every mistake. Names that `known` knows are checked."""
    document = parse(text, file)
    shape = check(SegmentsShape, document, known)
    return {
        name: Segment(
            name=name,
            when=segment.when,
            description=segment.description,
            exclude=tuple(segment.exclude),
            file=file,
            line=document.key_mark(("segments", name)).line,
        )
        for name, segment in shape.segments.items()
    }


def segment_names(value: Any) -> list[str]:
    """Return the names that a file's segments have, those with mistakes included."""
    found = value.get("segments") if isinstance(value, dict) else None
    return [name for name in found if isinstance(name, str)] if isinstance(found, dict) else []


def _own_name(name: str) -> str:
    if name == SUPPRESSED:
        raise flawed(f"no segment can be named {SUPPRESSED}", "`exclude: suppressed` means everybody who is")
    return name


def _excluded(value: object, info: ValidationInfo) -> str:
    if not isinstance(value, str):
        raise flawed(f"expected the name of a segment, not {shown(value)}")
    if value != SUPPRESSED and (wrong := check_segment(value, vocabulary(info))):
        raise Flaws([wrong])
    return value


def _many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class SegmentShape(Shape):
    """One segment."""

    when: When
    description: str = ""
    exclude: Annotated[list[Annotated[str, PlainValidator(_excluded)]], BeforeValidator(_many)] = Field(
        default_factory=list
    )


class SegmentsShape(Shape):
    """A file of segments."""

    kind: Literal["segments"]
    segments: dict[Annotated[Name, AfterValidator(_own_name)], SegmentShape] = Field(default_factory=dict)
