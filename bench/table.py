"""The table of rates: medians, each with what it is, and the ratio that counts."""

from __future__ import annotations

from collections.abc import Iterable

from bench import importing
from bench.goals import AFTER, BEHIND
from bench.results import Results

WORDS = {
    "render": "HTML, text and subject of a mail",
    "mime": "from HTML and text to the octets of a mail",
    "raw smtp": "the ceiling: the tightest loop over sockets, nothing around it",
    "raw single": "the ceiling: the same requests over sockets, nothing around them",
    "raw batch": "the ceiling: the same requests over sockets, nothing around them",
    AFTER: "a common client: asyncio's streams, MAIL+RCPT+DATA in one write after each answer",
    BEHIND: "the same client, each envelope in one write with the body before it, as ours",
    "the rest alone": "everything but mail: a mail that says nothing, to a provider that drops it",
    "django-post_office": "one process, its defaults, the same mail to the same sink: queued and sent",
    "django-post_office, sending alone": "without queueing",
    "message rows": "written as direct sending does",
    "message rows, planned": "written as the tick plans what waits",
    "message rows, the driver alone": "the same rows as direct sending's, in bulk",
    "fleet": "`nurture worker` with a scheduler, on PostgreSQL, in batches",
    **importing.KINDS,
}


def rates(results: Results, databases: Iterable[str], ways: Iterable[str]) -> str:
    """Return the table."""
    compared = _ratios(results, databases, ways)
    rows = [("", "per second", "", "CPU µs", "peak MB", "")]
    for name in results.rounds:
        found, unit = results.median(name), results.units[name]
        words = "; ".join([*compared.get(name, []), *_words(name)])
        memory = f"{found.peak_mb:.0f}" if found.peak_mb else ""
        rows.append((name, f"{found.rate:,.0f}", unit, f"{found.cpu_us:,.1f}" if found.cpu_us else "", memory, words))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, rate, unit, cpu, memory, words = row
    cells = (name.ljust(widths[0]), rate.rjust(widths[1]), unit.ljust(widths[2]), cpu.rjust(widths[3]))
    return "  ".join((*cells, memory.rjust(widths[4]), words)).rstrip()


def _words(name: str) -> list[str]:
    for known in (name, name.partition(": ")[2], name.rpartition(", ")[0], name.partition(":")[0]):
        if known in WORDS:
            return [WORDS[known]]
    return []


def _ratios(results: Results, databases: Iterable[str], ways: Iterable[str]) -> dict[str, list[str]]:
    """Return of what is compared what it is of the others."""
    found: dict[str, list[str]] = {}
    for way in ways:
        ceiling = f"raw {way}"
        found[f"provider {way}"] = _told(results.ratio(f"provider {way}", [ceiling]), ceiling)
        for name in databases:
            whole = f"{name}: end to end {way}"
            parts = [f"{name}: the rest alone", "render", f"provider {way}"]
            composite = _told(results.ratio(whole, parts), "its parts one after the other")
            found[whole] = composite + _told(results.ratio(whole, [ceiling]), ceiling)
    return found


def _told(ratio: float | None, of: str) -> list[str]:
    return [] if ratio is None else [f"{ratio:.0%} of {of}"]
