"""Commands as people type them, in this process. Only what is tested of `main` itself starts one of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer.main
from typer.testing import CliRunner

from nurture.cli import app


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def typed(words: Sequence[str], environ: Mapping[str, str | None] | None = None) -> Said:
    """Run `nurture WORDS` with changes to the environment (None takes a variable away); raise what it does not tell."""
    code: object = 0
    with CliRunner().isolation(env=environ) as (out, err, _):
        try:
            _command().main(args=list(words), prog_name="nurture")
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        assert isinstance(code, int), code
        return Said(code, _text(out.getvalue()), _text(err.getvalue()))


def _text(printed: bytes) -> str:
    return printed.decode().replace("\r\n", "\n")


@cache
def _command() -> Any:
    """Read every command's options once: that takes longer than most commands."""
    return typer.main.get_command(app)
