"""What the database knows of the installation's health, as gauges that are read when somebody scrapes them.

Beside the process's own counters (`metrics`) they are what monitoring asks for: `exposition` returns both as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from nurture import metrics
from nurture.core.words import TimerKind
from nurture.db import health, instance, quotas, senders, timers
from nurture.db.session import Database
from nurture.errors import DatabaseError


@dataclass(frozen=True, slots=True)
class Vitals(Collector):
    """Everything there is to scrape: the counters of this process, and what the database says at this moment."""

    database: Database
    clock: Callable[[], datetime]

    def collect(self) -> Iterator[Metric]:
        """Yield the families. Without the database, `nurture_database_up` is 0 and its gauges are missing."""
        yield from metrics.REGISTRY.collect()
        try:
            now = self.clock()
            with self.database.read() as connection:
                found = list(_gauges(connection, now))
        except (DatabaseError, SQLAlchemyError):
            yield _gauge("nurture_database_up", "Whether the database answers.", 0)
            return
        yield _gauge("nurture_database_up", "Whether the database answers.", 1)
        yield from found


def exposition(vitals: Vitals) -> bytes:
    """Return the text that Prometheus reads (format 0.0.4)."""
    return generate_latest(_registry(vitals))


def serve(vitals: Vitals, host: str, port: int) -> tuple[WSGIServer, Thread]:
    """Answer scrapes on a port of this process's own, in a thread, until the returned server is shut down."""
    return start_http_server(port, host, registry=_registry(vitals))


def _registry(vitals: Vitals) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(vitals)
    return registry


def _gauges(connection: Connection, now: datetime) -> Iterator[Metric]:
    home = instance.read(connection)
    due = timers.next_due(connection)
    late = {found.kind: found.count for found in health.late(connection, now)}
    stopped = sum(1 for sender in senders.every(connection) if sender.paused_reason)
    waiting = GaugeMetricFamily("nurture_due", "Rows that are due and not yet handled.", labels=["kind"])
    for kind in TimerKind:
        waiting.add_metric([kind.value], late.get(kind.value, 0))
    yield waiting
    behind = max(0.0, (now - due).total_seconds()) if due else 0.0
    yield _gauge("nurture_late_seconds", "How long the oldest due row has been waiting.", behind)
    yield _gauge(
        "nurture_messages_ambiguous",
        "Messages of which nobody knows.",
        sum(each.count for each in health.ambiguous(connection)),
    )
    yield _gauge("nurture_messages_in_flight", "Messages claimed or being sent.", health.in_flight(connection)[0])
    yield _gauge(
        "nurture_messages_sent_today", "Real mail sent on this day (UTC).", quotas.used(connection, now.date())
    )
    yield _gauge("nurture_senders_paused", "Senders that are paused.", stopped)
    yield _gauge("nurture_sending_paused", "Whether all sending is paused.", bool(home.sending_paused))


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)
