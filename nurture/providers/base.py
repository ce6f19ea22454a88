"""What every provider is: a group of mails in, exactly one receipt for each out. Also finds a provider by its name.

A provider is a module with `create(options, *, folder, secrets) -> Provider`. The configured name is the name of a
module in this package; a dotted name is a module from elsewhere.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar, cast

from nurture.core.quick import quick_init
from nurture.errors import ProviderError
from nurture.mail.wire import Outgoing

T = TypeVar("T")

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


class Outcome(StrEnum):
    """What became of one mail.

    `accepted`: the provider has it. `not_sent`: it certainly has not, try again. `refused`: it never will, for this
    mail or recipient. `ambiguous`: nobody knows; never try again without evidence. `sender_refused`: it will not take
    mail from us (token, login, account): pause the sender, not the contact; the mail was not sent.
    """

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"
    SENDER_REFUSED = "sender_refused"


@quick_init
@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the mail `id`.

    `provider_id` is the provider's name for it, `wire_id` the Message-ID that it really carries where the provider
    changed ours (with angle brackets), `retry_after` the seconds that the provider asked us to wait. `detail` is for
    people and holds no secret.
    """

    id: int
    outcome: Outcome
    provider_id: str | None = None
    detail: str = ""
    retry_after: float | None = None
    wire_id: str | None = None


class Provider(Protocol):
    """A service that carries mail."""

    @property
    def name(self) -> str:
        """Return the configured name."""
        ...

    @property
    def batch(self) -> int:
        """Return how many mails one call of `send` carries at best; it may change with experience."""
        ...

    @property
    def real(self) -> bool:
        """Tell whether mail leaves this machine."""
        ...

    def send(self, group: Sequence[Outgoing], *, seconds: float) -> list[Receipt]:
        """Send a group within `seconds` in all; return one receipt for each mail, in order. Failing is a value."""
        ...

    def evidence(self, message_ids: Sequence[str]) -> Mapping[str, bool]:
        """Say which mails were certainly sent (True) or certainly not (False), by Message-ID.

        Mails that the provider cannot tell about are missing: a person settles those.
        """
        ...

    def close(self) -> None:
        """Give back connections and threads. May be called twice."""
        ...


class Deadline:
    """A moment after which nothing may go on. `left` never ends below zero.

    Its clock runs on while the machine sleeps, where the system has such a clock.
    """

    def __init__(self, seconds: float) -> None:
        self._until = _clock() + seconds

    def left(self) -> float:
        """Return the seconds left; 0 when it is over."""
        return max(0.0, self._until - _clock())

    def check(self) -> float:
        """Return the seconds left; raise TimeoutError when it is over."""
        left = self.left()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        return left


def _clock() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def connect_any(host: str, port: int, deadline: Deadline, connect: Callable[[str, float], T]) -> T:
    """Try `connect(ip, seconds)` with each address of a host until one answers, all within the deadline.

    Raises OSError (TimeoutError among them) of the last one. Looking up the name is bounded by the system's resolver.
    """
    error: OSError = TimeoutError("the deadline is over")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(None, f"{host!r} is not a host name") from None
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    for address in addresses:
        left = deadline.left()
        if left <= 0:
            break
        try:
            return connect(address, left)
        except OSError as failed:
            error = failed
    raise error


def reason(error: BaseException) -> str:
    """Return what went wrong, in a few words for people."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, socket.gaierror):
        return "the name is unknown"
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror)
    return printable(_ERRNO.sub("", str(error)) or type(error).__name__)


def printable(text: str, limit: int = 300) -> str:
    """Return a provider's words on one line without control characters, cut at `limit` characters."""
    words = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


class Options:
    """The table `[providers.NAME]`, read one option at a time. A mistake is a ProviderError that names the option."""

    def __init__(self, provider: str, values: Mapping[str, object], known: Sequence[str]) -> None:
        """Refuse options that are not `known`, before any that they may have been meant for is missed."""
        self._provider = provider
        self._values = values
        for name in values:
            if name not in known:
                raise self.wrong(name, f"is not an option{_did_you_mean(name, known)}")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there."""
        value = self._take(name, default)
        if value is None or value == "":
            missing = f"the provider {self._provider!r} has no {name}: set {self._place(name)}"
            raise ProviderError(missing, option=name)
        if not isinstance(value, str):
            raise self.wrong(name, f"must be a text, not {value!r}")
        return value

    def optional(self, name: str) -> str | None:
        """Return a text, or None when it is missing or empty."""
        return self.text(name) if self._take(name, None) else None

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within its bounds."""
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(name, f"must be a whole number from {least} to {most}, not {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, f"must be true or false, not {value!r}")
        return value

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """Return one of the allowed words."""
        value = self.text(name, default)
        if value not in allowed:
            raise self.wrong(name, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def texts(self, name: str, default: Mapping[str, str]) -> dict[str, str]:
        """Return a table of texts; what it leaves out stays as in the default."""
        value = self._take(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
            raise self.wrong(name, "must be a table of texts")
        unknown = [key for key in value if key not in default]
        if unknown:
            raise self.wrong(name, f"knows {', '.join(default)}, not {unknown[0]!r}")
        return {**default, **value}

    def secret(self, name: str, default: str, secrets: Mapping[str, str]) -> str:
        """Return the secret in the environment variable that the option names."""
        variable = self.text(name, default)
        secret = secrets.get(variable, "").strip()
        if not secret:
            raise ProviderError(
                f"the provider {self._provider!r} needs a secret: set the environment variable {variable} "
                f"(or name another one in {self._place(name)})",
                option=name,
            )
        return secret

    def wrong(self, name: str, what: str) -> ProviderError:
        """Return the error that says `what` is wrong with an option."""
        return ProviderError(f"{self._place(name)} {what}", option=name)

    def _take(self, name: str, default: object) -> object:
        return self._values.get(name, default)

    def _place(self, name: str) -> str:
        return f"`{name}` in [providers.{self._provider}]"


def load(name: str, options: Mapping[str, object], *, folder: Path, secrets: Mapping[str, str]) -> Provider:
    """Return the provider `name` with its options. Relative paths count from `folder`; `secrets` is the environment.

    Raises ProviderError that says what to set.
    """
    if "." not in name and name not in names():
        raise ProviderError(f"there is no provider {name!r}{_did_you_mean(name, names())}")
    module = name if "." in name else f"{__package__}.{name}"
    try:
        create = importlib.import_module(module).create
    except (ImportError, AttributeError) as error:
        raise ProviderError(
            f"the provider {name!r} cannot be loaded ({error}): install the package; it must have a function `create`"
        ) from error
    return cast(Provider, create(options, folder=folder, secrets=secrets))


def names() -> list[str]:
    """Return the names of the providers that come with the package."""
    package = importlib.import_module(__package__)
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    return sorted(modules - {"answers", "base", "http", "lines"})


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f": did you mean {close[0]!r}?" if close else f": there are {', '.join(sorted(set(known)))}"
