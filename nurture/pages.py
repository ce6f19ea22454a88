"""One page of work, done by whoever was told to look: counted, timed, and told in one line of the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import structlog

from nurture import metrics
from nurture.garbage import collect_page
from nurture.postroom import Sent

_log = structlog.get_logger()


def work(name: str, handle: Callable[[], int | Sent]) -> int:
    """Do one page; return how many due rows it handled. A page that finds nothing leaves no line in the log."""
    with metrics.page(name) as page:
        result = handle()
        outcomes = _outcomes(result)
        page.handled = result.due if isinstance(result, Sent) else result
    metrics.outcomes(outcomes)
    collect_page()
    if page.handled:
        _log.info(name, handled=page.handled, seconds=round(page.seconds, 3), **outcomes)
    return page.handled


def _outcomes(result: int | Sent) -> dict[str, int]:
    """Return what became of mail, without what did not happen."""
    if not isinstance(result, Sent):
        return {}
    counts = {part.name: getattr(result, part.name) for part in fields(Sent) if part.name != "due"}
    return {name: amount for name, amount in counts.items() if amount}
