"""`nurture score`: where a contact stands, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from nurture import live
from nurture.cli.context import now_of, opened
from nurture.cli.draft_page import score_line
from nurture.cli.output import JsonOption, note, print_json, print_table, say, shown
from nurture.cli.qualify import SLOT_COLUMNS, slot_row, slot_value
from nurture.core.receipts import Receipt, RuleLine
from nurture.looking.scores import Score
from nurture.looking.scores import score as look
from nurture.people import find_contact


def score(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The contact's address.")],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="As of now; by default as of when it was last stored.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the receipt of a score: every contribution, and what would change it.

    Example: `nurture score ann@example.com --fresh`, which is short for `nurture score show ann@example.com --fresh`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            found = look(connection, live.current(connection), find_contact(connection, email), fresh, now)
    if as_json:
        print_json(_value(found))
    else:
        _print(found)


def _print(found: Score) -> None:
    receipt = found.receipt
    say(f"{shown(found.name)} <{shown(found.email)}>: {score_line(receipt.standing)}")
    say(f"as of {shown(receipt.standing.as_of)} UTC")
    print_table("Fit", ("rule", "asks", "points"), list(_fit(receipt)))
    print_table("Engagement", ("category", "what", "when", "fresh", "now"), list(_engagement(receipt)))
    if receipt.slots:
        print_table("Qualification", SLOT_COLUMNS, [slot_row(line) for line in receipt.slots])
    if receipt.changes:
        rows = [[change.what, change.grade, change.level, change.stage] for change in receipt.changes]
        print_table("What would change it", ("this", "fit", "level", "moves to"), rows)
    if found.agrees is False:
        note("the stored score is not what computing it again gives: the facts changed without an event")


def _fit(receipt: Receipt) -> Iterator[list[object]]:
    for rule in receipt.rules:
        yield [rule.label, rule.asks, _points(rule.points) if rule.holds else "-"]
    for rule in receipt.disqualified:
        yield [rule.label, rule.asks, "disqualified"]
    yield ["", "", f"{_points(receipt.standing.fit_points)} = {receipt.standing.grade}"]


def _engagement(receipt: Receipt) -> Iterator[list[object]]:
    for category in receipt.categories:
        for entry in category.entries:
            what = entry.event.kind.replace("_", " ") + (" (the company)" if entry.shared else "")
            yield [category.name, what, entry.event.at, _points(entry.fresh), _points(entry.points)]
        if category.entries:
            most = f"of at most {_points(category.cap)}"
            yield [category.name, "together", None, most, _points(category.points)]
    yield ["", "", None, "", _points(receipt.standing.engagement)]


def _points(hundredths: int) -> str:
    return f"{hundredths / 100:.2f}"


def _value(found: Score) -> dict[str, object]:
    receipt, standing = found.receipt, found.receipt.standing
    return {
        "email": found.email,
        "as_of": standing.as_of,
        "fit": {"grade": standing.grade, "points": standing.fit_points / 100},
        "engagement": standing.engagement / 100,
        "level": standing.level,
        "agrees": found.agrees,
        "rules": [_rule(rule) for rule in receipt.rules],
        "disqualified": [_rule(rule) for rule in receipt.disqualified],
        "categories": [
            {
                "name": category.name,
                "cap": category.cap / 100,
                "earned": category.earned / 100,
                "points": category.points / 100,
                "account_cap": category.account_cap / 100,
                "events": [
                    {
                        "kind": e.event.kind,
                        "at": e.event.at,
                        "fresh": e.fresh / 100,
                        "points": e.points / 100,
                        "shared": e.shared,
                    }
                    for e in category.entries
                ],
            }
            for category in receipt.categories
        ],
        "slots": [slot_value(line) for line in receipt.slots],
        "changes": [
            {"what": each.what, "grade": each.grade, "level": each.level, "stage": each.stage}
            for each in receipt.changes
        ],
    }


def _rule(rule: RuleLine) -> dict[str, object]:
    return {"label": rule.label, "asks": rule.asks, "points": rule.points / 100, "holds": rule.holds, "line": rule.line}
