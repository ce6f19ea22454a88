"""`nurture contacts show`: one contact with everything that happened."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture import live
from nurture.cli.context import now_of, opened
from nurture.cli.draft_page import score_line
from nurture.cli.output import JsonOption, print_facts, print_json, print_table
from nurture.core.model import Enrollment
from nurture.looking.contacts import Profile, profile
from nurture.people import find_contact


def show(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The contact's address; any of them.")],
    limit: Annotated[int, typer.Option(help="How many events, newest first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show a contact: what is known, where they stand, which sequences they were in, and what happened.

    Example: `nurture contacts show ann@example.com`
    """
    with opened(ctx) as context:
        now = now_of(context)
        with context.database.read() as connection:
            who = profile(connection, live.current(connection), find_contact(connection, email), limit, now)
    if as_json:
        print_json(_value(who))
    else:
        _print(who)


def _print(who: Profile) -> None:
    print_facts(f"{who.name} <{who.email}>", {**who.facts, "score": score_line(who.standing)})
    if who.suppressions:
        wishes = [[wish.scope.value, wish.reason, wish.at] for wish in who.suppressions]
        print_table("Suppressed", ("for", "reason", "since"), wishes)
    if who.runs:
        print_table("Sequences", ("sequence", "run", "state", "step", "since", "until", "reason"), _runs(who.runs))
    if who.tasks:
        print_table("Open tasks", ("id", "kind", "due"), [[task.id, task.kind, task.due_at] for task in who.tasks])
    rows = [[each.at, each.what, each.detail, each.source] for each in who.timeline]
    print_table("Timeline", ("at", "what", "detail", "source"), rows)


def _runs(runs: tuple[Enrollment, ...]) -> list[list[object]]:
    return [
        [run.sequence, run.run, run.state.value, run.step_id, run.entered_at, run.ended_at, run.reason]
        for run in reversed(runs)
    ]


def _value(who: Profile) -> dict[str, object]:
    standing = who.standing
    run_names = ("sequence", "run", "state", "step_id", "entered_at", "ended_at", "reason", "disposition")
    event_names = ("at", "kind", "what", "detail", "source")
    return {
        "id": who.contact_id,
        "name": who.name,
        "email": who.email,
        "facts": dict(who.facts),
        "standing": None
        if standing is None
        else {
            "fit": standing.grade,
            "fit_points": standing.fit_points / 100,
            "engagement": standing.engagement / 100,
            "level": standing.level,
            "as_of": standing.as_of,
        },
        "suppressions": [{"scope": w.scope.value, "reason": w.reason, "since": w.at} for w in who.suppressions],
        "sequences": [{name: getattr(run, name) for name in run_names} for run in who.runs],
        "tasks": [{"id": task.id, "kind": task.kind, "due_at": task.due_at} for task in who.tasks],
        "timeline": [{name: getattr(each, name) for name in event_names} for each in who.timeline],
    }
