"""`nurture why`: why somebody was or was not written to, and what comes next."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nurture.cli.context import Context, now_of, opened
from nurture.cli.output import JsonOption, note, print_json, print_table, say, shown
from nurture.deciding import Policy
from nurture.errors import ProviderError
from nurture.people import find_contact
from nurture.why import Why, explain
from nurture.wiring import close_postroom, open_postroom


def why(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The contact's address.")],
    as_json: JsonOption = False,
) -> None:
    """Tell what was decided about a contact last and by which rule, what comes next and when, or why nothing does.

    Example: `nurture why ann@example.com`
    """
    with opened(ctx) as context:
        now, policy = now_of(context), _policy(context)
        with context.database.read() as connection:
            said = explain(connection, find_contact(connection, email), policy, now)
    if as_json:
        print_json(_value(said))
    else:
        _print(said)


def _policy(context: Context) -> Policy:
    """Return what sending goes by; where a provider cannot be opened, without what depends on it."""
    try:
        postroom = open_postroom(context.settings, context.database, owner="look")
    except ProviderError as error:
        note(f"without what depends on the providers: {error}")
        return Policy()
    close_postroom(postroom)
    return postroom.policy


def _print(said: Why) -> None:
    say(f"{shown(said.name)} <{shown(said.email)}>, {said.stage.label} ({said.stage.name}, {said.stage.voice} voice)")
    say()
    if said.next:
        rows = [[n.about, f"{n.sequence or ''} {n.step_id or ''}", n.template, n.waits, n.rule] for n in said.next]
        print_table("What comes next", ("about", "step", "mail", "waits because", "rule"), rows)
    else:
        say("Nobody writes to them now:")
        for reason in said.reasons:
            say(f"  - {shown(reason)}")
    if said.decided:
        say()
        lines = [[a.at, a.what, a.reason, a.until, a.times, a.rule] for a in said.decided]
        print_table("What was decided last", ("at", "what", "reason", "until", "times", "rule"), lines)
    if said.suppressions:
        wishes = [[wish.scope.value, wish.reason, wish.at] for wish in said.suppressions]
        print_table("Suppressed", ("for", "reason", "since"), wishes)
    if said.others:
        barred = [[other.sequence, other.reason, other.rule] for other in said.others]
        print_table("Not in these sequences", ("sequence", "because", "rule"), barred)
    if said.review_at:
        say(f"Time alone may change something on {shown(said.review_at)} UTC.")
    say(f"Rules are those of program {said.program_hash[:12]}, and of the versions in which runs began.")


def _value(said: Why) -> dict[str, object]:
    return {
        "email": said.email,
        "name": said.name,
        "stage": {"name": said.stage.name, "voice": said.stage.voice.value},
        "next": [asdict(each) for each in said.next],
        "reasons": said.reasons,
        "decided": [asdict(each) for each in said.decided],
        "suppressions": [{"scope": w.scope.value, "reason": w.reason, "since": w.at} for w in said.suppressions],
        "not_enrolled": [asdict(each) for each in said.others],
        "review_at": said.review_at,
        "program": said.program_hash,
    }
