"""Gate: is the run that planned this message still there, and still at this step?"""

from __future__ import annotations

from datetime import datetime, timedelta

from nurture.core.decision import Cancel, Due, Finding, Hold, Skip
from nurture.core.model import Enrollment
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState

AGAIN = timedelta(days=1)


def check(due: Due, now: datetime) -> Finding:
    """Cancel mail of a run that is over, hold that of a paused one, skip that of a step it has left.

    A message without a run (a rep wrote it) passes.
    """
    if due.message.enrollment_id is None:
        return Finding(None, {"enrollment": None})
    run = next((run for run in due.situation.enrollments if run.id == due.message.enrollment_id), None)
    if run is None:
        return Finding(Cancel("its run no longer exists"), {"enrollment": due.message.enrollment_id})
    return Finding(_answer(run, due.message.step_id, now), _inputs(run))


def _answer(run: Enrollment, step_id: str | None, now: datetime) -> Hold | Skip | Cancel | None:
    if run.state not in LIVE_ENROLLMENTS:
        return Cancel(f"run {run.run} of {run.sequence} is over: {run.reason or run.state}")
    if run.state is EnrollmentState.PAUSED:
        until = run.paused_until if run.paused_until and run.paused_until > now else now + AGAIN
        return Hold(f"run {run.run} of {run.sequence} is paused: {run.reason or 'by hand'}", until)
    if run.step_id != step_id:
        return Skip(f"the run has gone on to step {run.step_id}")
    return None


def _inputs(run: Enrollment) -> dict[str, object]:
    return {
        "enrollment": run.id,
        "sequence": run.sequence,
        "run": run.run,
        "state": run.state.value,
        "step": run.step_id,
        "paused_until": run.paused_until.isoformat() if run.paused_until else None,
    }
