"""What monitoring scrapes: true numbers, for this machine or for whoever shows the token, and nearly for nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from nurture import engine, metrics, pages, vitals
from nurture.db.session import Database
from nurture.sending import send_due
from nurture.web.app import create_app
from tests.world import MONDAY, RING, Ledger, World

HERE = ("127.0.0.1", 50000)


def read(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every sample by its name and the values of its labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(world: World) -> dict[tuple[str, tuple[str, ...]], float]:
    return read(vitals.exposition(vitals.Vitals(world.database, lambda: world.now)).decode())


def test_metrics_say_what_was_done_and_what_waits(world: World) -> None:
    before = scrape(world)
    world.contacts(["ann@example.com", "bob@example.com", "cid@example.com"])
    world.use(Ledger())
    world.now += timedelta(seconds=30)
    due = scrape(world)
    assert (due["nurture_due", ("enrollment",)], due["nurture_late_seconds", ()]) == (3, 30)
    engine.tick(world.database, "tests", world.now)
    assert pages.work("send", lambda: send_due(world.database, world.postroom, world.now)) == 3
    after = scrape(world)
    for name, labels in (
        ("nurture_messages_total", ("accepted",)),
        ("nurture_provider_receipts_total", ("accepted", "outbox")),
        ("nurture_handled_total", ("send",)),
    ):
        assert after[name, labels] - before.get((name, labels), 0) == 3
    assert after["nurture_provider_call_seconds_count", ("outbox",)] > before.get(
        ("nurture_provider_call_seconds_count", ("outbox",)), 0
    )
    assert after["nurture_due", ("message",)] == 0
    assert after["nurture_database_up", ()] == 1


def test_a_page_is_one_observation_and_one_line_however_long_it_is(world: World) -> None:
    world.contacts(f"c{number}@example.com" for number in range(40))
    world.use(Ledger())
    engine.tick(world.database, "tests", world.now)
    before = scrape(world)
    with capture_logs() as lines:
        pages.work("send", lambda: send_due(world.database, world.postroom, world.now))
    after = scrape(world)
    for name in ("nurture_page_seconds_count", "nurture_provider_call_seconds_count"):
        labels = ("send",) if name.startswith("nurture_page") else ("outbox",)
        assert after[name, labels] - before.get((name, labels), 0) == 1
    assert [(line["event"], line["handled"], line["accepted"]) for line in lines] == [("send", 40, 40)]


def test_a_look_that_finds_nothing_is_no_page_but_says_that_we_looked(world: World) -> None:
    before = scrape(world)
    with capture_logs() as lines:
        pages.work("idle", lambda: 0)
    after = scrape(world)
    assert lines == []
    assert after.get(("nurture_page_seconds_count", ("idle",)), 0) == 0
    assert after["nurture_last_look_timestamp_seconds", ("idle",)] > before.get(
        ("nurture_last_look_timestamp_seconds", ("idle",)), 0
    )


def test_a_page_that_raises_is_counted(world: World) -> None:
    def fail() -> int:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        pages.work("broken", fail)
    assert scrape(world)["nurture_failures_total", ("broken",)] >= 1


def test_without_a_database_the_counters_are_still_told(tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'gone.db'}")
    metrics.HANDLED.labels("tick").inc(0)
    found = read(vitals.exposition(vitals.Vitals(gone, lambda: MONDAY)).decode())
    gone.dispose()
    assert found["nurture_database_up", ()] == 0
    assert ("nurture_handled_total", ("tick",)) in found
    assert ("nurture_late_seconds", ()) not in found


# --- who may read them ------------------------------------------------------------------------------------------------


def test_this_machine_may_read_metrics(world: World) -> None:
    app = create_app(world.database, RING, clock=lambda: world.now)
    with TestClient(app, client=HERE) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert read(answer.text)["nurture_database_up", ()] == 1


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}])
def test_what_a_proxy_hands_on_may_not(world: World, headers: dict[str, str]) -> None:
    app = create_app(world.database, RING, clock=lambda: world.now)
    with TestClient(app, client=HERE) as client:
        assert client.get("/metrics", headers=headers).status_code == 404


def test_another_machine_may_not_without_the_token(world: World) -> None:
    app = create_app(world.database, RING, clock=lambda: world.now)
    with TestClient(app, client=("203.0.113.9", 50000)) as client:
        assert client.get("/metrics").status_code == 404


def test_whoever_shows_the_token_may_read_metrics_and_nobody_else(world: World) -> None:
    app = create_app(world.database, RING, clock=lambda: world.now, metrics_token="s3cret")
    with TestClient(app, client=HERE) as client:
        assert client.get("/metrics").status_code == 404
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
        assert client.get("/metrics", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_a_process_without_pages_answers_on_a_port_of_its_own(world: World) -> None:
    server, thread = vitals.serve(vitals.Vitals(world.database, lambda: world.now), "127.0.0.1", 0)
    with urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
        text = answer.read().decode()
    server.shutdown()
    server.server_close()
    thread.join()
    assert read(text)["nurture_database_up", ()] == 1
