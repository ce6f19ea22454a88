"""Reading a mapping file: how the columns of a foreign table become fields."""

from __future__ import annotations

from pathlib import Path

from nurture.core.mapping import Mapping
from nurture.core.schema.mapping import read_mapping
from nurture.errors import UsageError


def load_mapping(path: Path) -> Mapping:
    """Read a `kind: mapping` file.

    Raises:
        UsageError: it cannot be read.
        ProgramError: it has mistakes; every one is listed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"the mapping {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the mapping {path} is not UTF-8 text: save it as UTF-8") from None
    return read_mapping(text, str(path))
