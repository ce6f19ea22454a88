"""Reads the part of `nurture.toml` that belongs to the program: the lifecycle's name, the company, the senders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field

from nurture.core.model import Company
from nurture.core.program import SenderSpec
from nurture.core.rates import Rate, parse_rate
from nurture.core.schema.document import Document
from nurture.core.schema.flaws import flawed, meant
from nurture.core.schema.sequence import OWNER
from nurture.core.schema.shapes import Name, Shape, Text, check, shown
from nurture.core.schema.vocabulary import ANYTHING
from nurture.core.words import Voice

PARTS = ("lifecycle", "company", "senders")
"""The keys of `nurture.toml` that are part of the program; the others are settings."""


@dataclass(frozen=True, slots=True)
class House:
    """Who writes, from which addresses, by which lifecycle."""

    lifecycle: str
    company: Company
    senders: dict[str, SenderSpec]


def read_house(document: Document) -> House:
    """Read the program's part of `nurture.toml`; raise ProgramError with every mistake."""
    shape = check(HouseShape, document, ANYTHING)
    about = shape.company
    company = Company(
        name=about.name,
        postal_address=about.postal_address,
        time_zone=about.time_zone,
        country=about.country,
        website=about.website,
        privacy_url=about.privacy_url,
        extra=dict(about.extra),
    )
    return House(shape.lifecycle, company, {name: _sender(name, sender) for name, sender in shape.senders.items()})


def _sender(name: str, shape: SenderShape) -> SenderSpec:
    return SenderSpec(
        name,
        Voice.MARKETING,
        shape.address,
        shape.display_name,
        shape.provider,
        shape.reply_to,
        shape.rate,
        shape.per_day,
    )


def _address(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(
        r"[^@\s<>,;\"\x00-\x1f]+@[^@\s<>,;\"\x00-\x1f]+\.[^@\s.]+", value
    ):
        raise flawed(f"{shown(value)} is no e-mail address", "write the bare address, such as news@company.example")
    return value


def _zone(value: object) -> str:
    if not isinstance(value, str):
        raise flawed(f"{shown(value)} is no time zone", "write for example Europe/Berlin")
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):
        raise flawed(f"unknown time zone {shown(value)}", _zone_meant(value)) from None
    return value


def _zone_meant(value: str) -> str:
    hint = meant(value, available_timezones())
    return hint if hint.startswith("did you mean") else "write for example Europe/Berlin"


def _country(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{2}", value):
        raise flawed(f"{shown(value)} is no country code", "write its two capital letters, such as DE or US")
    return value


def _url(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/]\S*", value):
        raise flawed(f"{shown(value)} is no web address", "write it in full, such as https://www.company.example")
    return value


def _marketing(value: object) -> Voice:
    if value == Voice.PERSONAL:
        raise flawed("a sender of nurture.toml cannot be personal", "personal senders come from `nurture reps add`")
    if value != Voice.MARKETING:
        raise flawed(f"unknown voice {shown(value)}", meant(str(value), [Voice.MARKETING]))
    return Voice.MARKETING


def _sender_name(value: object) -> object:
    if value == OWNER:
        raise flawed(f"no sender can be named {OWNER!r}", "it stands for the rep who owns the contact")
    return value


def _rate(value: object) -> Rate:
    if not isinstance(value, str):
        raise flawed(f"{shown(value)} is no rate", "write for example '150 per minute'")
    try:
        return parse_rate(value)
    except ValueError as error:
        what, _, hint = str(error).partition(": ")
        raise flawed(what, hint) from None


_Address = Annotated[str, BeforeValidator(_address)]
_Url = Annotated[str, BeforeValidator(_url)]


class CompanyShape(Shape):
    """Who writes. `extra` are further facts that templates may name (`our_phone`)."""

    name: Text
    postal_address: Text
    time_zone: Annotated[str, BeforeValidator(_zone)] = "UTC"
    country: Annotated[str, BeforeValidator(_country)] | None = None
    website: _Url | None = None
    privacy_url: _Url | None = None
    extra: dict[Name, Text] = Field(default_factory=dict)


class SenderShape(Shape):
    """A general address of the company. `rate` and `per_day` are how much may go out from it."""

    voice: Annotated[Voice, BeforeValidator(_marketing)] = Voice.MARKETING
    address: _Address
    display_name: Text
    provider: Text = "outbox"
    reply_to: _Address | None = None
    rate: Annotated[Rate, BeforeValidator(_rate)] | None = None
    per_day: Annotated[int, Field(ge=1, strict=True)] | None = None


class HouseShape(Shape):
    """The program's part of the file."""

    lifecycle: Name
    company: CompanyShape
    senders: dict[Annotated[Name, BeforeValidator(_sender_name)], SenderShape] = Field(default_factory=dict)
