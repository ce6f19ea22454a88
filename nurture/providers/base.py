"""What every provider is: a group of mails in, exactly one receipt for each out. Also finds a provider by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from nurture.mail.wire import Outgoing


class Outcome(StrEnum):
    """What became of one mail.

    `accepted`: the provider has it. `not_sent`: it certainly has not, try again. `refused`: it never will, for this
    mail or recipient. `ambiguous`: nobody knows; never try again without evidence. `sender_refused`: it will not take
    mail from us (token, login, account): pause the sender, not the contact; the mail was not sent.
    """

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"
    SENDER_REFUSED = "sender_refused"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the mail `id`.

    `provider_id` is the provider's name for it, `wire_id` the Message-ID that it really carries where the provider
    changed ours (with angle brackets), `retry_after` the seconds that the provider asked us to wait. `detail` is for
    people and holds no secret.
    """

    id: int
    outcome: Outcome
    provider_id: str | None = None
    detail: str = ""
    retry_after: float | None = None
    wire_id: str | None = None


class Provider(Protocol):
    """A service that carries mail.

    `batch` is how many mails one call of `send` carries at best. `real` is false where nothing leaves this machine.
    """

    name: str
    batch: int
    real: bool

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Send a group within `seconds` in all; return one receipt for each mail, in order. Failing is a value."""
        ...

    def close(self) -> None:
        """Give back connections and threads. Sending afterwards is an error."""
        ...
