"""A draft on the screen: the mail on the left, on the right whom it is for and what happened before."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from nurture.approving import Draft
from nurture.cli.output import console, shown
from nurture.core.model import Standing

SIDE_BY_SIDE = 100
"""Columns from which on mail and contact stand beside each other."""


def print_draft(draft: Draft) -> None:
    """Print a draft beside its contact."""
    screen, left, right = console(), Text("\n".join(_mail(draft))), Text("\n".join(_contact(draft)))
    if screen.width < SIDE_BY_SIDE:
        screen.print(left)
        screen.print()
        screen.print(right)
        return
    page = Table.grid(padding=(0, 4))
    page.add_column(ratio=3, overflow="fold")
    page.add_column(ratio=2, overflow="fold")
    page.add_row(left, right)
    screen.print(page)


def as_json_value(draft: Draft) -> dict[str, object]:
    """Return a draft with its contact as plain values."""
    row, who = draft.row, draft.profile
    names = ("id", "state", "due_at", "not_after", "sequence", "step_id", "subject", "void_reason", "edited", "rep")
    return {
        **{name: getattr(row, name) for name in names},
        "from": row.from_address,
        "to": row.to_address,
        "text": row.text_body,
        "hash": draft.hash,
        "content_hash": row.content_hash,
        "contact": {"name": who.name, "email": who.email, "facts": dict(who.facts), "score": score_line(who.standing)},
        "timeline": [{"at": each.at, "kind": each.kind, "detail": each.detail} for each in who.timeline],
        "thread": [{"at": sent.sent_at, "subject": sent.subject, "text": sent.text_body} for sent in draft.thread],
    }


def score_line(standing: Standing | None) -> str:
    """Return a standing on one line."""
    if standing is None:
        return "not scored yet"
    level = f", {standing.level}" if standing.level else ""
    return f"fit {standing.grade} ({standing.fit_points / 100:g}), engagement {standing.engagement / 100:g}{level}"


def _mail(draft: Draft) -> Iterator[str]:
    row = draft.row
    yield f"Draft {row.id}, {row.state.replace('_', ' ')}, hash {draft.hash or 'none'}"
    yield f"{row.sequence or 'by hand'}, step {row.step_id}, due {shown(row.due_at)} UTC"
    if row.void_reason:
        yield f"SENT BACK: the approval before is void: {row.void_reason}"
    if row.reason:
        yield f"reason: {row.reason}"
    yield ""
    yield f"From: {row.from_address}"
    yield f"To: {row.to_address}"
    yield f"Subject: {shown(row.subject)}" + (" (edited)" if row.edited else "")
    yield ""
    yield shown(row.text_body or "(not written yet)")
    if draft.thread:
        yield "-- before it in this thread --"
    for sent in reversed(draft.thread):
        yield f"\n{shown(sent.sent_at)}  {shown(sent.subject)}\n"
        yield "\n".join(f"> {line}" for line in shown(sent.text_body or "").splitlines())


def _contact(draft: Draft) -> Iterator[str]:
    who = draft.profile
    yield shown(who.name)
    yield shown(who.email)
    for name, value in who.facts.items():
        yield f"{name}: {shown(value)}"
    yield f"score: {score_line(who.standing)}"
    for wish in who.suppressions:
        yield f"SUPPRESSED for {wish.scope}: {shown(wish.reason)}"
    yield ""
    yield "Latest:"
    for each in who.timeline:
        yield f"{shown(each.at)}  {each.what}" + (f" ({shown(each.detail)})" if each.detail else "")
