"""A provider that hands mail to a test's ledger as Postmark would be handed it, and says when it begins."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nurture.mail.wire import Outgoing
from nurture.providers.base import Receipt
from nurture.providers.http import Http
from nurture.providers.postmark import Postmark

SECONDS = 60.0


class Posting:
    """Groups of `batch` to the ledger at `url`."""

    name = "tests.posting"
    real = True

    def __init__(self, url: str, batch: int) -> None:
        self.batch = batch
        self._postmark = Postmark(Http(url), token="secret")

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        sys.stderr.write(f"posting {len(group)}\n")
        sys.stderr.flush()
        return self._postmark.send(group, seconds=SECONDS)

    def close(self) -> None:
        self._postmark.close()


def create(options: Mapping[str, Any], *, folder: Path, secrets: Mapping[str, str]) -> Posting:
    return Posting(str(options["url"]), int(options["batch"]))
