"""The gates as plainly as can be, everything made anew for every message: what `decide` is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nurture.core.calendars import is_open, jitter, next_open, resolve_zone
from nurture.core.decision import Cancel, Due, Hold, Skip
from nurture.core.events import INBOUND, REPLIES
from nurture.core.gates.approval import VOIDING
from nurture.core.lateness import Later, judge
from nurture.core.words import LIVE_ENROLLMENTS, SENT_MESSAGES, EnrollmentState, Scope, Voice

Answer = Hold | Skip | Cancel | None
Found = tuple[str, Answer, dict[str, Any]]

SOON, DAY = timedelta(minutes=15), timedelta(days=1)


def decide(due: Due, now: datetime) -> tuple[Answer, list[dict[str, Any]]]:
    """Return the answer (None: it may go) and what every gate up to it read, as it is shown."""
    checks = []
    for name, answer, inputs in _gates(due, now):
        reason = answer.reason if answer else ""
        checks.append({"gate": name, "passed": not answer, "reason": reason, "inputs": inputs})
        if answer:
            return answer, checks
    return None, checks


def _gates(due: Due, now: datetime) -> Iterator[Found]:
    for gate in (_program, _sender, _consent, _stage, _enrollment, _reply, _approval, _unsubscribe, _caps, _window):
        yield (gate.__name__[1:], *gate(due, now))
    yield ("lateness", *_lateness(due, now))


def _program(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    inputs = {"sending_paused": due.sending_paused, "sequence_live": due.sequence_live}
    if due.sending_paused is None and due.sequence_live:
        return None, inputs
    reason = "the sequence is paused" if due.sending_paused is None else f"sending is paused: {due.sending_paused}"
    return Hold(reason, now + SOON + jitter(due.seed, 2 * SOON)), inputs


def _sender(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    inputs = {"sender": due.sender.name, "paused": due.sender.paused_reason}
    if not due.sender.paused_reason:
        return None, inputs
    reason = f"sender {due.sender.name} is paused: {due.sender.paused_reason}"
    return Hold(reason, now + SOON + jitter(due.seed, 2 * SOON)), inputs


def _consent(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    wishes, voice = due.situation.suppressions, due.message.voice
    inputs = {
        "voice": voice.value,
        "has_address": bool(due.situation.contact.email),
        "suppressions": [f"{s.scope} since {s.at.isoformat()}: {s.reason}" for s in wishes],
    }
    if not due.situation.contact.email:
        return Cancel("the contact has no address"), inputs
    for wish in wishes:
        if wish.scope is Scope.ALL or wish.scope.value == voice.value:
            return Cancel(f"suppressed for {wish.scope}: {wish.reason}"), inputs
        own = [m for m in due.situation.messages if m.enrollment_id == due.message.enrollment_id]
        begun = any(m.state in SENT_MESSAGES for m in own)
        word = any(e.kind in INBOUND and e.at > wish.at and e.trust >= 0.5 for e in due.situation.events)
        if wish.scope is Scope.MARKETING and due.message.enrollment_id is not None and not begun and not word:
            reason = f"suppressed for marketing ({wish.reason}), and no word from the contact since"
            return Cancel(reason), inputs
    return None, inputs


def _stage(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
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
        return Cancel(f"stage {stage.name} has the {stage.voice} voice, the message the {voice} one"), inputs
    if content and stage.content and content not in stage.content:
        return Skip(f"stage {stage.name} does not allow {content} content"), inputs
    return None, inputs


def _enrollment(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    key = due.message.enrollment_id
    if key is None:
        return None, {"enrollment": None}
    run = next((run for run in due.situation.enrollments if run.id == key), None)
    if run is None:
        return Cancel("its run no longer exists"), {"enrollment": key}
    inputs = {
        "enrollment": run.id,
        "sequence": run.sequence,
        "run": run.run,
        "state": run.state.value,
        "step": run.step_id,
        "paused_until": run.paused_until.isoformat() if run.paused_until else None,
    }
    answer: Answer = None
    if run.state not in LIVE_ENROLLMENTS:
        answer = Cancel(f"run {run.run} of {run.sequence} is over: {run.reason or run.state}")
    elif run.state is EnrollmentState.PAUSED:
        until = run.paused_until if run.paused_until and run.paused_until > now else now + DAY
        answer = Hold(f"run {run.run} of {run.sequence} is paused: {run.reason or 'by hand'}", until)
    elif run.step_id != due.message.step_id:
        answer = Skip(f"the run has gone on to step {run.step_id}")
    return answer, inputs


def _reply(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    own = [run.entered_at for run in due.situation.enrollments if run.id == due.message.enrollment_id]
    since = own[0] if own else due.drafted_at
    ends = any(exit_.kind == "reply" for exit_ in due.sequence.exits) if due.sequence else False
    replies = [e.at for e in due.situation.events if e.kind in REPLIES and since and e.at >= since]
    inputs = {
        "since": since.isoformat() if since else None,
        "ends_on_reply": ends,
        "replied_at": replies[-1].isoformat() if replies else None,
    }
    return (Cancel(f"replied on {replies[-1]:%Y-%m-%d}") if replies and ends else None), inputs


def _approval(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    newer = [e for e in due.situation.events if e.kind in VOIDING and due.approved_at and e.at > due.approved_at]
    inputs = {
        "voice": due.message.voice.value,
        "approved": due.approved,
        "approved_at": due.approved_at.isoformat() if due.approved_at else None,
        "happened_since": sorted({event.kind for event in newer}),
        "not_after": due.not_after.isoformat() if due.not_after else None,
    }
    if due.message.voice is not Voice.PERSONAL or (due.approved and not newer):
        return None, inputs
    if due.not_after and now >= due.not_after:
        reason = "expired: nobody approved it in time"
        return (Skip(reason) if due.step and due.step.on_rejected == "advance" else Cancel(reason)), inputs
    reason = f"its approval is void: {newer[-1].kind} since" if newer else "waits for approval"
    return Hold(reason, min(now + DAY, due.not_after or now + DAY)), inputs


def _unsubscribe(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    inputs = {"voice": due.message.voice.value, "missing": due.unsubscribe_ready}
    if due.message.voice is not Voice.MARKETING or due.unsubscribe_ready is None:
        return None, inputs
    until = now + SOON + jitter(due.seed, timedelta(minutes=10))
    return Hold(f"no unsubscribe endpoint: {due.unsubscribe_ready}", until), inputs


def _caps(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    if due.budget is None or due.budget > 0:
        return None, {"left_today": due.budget}
    tomorrow = datetime.combine(now.date() + DAY, time(0, 0), UTC) + jitter(due.seed, 2 * SOON)
    return Hold("the launch cap of today is used up", tomorrow), {"left_today": due.budget}


def _window(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    if due.sequence is None:
        return None, {"window": None}
    window = due.sequence.window
    zone, whose = resolve_zone(due.situation.contact, due.company)
    inputs = {
        "zone": zone,
        "zone_from": whose,
        "local_time": now.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M"),
        "days": sorted(window.days),
        "opens": window.opens.isoformat("minutes"),
        "closes": window.closes.isoformat("minutes"),
    }
    if is_open(window, now, zone):
        return None, inputs
    return Hold("outside the window", next_open(window, now, zone, due.seed)), inputs


def _lateness(due: Due, now: datetime) -> tuple[Answer, dict[str, Any]]:
    slot = max(due.message.due_at, due.approved_at or due.message.due_at, due.slot_at or now)
    inputs = {
        "due_at": due.message.due_at.isoformat(),
        "slot_at": slot.isoformat(),
        "not_after": due.not_after.isoformat() if due.not_after else None,
        "late": due.step.late.value if due.step else None,
    }
    if due.not_after and now >= due.not_after:
        return Skip(f"expired: not to go after {due.not_after:%Y-%m-%d %H:%M} UTC"), inputs
    if due.sequence is None or due.step is None:
        return None, inputs
    zone, _ = resolve_zone(due.situation.contact, due.company)
    window, planned = due.sequence.window, due.message.due_at
    verdict = judge(due.step, window, planned, slot, zone, due.seed, now, patience=due.patience)
    if verdict is None:
        return None, inputs
    if isinstance(verdict, Later):
        return Hold("missed its slot: has a new one", verdict.until), inputs
    return Skip(verdict.reason), inputs


def shown(answer: Any) -> tuple[Answer, list[dict[str, Any]]]:
    """Return a decision in the same form."""
    checks = [{"gate": c.gate, "passed": c.passed, "reason": c.reason, "inputs": dict(c.inputs)} for c in answer.checks]
    return (replace(answer, checks=()) if hasattr(answer, "reason") else None), checks
