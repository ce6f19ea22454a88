"""A provider from outside the package: it says that a mail is in flight, and finishes it when it is let go."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nurture.mail.wire import Outgoing
from nurture.providers.base import Outcome, Provider, Receipt


def create(options: Mapping[str, object], *, folder: Path, secrets: Mapping[str, str]) -> Provider:
    """Return the provider; the option `gate` is a named pipe: each line that comes out of it lets one mail go."""
    return Patient(Path(str(options["gate"])))


class Patient:
    """One mail a call."""

    name = "patient"
    batch = 1
    real = False

    def __init__(self, gate: Path) -> None:
        self._gate = gate

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        sys.stderr.write("in flight\n")
        sys.stderr.flush()
        self._gate.read_text()
        return [Receipt(mail.id, Outcome.ACCEPTED, provider_id=f"p-{mail.id}") for mail in group]

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        return {}

    def close(self) -> None:
        """Nothing is open."""
