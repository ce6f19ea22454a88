"""Gate: is the run that planned this message still there, and still at this step?"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from nurture.core.decision import SHARED, Cancel, Check, Due, Hold, Reading, Skip
from nurture.core.model import Enrollment
from nurture.core.words import LIVE_ENROLLMENTS, EnrollmentState

NAME = "enrollment"
AGAIN = timedelta(days=1)

_NO_RUN = Check(Reading(NAME, {"enrollment": None}))
_GONE = Reading(NAME, own=("enrollment",))


def check(due: Due, now: datetime) -> Check:
    """Cancel mail of a run that is over, hold that of a paused one, skip that of a step it has left.

    A message without a run (a rep wrote it) passes.
    """
    key, run = due.message.enrollment_id, due.run
    if key is None:
        return _NO_RUN
    if run is None:
        return Check(_GONE, (key,), Cancel("its run no longer exists"))
    read = _reading(run.sequence, run.state, run.step_id)
    return Check(read, (run.id, run.run, run.paused_until), _answer(run, due.message.step_id, now))


def _answer(run: Enrollment, step_id: str | None, now: datetime) -> Hold | Skip | Cancel | None:
    if run.state not in LIVE_ENROLLMENTS:
        return Cancel(f"run {run.run} of {run.sequence} is over: {run.reason or run.state}")
    if run.state is EnrollmentState.PAUSED:
        until = run.paused_until if run.paused_until and run.paused_until > now else now + AGAIN
        return Hold(f"run {run.run} of {run.sequence} is paused: {run.reason or 'by hand'}", until)
    if run.step_id != step_id:
        return Skip(f"the run has gone on to step {run.step_id}")
    return None


@lru_cache(maxsize=SHARED)
def _reading(sequence: str, state: EnrollmentState, step_id: str | None) -> Reading:
    inputs = {"sequence": sequence, "state": state.value, "step": step_id}
    return Reading(NAME, inputs, ("enrollment", "run", "paused_until"))
