"""`nurture bench send` and `make bench` at their smallest: every mail arrives, and every figure is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import loop
from bench.__main__ import main
from bench.goals import AFTER, BEHIND
from bench.results import Results
from bench.sinks import sink
from nurture.benchmark import stock
from nurture.benchmark.measure import Job, open_provider
from nurture.errors import UsageError
from tests.typed import typed


def send(*words: str) -> dict[str, object]:
    ran = typed(["bench", "send", "--json", *words])
    assert ran.code == 0, ran.err
    return dict(ran.json)


@pytest.mark.parametrize("words", [["smtp"], ["postmark"], ["postmark", "--batch", "1"]])
def test_every_mail_goes_through_the_full_loop_to_the_sink(words: list[str]) -> None:
    kind = "smtp" if words == ["smtp"] else "http"
    with sink(kind) as running:
        found = send("--messages", "7", "--endpoint", running.endpoint, "--provider", *words)
        assert running.counts().mails == 7
    assert (found["accepted"], found["other"]) == (7, 0)


def test_mail_that_nobody_takes_is_no_measurement() -> None:
    words = ["bench", "send", "--json", "--messages", "3", "--endpoint", "smtp://127.0.0.1:1"]
    ran = typed(words)
    assert ran.code == 1
    assert ran.json["other"] == 3
    assert "3 of 3 messages were not accepted: does smtp://127.0.0.1:1 take mail?" in ran.err


def test_mail_of_the_benchmark_has_the_size_that_is_compared() -> None:
    (artifact,) = stock.load().artifacts.values()
    assert artifact.html is not None
    assert 2_400 < len(artifact.html) < 3_900
    assert 350 < len(artifact.text) < 600


def test_database_with_contacts_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bench.db'}"
    send("--provider", "none", "--messages", "2", "--db", url)
    ran = typed(["bench", "send", "--provider", "none", "--messages", "2", "--db", url])
    assert ran.code == 1
    assert "has contacts" in ran.err


@pytest.mark.parametrize(
    ("provider", "endpoint"), [("smtp", ""), ("smtp", "http://x"), ("postmark", "smtp://x:25"), ("pigeon", "smtp://x")]
)
def test_endpoint_of_another_provider_says_what_to_write(provider: str, endpoint: str) -> None:
    with pytest.raises(UsageError, match="--endpoint smtp://HOST:PORT"):
        open_provider(Job(provider, endpoint, ""))


def test_bench_prints_lines_for_programs_and_a_table_with_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    results = main(["--rounds", "1", "--messages", "20", "--loop-messages", "0"])
    lines, table, *_ = capsys.readouterr().out.split("\n\n")
    measured = [json.loads(line) for line in lines.splitlines()]
    assert [line["measured"] for line in measured] == list(results.rounds)
    assert {AFTER, BEHIND, "raw smtp", "raw single", "raw batch"} < set(results.rounds)
    assert all(line["rate"] > 0 for line in measured)
    assert len(table.splitlines()) == 1 + len(results.rounds)
    assert "% of raw smtp" in table
    assert results.failed == []


def test_ratio_compares_within_each_round() -> None:
    results = Results()
    for rate, others in ((50.0, 100.0), (5.0, 10.0), (30.0, 20.0)):
        results.begin_round()
        results.add("a", rate, 1.0)
        results.add("b", others, 1.0)
    assert results.ratio("a", ["b"]) == 0.5
    assert results.ratio("a", ["b", "b"]) == 1.0
    assert results.median("a").rate == 30


def test_part_that_fails_takes_nothing_else_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> tuple[float, float]:
        raise RuntimeError("the disk is full")

    results = Results()
    for measure in (lambda: (10.0, 1.0), fail):
        results.begin_round()
        results.take("a", measure)
        results.take("b", lambda: (20.0, 1.0))
    assert (results.ratio("a", ["b"]), results.ratio("a", ["never measured"])) == (0.5, None)
    assert results.failed == ["a"]
    assert "a was not measured: the disk is full" in capsys.readouterr().err


def test_loop_runs_in_a_process_of_its_own_on_a_new_database() -> None:
    with loop.sqlite() as fresh:
        found = loop.send("none", "", 3, 1, fresh(), blank=True)
    assert found["accepted"] == 3
    assert found["peak_mb"] > 0
