"""How the demo's contacts behave: what they do after a mail, and when. Pure; chance is a hash of who and what.

The numbers are invented, within what newsletters and sales mail usually see. Opens are pretended for marketing mail
only: personal mail carries no pixel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from nurture.core.model import ContactId, MessageId
from nurture.core.words import Voice


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that has arrived. `unsubscribe` is the link that stands in it, None in personal mail."""

    message_id: MessageId
    contact_id: ContactId
    email: str
    voice: Voice
    template: str
    at: datetime
    unsubscribe: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person does at a moment. `key` makes it unique; `link` is the link that they follow to leave."""

    at: datetime
    key: str
    contact_id: ContactId
    kind: str
    data: Mapping[str, object] = field(default_factory=dict)
    message_id: MessageId | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class _Temper:
    """How probable it is that somebody opens a newsletter, clicks in it then, wants more then, comes to a webinar."""

    opens: float
    clicks: float
    wants: float
    webinars: float


_KEEN, _CURIOUS, _QUIET = _Temper(0.84, 0.5, 0.2, 0.5), _Temper(0.5, 0.22, 0.03, 0.16), _Temper(0.2, 0.1, 0.0, 0.0)

_WEBINARS = {
    "Month-end in five days": datetime(2026, 3, 12, 14, 0, tzinfo=UTC),
    "One set of figures": datetime(2026, 3, 30, 14, 0, tzinfo=UTC),
}

_READS = {
    "leads/welcome": "The first ten metrics",
    "leads/education-basics": "A shared chart of accounts",
    "leads/education-checklist": "Data quality checklist",
    "leads/education-case-study": "Case study: nine days to five",
}
_INTERESTED = (
    "Good timing, we are looking at exactly this. Could you show us next week?",
    "Yes, that is a problem here. Who else of our size have you worked with?",
    "Happy to talk. Thursday afternoon suits me best.",
)
_NOT_NOW = (
    "Thanks, but this is not a topic for us this year.",
    "Please get back to me after the summer.",
    "We have just signed with somebody else, sorry.",
)
_TO_ALL = (
    "Thank you, this was useful. Do you have the same for warehouses?",
    "Can you send me the guide as a PDF?",
)


def reactions(mail: Mail) -> list[Act]:
    """Return what a person does about a mail, in no particular order; often nothing."""
    if mail.voice is Voice.PERSONAL:
        return list(_to_a_person(mail))
    return list(_to_a_newsletter(mail))


def webinars(contact_id: ContactId, email: str) -> list[Act]:
    """Return what a person does about the month's webinars."""
    names = [name for name in _WEBINARS if chance(email, name) < _temper(email).webinars]
    return [act for name in names for act in _webinar(contact_id, email, name)]


def chance(*what: str) -> float:
    """Return a number in [0, 1) that is always the same for the same words."""
    digest = hashlib.sha256("\0".join(what).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def awake(moment: datetime) -> datetime:
    """Return the moment, or a time of the next working day when it falls into the night or the weekend."""
    day = moment.date()
    if moment.time() >= time(19):
        day += timedelta(days=1)
    elif moment.time() >= time(6) and day.weekday() < 5:
        return moment
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return datetime.combine(day, time(7, moment.minute), UTC)


# --- webinars ---------------------------------------------------------------------------------------------------------


def _webinar(contact_id: ContactId, email: str, name: str) -> Iterator[Act]:
    """Yield signing up, being there, and for some: taking the slides home, or asking for a demo."""
    begins, data = _WEBINARS[name], {"event": name}
    signed_up = awake(begins - timedelta(days=1 + 7 * chance(email, name, "when")))
    yield Act(signed_up, f"registered:{name}:{email}", contact_id, "event_registered", data)
    if chance(email, name, "came") > 0.75:
        yield Act(begins, f"missed:{name}:{email}", contact_id, "event_missed", data)
        return
    yield Act(begins, f"attended:{name}:{email}", contact_id, "event_attended", data)
    ends = begins + timedelta(hours=1)
    if chance(email, name, "slides") < 0.5:
        yield Act(ends, f"slides:{name}:{email}", contact_id, "content_downloaded", {"content": f"Slides: {name}"})
    if chance(email, name, "demo") < _temper(email).wants / 2:
        asked = awake(ends + timedelta(hours=18 * chance(email, name, "later")))
        yield Act(asked, f"asked:{name}:{email}", contact_id, "demo_requested", {"form": "webinar"})


# --- newsletters ------------------------------------------------------------------------------------------------------


def _to_a_newsletter(mail: Mail) -> Iterator[Act]:
    temper, who, what = _temper(mail.email), mail.email, mail.template
    if chance(who, "gone") < 0.01:
        yield _act(mail, "bounced", timedelta(minutes=4), status="5.1.1", permanent=True)
        return
    if chance(who, what, "away") < 0.02:
        yield _act(mail, "auto_replied", timedelta(minutes=1), text="I am out of the office until Monday.")
    if chance(who, what, "open") > temper.opens:
        return
    opened = awake(mail.at + timedelta(hours=0.2 + 40 * chance(who, what, "when") ** 3))
    yield _act(mail, "opened", opened - mail.at)
    if chance(who, what, "leave") < 0.022:
        yield Act(
            opened + timedelta(minutes=2), f"leave:{what}:{who}", mail.contact_id, "unsubscribed", link=mail.unsubscribe
        )
    elif chance(who, what, "click") < temper.clicks:
        yield from _after_a_click(mail, temper, opened + timedelta(minutes=1))
    elif chance(who, what, "reply") < 0.012:
        yield _act(mail, "replied", opened - mail.at + timedelta(minutes=9), text=_pick(_TO_ALL, who, what))


def _after_a_click(mail: Mail, temper: _Temper, clicked: datetime) -> Iterator[Act]:
    who, what, since = mail.email, mail.template, clicked - mail.at
    yield _act(mail, "clicked", since, url=f"/{what.partition('/')[2]}")
    yield _act(mail, "page_viewed", since + timedelta(minutes=1), page=f"/guides/{what.partition('/')[2]}")
    if what in _READS and chance(who, what, "download") < 0.3:
        yield _act(mail, "content_downloaded", since + timedelta(minutes=3), content=_READS[what])
    if chance(who, what, "pricing") < temper.wants * 2:
        yield _act(mail, "page_viewed", since + timedelta(minutes=6), page="/pricing")
    if chance(who, what, "demo") < temper.wants:
        asked = awake(clicked + timedelta(hours=20 * chance(who, what, "later")))
        yield _act(mail, "demo_requested", asked - mail.at, form="demo")


# --- personal mail ----------------------------------------------------------------------------------------------------


def _to_a_person(mail: Mail) -> Iterator[Act]:
    who, what = mail.email, mail.template
    if chance(who, what, "away") < 0.06:
        yield _act(mail, "auto_replied", timedelta(minutes=1), text="I am traveling and will answer next week.")
    if chance(who, what, "reply") > 0.28:
        return
    replied = awake(mail.at + timedelta(hours=1 + 50 * chance(who, what, "when") ** 2))
    interested = chance(who, what, "interested") < 0.55
    words = _pick(_INTERESTED if interested else _NOT_NOW, who, what)
    yield _act(mail, "replied", replied - mail.at, text=words)
    if interested and chance(who, what, "meet") < 0.7:
        yield from _a_meeting(mail, replied)


def _a_meeting(mail: Mail, replied: datetime) -> Iterator[Act]:
    who = mail.email
    booked = awake(replied + timedelta(hours=4 + 24 * chance(who, "books")))
    held = awake(booked + timedelta(days=2 + 4 * chance(who, "meets")))
    yield _act(mail, "meeting_booked", booked - mail.at, when=held.isoformat())
    came = chance(who, "comes") < 0.85
    yield _act(mail, "meeting_held" if came else "meeting_missed", held - mail.at)
    if came and chance(who, "buys") < 0.4:
        bought = awake(held + timedelta(days=4 + 5 * chance(who, "decides")))
        yield Act(bought, f"purchased:{who}", mail.contact_id, "purchased", {"product": "Team plan"})


def _act(mail: Mail, kind: str, after: timedelta, **data: object) -> Act:
    at = mail.at + after
    key = f"{kind}:{mail.message_id}:{data['page']}" if "page" in data else f"{kind}:{mail.message_id}"
    return Act(at, key, mail.contact_id, kind, data, mail.message_id)


def _temper(email: str) -> _Temper:
    share = chance(email, "temper")
    return _KEEN if share < 0.15 else _CURIOUS if share < 0.5 else _QUIET


def _pick(texts: tuple[str, ...], *what: str) -> str:
    return texts[int(chance(*what, "words") * len(texts))]
