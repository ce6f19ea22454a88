"""Asking before something that cannot be taken back; where nobody can answer, `--yes` must have been said."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nurture.errors import Refused, UsageError

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool, otherwise: str) -> None:
    """Go on if the answer is yes, or `yes` was said before.

    Raises:
        UsageError: nobody can answer here.
        Refused: the answer was no; `otherwise` says what that means ("nothing was applied").
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can answer here: say --yes if it is meant.")
    if not typer.confirm(question, err=True):
        raise Refused(otherwise)
