"""Named points at which tests stop, kill or hold up a process of their own. Nothing is ever armed in production.

A point costs one look at an empty mapping. Only Python code that runs in the process can arm one: a test starts the
process with a few lines of its own that fill `armed`; no file, variable of the environment or message can.
"""

from __future__ import annotations

from collections.abc import Callable

armed: dict[str, Callable[[], None]] = {}
"""What happens at which point. Empty but in tests."""

CLAIMED = "claimed"
"""A page of messages is claimed and decided; nothing is dispatched yet."""

DECIDED = "decided"
"""A page of due runs is decided and its mail written, in a transaction that has inserted nothing yet."""

DISPATCHING = "dispatching"
"""The intent to send a group is committed; no byte has left."""

ANSWERED = "answered"
"""The provider answered for a group; the truth is not written yet."""

SETTLED = "settled"
"""What the provider answered is committed."""

POINTS = (CLAIMED, DISPATCHING, ANSWERED, SETTLED)
"""What mail passes on the plain way."""

DIRECT_POINTS = (DECIDED, DISPATCHING, ANSWERED, SETTLED)
"""What mail passes that is sent directly."""


def reach(point: str) -> None:
    """Say that the process has come to a point."""
    if armed:
        armed.get(point, _nothing)()


def _nothing() -> None:
    """Go on."""
