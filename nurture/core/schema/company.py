"""Reads the part of `nurture.toml` that belongs to the program: the lifecycle's name, the company, the senders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field

from nurture.core.model import Company
from nurture.core.program import SenderSpec
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
    senders = {
        name: SenderSpec(name, Voice.MARKETING, sender.address, sender.display_name, sender.provider, sender.reply_to)
        for name, sender in shape.senders.items()
    }
    return House(shape.lifecycle, company, senders)


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
    """A general address of the company."""

    voice: Annotated[Voice, BeforeValidator(_marketing)] = Voice.MARKETING
    address: _Address
    display_name: Text
    provider: Text = "outbox"
    reply_to: _Address | None = None


class HouseShape(Shape):
    """The program's part of the file."""

    lifecycle: Name
    company: CompanyShape
    senders: dict[Annotated[Name, BeforeValidator(_sender_name)], SenderShape] = Field(default_factory=dict)
