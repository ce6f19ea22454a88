"""File shapes: YAML text to core values, with every mistake at its line and column. Only `program` reads them.

A file says what it is on its first line: `kind: lifecycle | sequence | segments | fields | mapping`.
"""

from nurture.core.schema.company import PARTS, House, read_house
from nurture.core.schema.conditions import parse_condition
from nurture.core.schema.document import Document, Mark, parse
from nurture.core.schema.fields import read_fields
from nurture.core.schema.flaws import Flaw, Flaws, meant
from nurture.core.schema.lifecycle import look, own_words, read_lifecycle
from nurture.core.schema.mapping import read_mapping
from nurture.core.schema.segments import read_segments, segment_names
from nurture.core.schema.sequence import OWNER, read_sequence
from nurture.core.schema.vocabulary import ANYTHING, Vocabulary

__all__ = [
    "ANYTHING",
    "OWNER",
    "PARTS",
    "Document",
    "Flaw",
    "Flaws",
    "House",
    "Mark",
    "Vocabulary",
    "look",
    "meant",
    "own_words",
    "parse",
    "parse_condition",
    "read_fields",
    "read_house",
    "read_lifecycle",
    "read_mapping",
    "read_segments",
    "read_sequence",
    "segment_names",
]
