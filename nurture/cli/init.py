"""`nurture init`: a working folder with the shipped program, its keys and its database."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from nurture.cli.db import ready_database
from nurture.cli.output import JsonOption, note, print_json, say
from nurture.errors import UsageError
from nurture.mail.keys import MIN_KEY_BYTES, KeyRing, format_keys
from nurture.program.definitions import packs, shipped_root
from nurture.settings import FILE, load_settings

_DEFAULT = "scored"
_LIFECYCLE = "sequences/lifecycle.yaml"

_IGNORED = """\
.nurture/
outbox/
*.db
*.db-shm
*.db-wal
"""

_SETTINGS = """\
# Who writes, from which addresses, through which provider. Passwords and tokens do not stand here:
# they come from the environment.
lifecycle = "{lifecycle}"

[company]
name = "Example Company"
postal_address = "1 Example Street, 12345 Example City"
time_zone = "UTC"
# country = "DE"
website = "https://www.example.com"

[database]
url = "sqlite:///nurture.db"      # or postgresql://user@host/name; NURTURE_DATABASE_URL wins

[web]
public_url = ""                   # the https address of `nurture serve`: unsubscribe links need it

[senders.newsletter]
voice = "marketing"
address = "news@example.com"
display_name = "Example Company"
provider = "outbox"

[reps]
provider = "outbox"               # through which the reps' mail goes out

[providers.outbox]
directory = "outbox"              # writes .eml files; nothing leaves this machine
"""


@dataclass(slots=True)
class Written:
    """What was made in a folder, and what was there already and stays as it is."""

    folder: Path
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file that is not there yet; keep one that is."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            self.kept.append(name)
            return
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        self.made.append(name)


def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make, or to complete.", metavar="DIR")],
    definitions: Annotated[
        str | None,
        typer.Option(
            help=f"Which lifecycle to begin with; its file is {_LIFECYCLE}.", metavar="NAME", show_default=_DEFAULT
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a working folder: settings, sequences, templates, keys and an empty database. Nothing is overwritten.

    Example: `nurture init my-company`
    """
    written = make_folder(folder, definitions or _DEFAULT)
    if definitions and _LIFECYCLE in written.kept and _is_another(folder, definitions):
        note(f"{folder / _LIFECYCLE} was there and stays: the definitions {definitions!r} need a folder of their own")
    if as_json:
        print_json({"folder": folder, "made": written.made, "kept": written.kept})
        return
    say(
        f"{folder}: {len(written.made)} files made"
        + (f", {len(written.kept)} kept as they were" if written.kept else "")
    )
    for name in written.kept:
        say(f"  kept {name}")
    say()
    say("Next:")
    say(f"  cd {folder}")
    say(f"  edit {FILE}       who writes, from which addresses")
    say("  nurture lint            is everything in order?")
    say("  nurture apply           make it live")
    say("  nurture contacts import leads.csv")


def _is_another(folder: Path, definitions: str) -> bool:
    return (folder / _LIFECYCLE).read_bytes() != packs()[definitions].read_bytes()


def make_folder(folder: Path, definitions: str) -> Written:
    """Make or complete a working folder with its keys and its database; raise UsageError when that cannot be."""
    shipped = _shipped(definitions)
    written = Written(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(written, shipped, definitions)
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from None
    ready_database(load_settings(folder, os.environ))
    return written


def _write(written: Written, shipped: _Shipped, definitions: str) -> None:
    written.file(FILE, _SETTINGS.format(lifecycle=definitions).encode())
    written.file("fields.yaml", shipped.fields.read_bytes())
    written.file(_LIFECYCLE, shipped.lifecycle.read_bytes())
    for part in ("leads", "prospects", "customers"):
        _copy(written, shipped.sequences / part, f"sequences/{part}")
    _copy(written, shipped.templates, "templates")
    written.file(".gitignore", _IGNORED.encode())
    keys = KeyRing((("k1", secrets.token_bytes(MIN_KEY_BYTES)),))
    written.file(".nurture/keys", format_keys(keys).encode(), 0o600)


def _copy(written: Written, source: Path, target: str) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            written.file(f"{target}/{path.relative_to(source).as_posix()}", path.read_bytes())


@dataclass(frozen=True, slots=True)
class _Shipped:
    sequences: Path
    templates: Path
    lifecycle: Path
    fields: Path


def _shipped(definitions: str) -> _Shipped:
    root, known = shipped_root(), packs()
    sequences = root / "sequences"
    if definitions not in known:
        raise UsageError(f"there are no definitions {definitions!r}; there are: {', '.join(known)}")
    fields = next((path for path in (root / "fields.yaml", sequences / "fields.yaml") if path.is_file()), None)
    if fields is None:
        raise UsageError(f"this installation of nurture lacks fields.yaml ({root}); install it again")
    return _Shipped(sequences, root / "templates", known[definitions], fields)
