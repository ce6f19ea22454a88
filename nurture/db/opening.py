"""Why a database cannot be opened or written, and what to do about it: sentences for people.

SQLite says "unable to open database file" of a folder that is missing, of a folder where a file should be, and of
permissions; so these are looked at before and after it was asked. PostgreSQL's words tell what to mend.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

URL = "the database URL (`url` in [database] of nurture.toml, or NURTURE_DATABASE_URL)"


def unopenable(path: Path, create: bool) -> str | None:
    """Return why there is no SQLite file to open at `path` (or none to be made, with `create`), else None."""
    folder = path.parent
    if os.path.isdir(path):
        return f"{path} is a folder: name a file in {URL}, for example sqlite:///nurture.db."
    if not os.path.isdir(folder):
        return _no_folder(path, folder)
    if not os.access(folder, os.X_OK):
        return f"The database {path} cannot be opened: {_lacking('look into', folder)}"
    if os.path.exists(path):
        readable = os.access(path, os.R_OK)
        return None if readable else f"The database {path} cannot be opened: {_lacking('read', path)}"
    if not create:
        return f"There is no database at {path}. Run `nurture db upgrade` to make it."
    return None if os.access(folder, os.W_OK) else f"The database {path} cannot be made: {_lacking('write in', folder)}"


def unwritable(path: Path) -> str | None:
    """Return which permission this user lacks for writing the SQLite file `path`; None when it lacks none.

    SQLite writes in the folder as well: two files beside the database, which are made and removed again.
    """
    path = Path(os.path.realpath(path))
    beside = [Path(f"{path}{end}") for end in ("-wal", "-shm")]
    if not all(os.path.exists(each) for each in beside) and not os.access(path.parent, os.W_OK | os.X_OK):
        lacking = _lacking("write in", path.parent)
    else:
        lacking = ""
    for each in (path, *beside):
        if os.path.exists(each) and not os.access(each, os.W_OK):
            lacking = _lacking("write", each)
            break
    return f"The database {path} cannot be written: {lacking}" if lacking else None


def refused_by_sqlite(path: Path, error: BaseException | None, cause: str) -> str:
    """Return why SQLite did not open the file `path`, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        step = f"Correct {URL}; if the file is meant, put the last backup in its place."
        return f"The file {path} is no SQLite database ({cause}), or is damaged. {step}"
    forbidden = code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    if forbidden and (lacking := unwritable(path)) is not None:
        return lacking
    return f"The database {path} cannot be opened: {cause}. Check its file and folder, and {URL}."


def refused_by_postgresql(where: str, name: str | None, cause: str) -> str:
    """Return why PostgreSQL took no connection to the database `name`, which is at `where`, and what to do."""
    if f'database "{name}" does not exist' in cause:
        step = f"Make it (`createdb {name}`) and run `nurture db upgrade`, or correct {URL}"
    elif any(words in cause for words in _LOGIN):
        step = f"Check user and password in {URL}, and that the server's pg_hba.conf lets them in"
    elif any(words in cause for words in _NETWORK):
        step = f"Start PostgreSQL there, or correct host and port in {URL}"
    else:
        step = f"Check that PostgreSQL runs there, and host, port, user, password and name in {URL}"
    return f"The database {where} cannot be reached: {cause.rstrip('.')}. {step}."


_LOGIN = ("authentication failed", "no password supplied", "pg_hba.conf", 'role "')
_NETWORK = ("refused", "resolve", "timeout", "timed out", "No such file", "No route", "unreachable")


def _no_folder(path: Path, folder: Path) -> str:
    there = next(each for each in folder.parents if os.path.exists(each))
    if not os.path.isdir(there) or os.path.exists(folder):
        there = folder if os.path.exists(folder) else there
        return f"The database {path} cannot be opened: {there} is a file and no folder. Correct {URL}."
    if not os.access(there, os.X_OK):
        return f"The database {path} cannot be opened: {_lacking('look into', there)}"
    return f"The database {path} cannot be opened: there is no folder {folder}. Make it, or correct {URL}."


def _lacking(verb: str, what: Path) -> str:
    """Return that this user may not do that, and who may. A file system may be mounted to be read only."""
    kind = "folder" if os.path.isdir(what) else "file"
    step = f"Run nurture as the user who may, or let this one do it (`ls -ld {what}`; is its disk mounted read-only?)."
    return f"this user{_name()} may not {verb} the {kind} {what}{_owner(what)}. {step}"


def _name() -> str:
    return f" (number {os.getuid()})" if hasattr(os, "getuid") else ""


def _owner(what: Path) -> str:
    try:
        return f", which belongs to {what.owner()}"
    except (OSError, KeyError, NotImplementedError):
        return ""
