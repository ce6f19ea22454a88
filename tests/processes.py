"""`nurture` as people start it: a process of its own, in a working folder, that tests hear and stop."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass
class Running:
    """A process that waits before it begins, and whose every line can be waited for."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str] = field(default_factory=queue.Queue)
    heard: list[str] = field(default_factory=list)

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

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
        assert self.process.stdout is not None
        printed = self.process.stdout.read()
        return self.process.wait(PATIENCE), printed


@contextmanager
def started(*words: str, folder: Path) -> Iterator[Running]:
    """Start `nurture WORDS` in a folder, up to the moment before it reads them; it never outlives the block."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NURTURE_")}
    environ |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-c", _START, "-C", str(folder), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    running = Running(process)
    listener = threading.Thread(target=_listen, args=(running,))
    listener.start()
    try:
        running.wait_for("ready")
        yield running
    finally:
        process.kill()
        process.wait(PATIENCE)
        listener.join(PATIENCE)
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def _listen(running: Running) -> None:
    assert running.process.stderr is not None
    for line in running.process.stderr:
        running.lines.put(line)
    running.lines.put("")
