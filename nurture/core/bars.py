"""What a rejection or a return bars: moves from marketing to sales, until the time is over or the contact asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nurture.core.conditions import end_of
from nurture.core.handoff import FOREVER
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.model import Bar, Event, Situation
from nurture.core.words import Team

RETURNED = "returned"
"""Why sales does not want whom it gave back until a day."""

BARRING = frozenset({"handoff_rejected", "handoff_returned", "handoff_resumed"})
"""Kinds of events that bar, or lift what bars."""


def crosses(from_stage: str, to_stage: str, lifecycle: Lifecycle) -> bool:
    """Say whether a move leads from a stage of marketing into one of sales."""
    old, new = lifecycle.stage(from_stage), lifecycle.stage(to_stage)
    return (old.owner, new.owner) == (Team.MARKETING, Team.SALES)


def bar_ends(rule: Move, situation: Situation, lifecycle: Lifecycle) -> datetime | None:
    """Return until when sales does not want a contact back by this move; None where nothing bars it.

    An event that the file names in `unless`, since they are in their stage, lifts the bar at once.
    """
    bar = situation.bar
    if bar is None or not crosses(rule.from_stage, rule.to_stage, lifecycle):
        return None
    policy = lifecycle.handoff.rejections.get(bar.why)
    since = situation.contact.stage_since
    lifting = policy.unless if policy else ()
    if any(event.kind in lifting and event.at > since for event in situation.events):
        return None
    return bar.until


def barred(situation: Situation, fresh: Iterable[Event], lifecycle: Lifecycle) -> Bar | None:
    """Return the bar that is left when these events have happened: what sales said last counts.

    A rejection bars for as long as the lifecycle says of its reason, of one that it does not have as long as was said.
    """
    bar = situation.bar
    for event in fresh:
        if event.kind == "handoff_resumed":
            bar = None
        elif event.kind in ("handoff_rejected", "handoff_returned"):
            why = str(event.data.get("why", RETURNED))
            bar = Bar(_until(event, why, situation, lifecycle), why)
    return bar


def _until(event: Event, why: str, situation: Situation, lifecycle: Lifecycle) -> datetime:
    policy = lifecycle.handoff.rejections.get(why) if event.kind == "handoff_rejected" else None
    if policy is not None:
        return FOREVER if policy.cool_off is None else end_of(policy.cool_off, event.at, situation)
    said = event.data.get("until")
    return datetime.fromisoformat(said) if isinstance(said, str) else FOREVER


def is_forever(until: datetime) -> bool:
    """Say whether a bar never ends."""
    return until >= FOREVER
