"""Rates: of a page that may go, who goes now and who is promised a later slot. Counted with the claim, in one breath.

Where no rate is set for anybody of the page, the database is asked nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from nurture.core import rates
from nurture.core.decision import Decision, Send
from nurture.core.gates import rate
from nurture.core.model import Sender
from nurture.core.quick import altered
from nurture.core.rates import Limit, Promise, Rate, Rates, Wait
from nurture.core.words import Voice
from nurture.db import messages, quotas
from nurture.deciding import Pending
from nurture.mail.address import domain

Answers = Sequence[tuple[Pending, Decision]]


def ration(connection: Connection, known: Rates, answers: Answers, now: datetime) -> Answers:
    """Hold what does not fit into the rates of its sender and domain; count the rest, in the caller's transaction."""
    by_message = _limits(known, answers)
    if not by_message:
        return answers
    names = {limit.meter for limits in by_message.values() for limit in limits}
    meters = quotas.lock_meters(connection, names)
    waits: dict[int, Wait] = {}
    for key, limits, promise in _in_turn(by_message, answers):
        changed, wait = rates.claim(limits, meters, promise, now)
        meters |= changed
        if wait is not None:
            waits[key] = wait
    quotas.save_meters(connection, meters)
    promises = [{"id": k, "rate_meter": w.promise.meter, "rate_slot": w.promise.slot} for k, w in waits.items()]
    messages.save(connection, promises, now)
    return [(p, _told(a, waits.get(p.row.id)) if p.row.id in by_message else a) for p, a in answers]


def is_limited(known: Rates, sender: Sender) -> bool:
    """Say whether mail of a sender may have to wait for a rate: its own, or one of a recipient's domain."""
    return bool(known.domains or _of(sender, known))


def _limits(known: Rates, answers: Answers) -> dict[int, tuple[Limit, ...]]:
    """Return the limits of each message that may go, as far as it has any."""
    by_sender: dict[int, tuple[Limit, ...]] = {}
    found: dict[int, tuple[Limit, ...]] = {}
    for pending, answer in answers:
        sender = pending.due.sender
        if sender.id not in by_sender:
            by_sender[sender.id] = rates.limits(_of(sender, known), sender.name, sender.id)
        if not isinstance(answer, Send):
            continue
        limits = by_sender[sender.id]
        if known.domains and (theirs := known.domains.get(domain(pending.row.to_address))):
            limits = (*limits, theirs)
        if limits:
            found[pending.row.id] = limits
    return found


def _of(sender: Sender, known: Rates) -> tuple[Rate, ...]:
    if sender.rates:
        return sender.rates
    if sender.voice is Voice.PERSONAL and known.reps:
        return known.reps
    provider = known.providers.get(sender.provider)
    return (provider,) if provider else ()


def _in_turn(
    by_message: dict[int, tuple[Limit, ...]], answers: Answers
) -> list[tuple[int, tuple[Limit, ...], Promise | None]]:
    """Return who asks, those first who were promised a slot."""
    asking = []
    for pending, _ in answers:
        row = pending.row
        if row.id in by_message:
            promise = Promise(row.rate_meter, row.rate_slot) if row.rate_meter else None
            asking.append((row.id, by_message[row.id], promise))
    return sorted(asking, key=lambda each: each[2] is None)


def _told(answer: Decision, wait: Wait | None) -> Decision:
    check = rate.check(wait)
    return altered(check.answer or answer, checks=(*answer.checks, check))
