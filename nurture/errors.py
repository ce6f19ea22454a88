"""The exception tree. A message says what failed, on which thing, and what to do next; never a secret.

    NurtureError                    exit code 1
    ├── UsageError                  exit code 2: the command cannot be carried out as it was given
    ├── ProgramError                the folder (or a file in it) is not a valid program; carries `problems`
    ├── TemplateError               a template cannot be rendered for this contact; carries `variable`
    ├── NotFound                    no such contact, message, rep, sequence …
    ├── Refused                     a rule forbids it; the reason is the message
    │   ├── Fenced                  this database may not do that (rehearsal, unknown clone)
    │   └── StaleDraft              the draft changed since it was read
    ├── DatabaseError               the database is missing, older, newer or unreachable
    ├── SuppressionKeyError            the suppression key is missing or is not the database's
    ├── ImportFailed                the file cannot be imported at all (one bad row is never an error)
    └── ProviderError               a provider is configured wrongly (a failed send is a value, not an error)

An expected "no" (a hold, a refused recipient, a duplicate) is a value, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NurtureError(Exception):
    """Base of everything that this package raises on purpose."""

    exit_code = 1


class UsageError(NurtureError):
    """The command cannot be carried out as it was given."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a program file. Lines and columns count from 1; `hint` says what to do ("did you mean …")."""

    file: str
    line: int
    column: int
    what: str
    hint: str | None = None

    def __str__(self) -> str:
        """Return `file:line:column: what, hint`."""
        hint = f", {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.what}{hint}"


class ProgramError(NurtureError):
    """The program folder has mistakes; `problems` lists every one of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep `problems`; the message is one line for each."""
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class TemplateError(NurtureError):
    """A template cannot be rendered: a missing variable, a forbidden operation or an exceeded budget."""

    def __init__(self, message: str, *, template: str, variable: str | None = None, line: int | None = None) -> None:
        """Keep which `template`, which `variable` (where one was missing) and which `line` (from 1)."""
        super().__init__(message)
        self.template = template
        self.variable = variable
        self.line = line


class NotFound(NurtureError):
    """There is no such thing; the message names it and where to look."""


class Refused(NurtureError):
    """A rule forbids it; the message is the reason and what would be allowed."""


class Fenced(Refused):
    """This database may not do that: it is a rehearsal, or it does not know that it is the original."""


class StaleDraft(Refused):
    """The draft is no longer what was read; read it again."""


class DatabaseError(NurtureError):
    """The database is missing, of another version, or cannot be reached."""


class SuppressionKeyError(NurtureError):
    """The suppression key is missing, or is not the key of this database. Nothing is sent."""


class ImportFailed(NurtureError):
    """A file cannot be imported at all."""


class ProviderError(NurtureError):
    """A provider is configured wrongly; `option` names the one to mend, where it is one."""

    def __init__(self, message: str, *, option: str | None = None) -> None:
        """Keep `option`, as it is called in the provider's table."""
        super().__init__(message)
        self.option = option
