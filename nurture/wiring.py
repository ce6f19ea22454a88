"""The parts of sending put together from the settings: providers by name, links, and the safety rules.

A rehearsal has one provider under every name: an outbox of its own, whatever the settings say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from nurture import witness
from nurture.composing import Links
from nurture.core.rates import Rates, parse_rate
from nurture.db import instance, senders
from nurture.db.session import Database, is_sqlite
from nurture.errors import ProviderError, SuppressionKeyError
from nurture.postroom import Postroom
from nurture.providers import base
from nurture.providers.base import Provider
from nurture.settings import Settings
from nurture.witness import Witness

LOCAL_URL = "http://127.0.0.1:8000"
"""Where `nurture serve` answers by default: where links lead as long as no mail leaves this machine."""

OUTBOX = "outbox"

_log = structlog.get_logger()


def open_postroom(settings: Settings, database: Database, *, owner: str, local_url: str = LOCAL_URL) -> Postroom:
    """Open the providers and return what sending needs; `owner` names this process start.

    Raises:
        SuppressionKeyError: the key is missing or is not the database's.
        ProviderError: a provider that senders use is configured wrongly.
    """
    with database.read() as connection:
        instance.verify_keys(connection, settings.ring)
        home = instance.read(connection)
        used = {sender.provider for sender in senders.every(connection)}
    if settings.ring is None:
        raise SuppressionKeyError("there is no suppression key: put back .nurture/keys")
    if home.rehearsal:
        outboxes = _rehearsing(settings, database, used)
        return Postroom(outboxes, Links(local_url, settings.ring), owner, rates=settings.rates)
    providers = _configured(settings, used)
    leaves = any(provider.real for name, provider in providers.items() if name in used)
    public_url = settings.public_url or ("" if leaves else local_url)
    return Postroom(
        providers,
        Links(public_url, settings.ring),
        owner,
        redirect_all_to=settings.redirect_all_to,
        allow_domains=settings.allow_domains,
        launch_cap=settings.launch_cap,
        settle_after=settings.settle_after,
        witness=witness_of(settings),
        rates=_rates(settings, providers),
    )


def witness_of(settings: Settings) -> Witness:
    """Return the witness of a working folder."""
    return Witness(settings.folder / witness.FILE, settings.secret("NURTURE_INSTANCE"))


def close_postroom(postroom: Postroom) -> None:
    """Give back the connections and threads of every provider."""
    for provider in postroom.providers.values():
        provider.close()


def leaves_here(settings: Settings, name: str) -> bool:
    """Tell whether mail through a provider leaves this machine; one that cannot be opened would."""
    try:
        provider = _load(settings, name, settings.providers.get(name, {}))
    except ProviderError:
        return True
    provider.close()
    return provider.real


def _rates(settings: Settings, providers: Mapping[str, Provider]) -> Rates:
    """Return the rates of the settings, with what providers say of a mailbox of theirs (`mailbox_rate`)."""
    said = {name: getattr(provider, "mailbox_rate", None) for name, provider in providers.items()}
    return replace(settings.rates, providers={name: parse_rate(rate) for name, rate in said.items() if rate})


def _configured(settings: Settings, used: set[str]) -> dict[str, Provider]:
    """Load what the settings name. One that no sender uses may be incomplete: it is left out, and said so."""
    options = {OUTBOX: {}, **settings.providers}
    found: dict[str, Provider] = {}
    for name, chosen in options.items():
        try:
            found[name] = _load(settings, name, chosen)
        except ProviderError as error:
            if name in used:
                raise
            _log.warning("provider left out", provider=name, reason=str(error))
    return found


def _load(settings: Settings, name: str, options: Mapping[str, object]) -> Provider:
    """Load a provider; where an option is wrong, say in which line it (or, of a missing one, the table) stands."""
    try:
        return base.load(name, options, folder=settings.folder, secrets=settings.secrets)
    except ProviderError as error:
        place = settings.places.get((name, error.option or ""), settings.places.get((name, "")))
        if error.option is None or place is None:
            raise
        raise ProviderError(f"{place}: {error}", option=error.option) from error


def _rehearsing(settings: Settings, database: Database, used: set[str]) -> dict[str, Provider]:
    """Return one outbox under every name that a sender has or may get. What it writes need not survive a power cut."""
    options = {"directory": str(rehearsal_outbox(settings, database)), "fsync": False}
    outbox = base.load(OUTBOX, options, folder=settings.folder, secrets={})
    return dict.fromkeys({OUTBOX, settings.reps_provider, *settings.providers, *base.names(), *used}, outbox)


def rehearsal_outbox(settings: Settings, database: Database) -> Path:
    """Return the folder in which a rehearsal's mail is written, within that of the outbox."""
    chosen: Mapping[str, object] = settings.providers.get(OUTBOX, {})
    name = str(database.url.database)
    name = Path(name).stem if is_sqlite(database.url) else name
    return settings.folder / str(chosen.get("directory", OUTBOX)) / f"rehearsal-{name}"
