"""`nurture pause` and `nurture resume`: all sending, one sender or one sequence, off and on."""

from __future__ import annotations

from typing import Annotated

import typer

from nurture import pausing
from nurture.cli.context import now_of, opened
from nurture.cli.output import JsonOption, print_json, say
from nurture.errors import UsageError

AllOption = Annotated[bool, typer.Option("--all", help="Everything.")]
SenderOption = Annotated[str | None, typer.Option(metavar="NAME", help="What goes out from this sender.")]
SequenceOption = Annotated[str | None, typer.Option(metavar="NAME", help="What this sequence sends.")]


def pause(
    ctx: typer.Context,
    everything: AllOption = False,
    sender: SenderOption = None,
    sequence: SequenceOption = None,
    reason: Annotated[str, typer.Option(help="Why: `nurture why` and `nurture doctor` tell it.")] = "by hand",
    as_json: JsonOption = False,
) -> None:
    """Stop sending: everything, a sender or a sequence. What is in flight is finished; the rest is held, not lost.

    Example: `nurture pause --all --reason "wrong price in the mail"`
    """
    what = _one(everything, sender, sequence)
    with opened(ctx) as context, context.database.write() as connection:
        now = now_of(context)
        if sender is not None:
            changed = pausing.pause_sender(connection, sender, reason, now)
        elif sequence is not None:
            changed = pausing.pause_sequence(connection, sequence, reason, now)
        else:
            changed = pausing.pause_all(connection, reason)
    if as_json:
        print_json({"paused": what, "changed": changed})
    else:
        back = "--all" if everything else f"--sender {sender}" if sender is not None else f"--sequence {sequence}"
        say(f"{what}: {'paused' if changed else 'was paused already'}. `nurture resume {back}` lets it go on.")


def resume(
    ctx: typer.Context,
    everything: AllOption = False,
    sender: SenderOption = None,
    sequence: SequenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let everything, a sender or a sequence send again.

    What was held is looked at again within three quarters of an hour; mail that has missed its slot gets the next one.

    Example: `nurture resume --sender newsletter`
    """
    what = _one(everything, sender, sequence)
    with opened(ctx) as context, context.database.write() as connection:
        if sender is not None:
            changed = pausing.resume_sender(connection, sender)
        elif sequence is not None:
            changed = pausing.resume_sequence(connection, sequence)
        else:
            changed = pausing.resume_all(connection)
    if as_json:
        print_json({"resumed": what, "changed": changed})
    else:
        again = "goes on; what was held is looked at again within three quarters of an hour"
        say(f"{what}: {again if changed else 'was not paused'}.")


def _one(everything: bool, sender: str | None, sequence: str | None) -> str:
    """Return what is meant, for people; raise UsageError unless it is exactly one thing."""
    if everything + (sender is not None) + (sequence is not None) != 1:
        raise UsageError("say what: --all, --sender NAME or --sequence NAME")
    if everything:
        return "all sending"
    return f"sender {sender}" if sender is not None else f"sequence {sequence}"
