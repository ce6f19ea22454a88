"""What a process counts of itself, in the words of Prometheus: pages of work, mail by outcome, calls of providers.

One observation for a page or a group, never one for a message, so that counting costs the loop nothing that can be
measured. Names and units follow https://prometheus.io/docs/practices/naming/. What the database knows is `vitals`.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
"""The counters of this process, without the library's own about Python."""

_PAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)
_CALL_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

PAGE_SECONDS = Histogram(
    "nurture_page_seconds", "How long a page of work took.", ["work"], buckets=_PAGE_BUCKETS, registry=REGISTRY
)
HANDLED = Counter(
    "nurture_handled", "Due rows that were handled: contacts, runs, drafts, messages.", ["work"], registry=REGISTRY
)
FAILURES = Counter("nurture_failures", "Pages of work that raised.", ["work"], registry=REGISTRY)
LAST_LOOK = Gauge(
    "nurture_last_look_timestamp_seconds", "When this process last looked for work.", ["work"], registry=REGISTRY
)
MESSAGES = Counter("nurture_messages", "What became of due messages.", ["outcome"], registry=REGISTRY)
CALL_SECONDS = Histogram(
    "nurture_provider_call_seconds",
    "How long one call of a provider took, with a group of messages.",
    ["provider"],
    buckets=_CALL_BUCKETS,
    registry=REGISTRY,
)
RECEIPTS = Counter(
    "nurture_provider_receipts", "What providers answered, by message.", ["provider", "outcome"], registry=REGISTRY
)


@dataclass(slots=True)
class Page:
    """A page of work; whoever does it says how many due rows it handled. `seconds` is known when it is over."""

    handled: int = 0
    seconds: float = 0.0


@contextmanager
def page(work: str) -> Iterator[Page]:
    """Count and time one page of `work`. A look that finds nothing due is no page: it only says that we looked."""
    LAST_LOOK.labels(work).set_to_current_time()
    found = Page()
    began = perf_counter()
    with FAILURES.labels(work).count_exceptions():
        yield found
    found.seconds = perf_counter() - began
    if found.handled:
        HANDLED.labels(work).inc(found.handled)
        PAGE_SECONDS.labels(work).observe(found.seconds)


def outcomes(amounts: Mapping[str, int]) -> None:
    """Count what became of a page of messages."""
    for outcome, amount in amounts.items():
        MESSAGES.labels(outcome).inc(amount)


@contextmanager
def call(provider: str) -> Iterator[None]:
    """Time one call of a provider."""
    with CALL_SECONDS.labels(provider).time():
        yield


def receipts(provider: str, answered: Iterable[str]) -> None:
    """Count what a provider answered for each message of a group."""
    for outcome, amount in Tally(answered).items():
        RECEIPTS.labels(provider, outcome).inc(amount)
