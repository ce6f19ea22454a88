"""Gate: does the contact's stage still speak in this voice, and allow this kind of content?"""

from __future__ import annotations

from datetime import datetime

from nurture.core.decision import Cancel, Due, Finding, Skip


def check(due: Due, now: datetime) -> Finding:
    """Cancel mail in another voice than the stage's; skip content that the stage does not allow."""
    stage = due.lifecycle.stage(due.situation.contact.stage)
    content = due.step.content if due.step else None
    voice = due.message.voice
    inputs = {
        "stage": stage.name,
        "stage_voice": stage.voice.value,
        "voice": voice.value,
        "content": content,
        "allowed": sorted(stage.content),
    }
    if stage.voice is not voice:
        return Finding(Cancel(f"stage {stage.name} has the {stage.voice} voice, the message the {voice} one"), inputs)
    if content and stage.content and content not in stage.content:
        return Finding(Skip(f"stage {stage.name} does not allow {content} content"), inputs)
    return Finding(None, inputs)
