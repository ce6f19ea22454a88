"""Gate: does the contact's stage still speak in this voice, and allow this kind of content?"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from nurture.core.decision import SHARED, Cancel, Check, Due, Reading, Skip
from nurture.core.words import Voice

NAME = "stage"


def check(due: Due, now: datetime) -> Check:
    """Cancel mail in another voice than the stage's; skip content that the stage does not allow."""
    stage = due.lifecycle.stage(due.situation.contact.stage)
    content = due.step.content if due.step else None
    voice = due.message.voice
    read = _read(stage.name, stage.voice, stage.content, voice, content)
    if stage.voice is not voice:
        return read.says(Cancel(f"stage {stage.name} has the {stage.voice} voice, the message the {voice} one"))
    if content and stage.content and content not in stage.content:
        return read.says(Skip(f"stage {stage.name} does not allow {content} content"))
    return read


@lru_cache(maxsize=SHARED)
def _read(stage: str, its_voice: Voice, allowed: frozenset[str], voice: Voice, content: str | None) -> Check:
    inputs = {
        "stage": stage,
        "stage_voice": its_voice.value,
        "voice": voice.value,
        "content": content,
        "allowed": sorted(allowed),
    }
    return Check(Reading(NAME, inputs))
