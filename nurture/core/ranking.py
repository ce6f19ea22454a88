"""One number to put contacts in order by, higher is likelier: fit and engagement, weighted as the lifecycle says."""

from __future__ import annotations

from datetime import datetime

from nurture.core.lifecycle import Lifecycle
from nurture.core.model import Situation, Standing
from nurture.core.scoring import disqualified, standing

LAST = -100_000_000
"""What a disqualifier adds (hundredths): whoever the company does not want comes after everybody else."""


def ranked(situation: Situation, lifecycle: Lifecycle, now: datetime) -> tuple[Standing, int]:
    """Return the standing at `now`, and the rank (hundredths): `fit · rank.fit + engagement · rank.engagement`."""
    found, worth = standing(situation, lifecycle, now), lifecycle.rank
    points = round(found.fit_points * worth.fit + found.engagement * worth.engagement)
    return found, points + (LAST if any(disqualified(situation, lifecycle, now)) else 0)
