"""`nurture` as people start it: a process of its own, in a working folder, that tests hear and stop."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import TextIO

from nurture.mail.keys import format_keys
from tests.programs import ROOT, small
from tests.world import RING

PATIENCE = 120
"""Seconds before a test gives up on a process: machines may be slow."""

_START = "import sys; from nurture.cli import main; print('ready', file=sys.stderr, flush=True); input(); main()"


def working_folder(folder: Path, database_url: str, changes: Mapping[str, str] | None = None) -> Path:
    """Write the small program (with changed files) and the keys of the tests' world into a folder."""
    files = {**small(), **(changes or {})}
    files["nurture.toml"] += f'\n[database]\nurl = "{database_url}"\n'
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (folder / ".nurture").mkdir()
    (folder / ".nurture" / "keys").write_text(format_keys(RING), "ascii")
    return folder


class Process:
    """A process that does what `python -c CODE WORDS` does, without the second that it takes to import everything.

    It is forked off a server that has the modules loaded, and nothing else: no connection, no thread, no cache.
    """

    def __init__(self, code: str, *words: str, environ: Mapping[str, str] | None = None) -> None:
        """Start it, in this folder; all three streams are pipes."""
        heard, self.stdin = _pipe()
        self.stdout, printed = _pipe()
        self.stderr, told = _pipe()
        theirs = (heard, printed, told)
        environ = dict(os.environ if environ is None else environ)
        self._process = _server().Process(target=_be, args=(code, words, environ, _Streams(theirs)))
        self._process.start()
        for stream in theirs:
            stream.close()

    def go(self) -> None:
        """Write the line that it waits for."""
        self.stdin.write("go\n")
        self.stdin.flush()

    @property
    def returncode(self) -> int | None:
        """How it ended (a signal is negative)."""
        return self._process.exitcode

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until it has ended; return how."""
        self._process.join(timeout)
        assert self.returncode is not None, f"has not ended after {timeout} s"
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to it, unless it has ended."""
        self._signal(os.kill, number)

    def kill(self) -> None:
        """Let it end at once."""
        self.send_signal(signal.SIGKILL)

    def kill_group(self) -> None:
        """Let it end at once, where it leads a group (it has answered since), with everything that it started."""
        self._signal(os.killpg, signal.SIGKILL)

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        if self._process.is_alive():
            assert self._process.pid is not None
            with suppress(ProcessLookupError):  # it has ended since, and whoever forked it knows that before we do
                send(self._process.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Let it end at once, unless it has, and close our ends of its streams."""
        self.kill()
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()


def _pipe() -> tuple[TextIO, TextIO]:
    reading, writing = os.pipe()
    return os.fdopen(reading, encoding="utf-8"), os.fdopen(writing, "w", encoding="utf-8")


class _Streams:
    """Three files on their way into another process."""

    def __init__(self, files: Sequence[TextIO]) -> None:
        self._files = files

    def __reduce__(self) -> object:
        return _taken, tuple(DupFd(file.fileno()) for file in self._files)


def _taken(*files: DupFd) -> tuple[int, ...]:  # type: ignore[valid-type]
    return tuple(file.detach() for file in files)


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nurture.cli", "tests.processes"])
    return context


def _be(code: str, words: Sequence[str], environ: Mapping[str, str], streams: Sequence[int]) -> None:
    """Be that process, from here on."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["-c", *words]
    exec(code, {"__name__": "__main__"})


@dataclass
class Running:
    """A process that waits before it begins, and whose every line can be waited for."""

    process: Process
    lines: queue.Queue[str] = field(default_factory=queue.Queue)
    heard: list[str] = field(default_factory=list)

    def go(self) -> None:
        """Let it begin."""
        self.process.go()

    def wait_for(self, words: str) -> str:
        """Wait for a line on standard error with `words` in it."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"never said {words!r}, but: {''.join(self.heard)}") from None
            self.heard.append(line)
            if words in line:
                return line
            if not line:
                raise AssertionError(f"ended without {words!r}: {''.join(self.heard)}")

    def end(self) -> tuple[int, str]:
        """Wait until it ends; return its exit code and what it printed."""
        printed = self.process.stdout.read()
        return self.process.wait(PATIENCE), printed


@contextmanager
def started(*words: str, folder: Path) -> Iterator[Running]:
    """Start `nurture WORDS` in a folder, up to the moment before it reads them; it never outlives the block."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NURTURE_")}
    environ |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = Process(_START, "-C", str(folder), *words, environ=environ)
    running = Running(process)
    listener = threading.Thread(target=_listen, args=(running,))
    listener.start()
    try:
        running.wait_for("ready")
        yield running
    finally:
        process.kill()
        listener.join(PATIENCE)
        process.close()


def _listen(running: Running) -> None:
    for line in running.process.stderr:
        running.lines.put(line)
    running.lines.put("")
