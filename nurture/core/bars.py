"""What a rejection or a return bars: moves from marketing to sales, until the time is over or the contact asks."""

from __future__ import annotations

from datetime import datetime

from nurture.core.handoff import FOREVER
from nurture.core.lifecycle import Lifecycle, Move
from nurture.core.model import Situation
from nurture.core.words import Team


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


def is_forever(until: datetime) -> bool:
    """Say whether a bar never ends."""
    return until >= FOREVER
