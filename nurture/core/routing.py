"""Who gets a handoff: the first routing rule that finds somebody who is there and has room, with the reason.

Pure and deterministic: the same desk gives the same rep. A shell loads the desk under a lock, routes a page of handoffs
one after the other (each `Routed` makes the next desk) and writes back whose turn it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from nurture.core.countries import code_of
from nurture.core.handoff import By, Handoff, Rule, Territory
from nurture.core.lifecycle import Lifecycle
from nurture.core.model import AccountId, ContactId, Rep, RepId, Situation
from nurture.core.working import WorkingCalendar, away_until


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rep with what routing asks of them: how many handoffs are open with them, how many they got today, and limits.

    `has_mailbox` says whether they have a sender that personal mail can go out from.
    """

    rep: Rep
    calendar: WorkingCalendar
    open: int = 0
    today: int = 0
    most_open: int | None = None
    per_day: int | None = None
    territory: tuple[str, ...] = ()
    has_mailbox: bool = True


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A handoff that is open for somebody else of the same account."""

    contact_id: ContactId
    account_id: AccountId
    name: str | None
    rep_id: RepId | None


@dataclass(frozen=True, slots=True)
class Desk:
    """All that routing looks at: the active reps in order, whose turn it was last in each pool, what is open."""

    candidates: tuple[Candidate, ...]
    last: Mapping[str, RepId] = field(default_factory=dict)
    elsewhere: tuple[Elsewhere, ...] = ()

    def of(self, rep_id: int | None) -> Candidate | None:
        """Return a rep's place."""
        return next((each for each in self.candidates if each.rep.id == rep_id), None)

    def after(self, routed: Routed, situation: Situation) -> Desk:
        """Return the desk on which the next handoff is routed."""
        contact, rep = situation.contact, routed.rep
        elsewhere = self.elsewhere
        if contact.account:
            mine = Elsewhere(contact.id, contact.account.id, name_of(situation), rep.id if rep else None)
            elsewhere = (*elsewhere, mine)
        if rep is None:
            return replace(self, elsewhere=elsewhere)
        candidates = tuple(
            replace(each, open=each.open + 1, today=each.today + 1) if each.rep.id == rep.id else each
            for each in self.candidates
        )
        last = {**self.last, routed.turn: rep.id} if routed.turn else self.last
        return Desk(candidates, last, elsewhere)


@dataclass(frozen=True, slots=True)
class Routed:
    """Who got it and why; `rule` is `file:line`. Nobody (None) means that it waits in the queue.

    `skipped` says of others why not, `conflicts` what does not fit together, `turn` names the pool that went round.
    """

    rep: Rep | None
    reason: str
    rule: str | None = None
    skipped: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    turn: str | None = None


def route(
    situation: Situation, rules: Handoff, desk: Desk, lifecycle: Lifecycle, now: datetime, *, had: Sequence[int] = ()
) -> Routed:
    """Choose a rep for a handoff of the contact. Reps in `had` (they let it lie) do not get it again."""
    search = _Search(situation, rules, desk, lifecycle, now, frozenset(had))
    found = search.find()
    return replace(found, skipped=tuple(search.skipped.values()), conflicts=tuple(_conflicts(situation, desk, found)))


@dataclass(slots=True)
class _Search:
    """The way through the rules, remembering who was passed over and why."""

    situation: Situation
    rules: Handoff
    desk: Desk
    lifecycle: Lifecycle
    now: datetime
    had: frozenset[int]
    skipped: dict[RepId, str] = field(default_factory=dict)

    def find(self) -> Routed:
        twin = _twin(self.situation, self.desk)
        same = self.desk.of(twin.rep_id) if twin else None
        if same and self.takes(same, full_too=True):
            return Routed(same.rep, "has the same person open already")
        for rule in self.rules.rules:
            if routed := self.by_rule(rule):
                return routed
        return self.nobody()

    def by_rule(self, rule: Rule) -> Routed | None:
        where = f"{self.lifecycle.file}:{rule.line}" if rule.line else None
        match rule.by:
            case By.CONTACT_OWNER:
                return self.owner(self.situation.contact.owner, "owns the contact", where)
            case By.ACCOUNT_OWNER:
                account = self.situation.contact.account
                held = self.desk.of(account.owner_id) if account else None
                return self.owner(held.rep if held else None, "owns the account", where)
            case By.TERRITORY:
                return self.territory(rule, where)
            case By.ROUND_ROBIN:
                return self.turn(rule.pool or "", self.pool(rule.pool), "whose turn it is", where)
        assert_never(rule.by)

    def owner(self, rep: Rep | None, reason: str, where: str | None) -> Routed | None:
        if rep is None:
            return None
        candidate = self.desk.of(rep.id)
        if candidate is None:
            self.skipped[rep.id] = f"{rep.name}: is not active any more"
            return None
        return Routed(rep, reason, where) if self.takes(candidate) else None

    def territory(self, rule: Rule, where: str | None) -> Routed | None:
        if rule.when is not None:
            if not rule.when.test(self.situation, self.lifecycle, self.now):
                return None
            return self.turn(rule.pool or "", self.pool(rule.pool), "whose territory it is", where)
        place = _place(self.situation, rule.own or Territory.COUNTRY)
        if place is None:
            return None
        mine = [each for each in self.desk.candidates if place in map(_written, each.territory)]
        return self.turn(f"territory {place}", mine, f"whose territory is {place}", where)

    def pool(self, name: str | None) -> list[Candidate]:
        members = self.rules.members(name)
        return [each for each in self.desk.candidates if members is None or each.rep.email in members]

    def turn(self, pool: str, members: Sequence[Candidate], reason: str, where: str | None) -> Routed | None:
        """Take the next of a pool, after whoever was last."""
        ordered = sorted(members, key=lambda each: each.rep.id)
        last = self.desk.last.get(pool, 0)
        for candidate in (*(c for c in ordered if c.rep.id > last), *(c for c in ordered if c.rep.id <= last)):
            if self.takes(candidate):
                return Routed(candidate.rep, reason, where, turn=pool)
        return None

    def nobody(self) -> Routed:
        spare = next((each for each in self.desk.candidates if each.rep.email == self.rules.fallback), None)
        if spare and self.takes(spare, full_too=True):
            where = f"{self.lifecycle.file}:{self.rules.line}" if self.rules.line else None
            return Routed(spare.rep, "gets what nobody else can take", where)
        if not self.desk.candidates:
            return Routed(None, "there is no rep: nurture reps import, or nurture reps add")
        return Routed(None, "no rep is free" if self.skipped else "no routing rule applies")

    def takes(self, candidate: Candidate, *, full_too: bool = False) -> bool:
        """Say whether a rep can take one more, and remember why not."""
        why = None if candidate.rep.id not in self.had else "has let it lie"
        why = why or unfit(candidate, self.now) or (None if full_too else full(candidate))
        if why:
            self.skipped[candidate.rep.id] = f"{candidate.rep.name}: {why}"
        return why is None


def unfit(candidate: Candidate, now: datetime) -> str | None:
    """Return why a rep cannot take handoffs at all now."""
    if not candidate.has_mailbox:
        return f"has no mailbox to write from: nurture reps add --email {candidate.rep.email}"
    back = away_until(candidate.calendar, now)
    if back is None:
        return None
    return f"is away until {back}" if back.year < 9999 else "has no working hours"


def full(candidate: Candidate) -> str | None:
    """Return which capacity of a rep is used up."""
    if candidate.most_open is not None and candidate.open >= candidate.most_open:
        return f"has {candidate.open} open handoffs, at most {candidate.most_open}"
    if candidate.per_day is not None and candidate.today >= candidate.per_day:
        return f"got {candidate.today} handoffs today, at most {candidate.per_day}"
    return None


def name_of(situation: Situation) -> str | None:
    """Return the contact's whole name, None when a part of it is not known."""
    first, last = situation.contact.first_name, situation.contact.last_name
    return f"{first} {last}" if first and last else None


def _twin(situation: Situation, desk: Desk) -> Elsewhere | None:
    """Return an open handoff of somebody who seems to be the same person: same account, same name."""
    name = name_of(situation)
    same = (each for each in _colleagues(situation, desk) if name and each.name)
    return next((each for each in same if (each.name or "").casefold() == (name or "").casefold()), None)


def _colleagues(situation: Situation, desk: Desk) -> Iterator[Elsewhere]:
    account = situation.contact.account
    if account is None:
        return
    for each in desk.elsewhere:
        if each.account_id == account.id and each.contact_id != situation.contact.id:
            yield each


def _conflicts(situation: Situation, desk: Desk, routed: Routed) -> Iterator[str]:
    """Yield what does not fit together: owners who are others, people who are with somebody else."""
    contact, rep = situation.contact, routed.rep
    mine = rep.id if rep else None
    if contact.owner and contact.owner.id != mine:
        yield f"the contact is owned by {contact.owner.name}"
    owner_id = contact.account.owner_id if contact.account else None
    if owner_id is not None and owner_id != mine:
        held = desk.of(owner_id)
        yield f"the account is owned by {held.rep.name if held else 'a rep who is not active any more'}"
    twin = _twin(situation, desk)
    if twin:
        yield f"{twin.name} is open already, as contact {twin.contact_id}, with {_who(twin, desk)}"
    for each in _colleagues(situation, desk):
        if each is not twin and each.rep_id != mine and each.rep_id is not None:
            yield f"{each.name or f'contact {each.contact_id}'} of the same account is open with {_who(each, desk)}"


def _who(open_: Elsewhere, desk: Desk) -> str:
    held = desk.of(open_.rep_id)
    return held.rep.name if held else "nobody yet" if open_.rep_id is None else "a rep who is not active any more"


def _place(situation: Situation, own: Territory) -> str | None:
    account = situation.contact.account
    if own is Territory.INDUSTRY:
        found = account.industry if account else None
    else:
        found = situation.contact.country or (account.country if account else None)
    return _written(found) if found else None


def _written(place: str) -> str:
    """Return a country as its code, anything else in small letters."""
    return code_of(place) or place.strip().casefold()
