"""A process is not told the memory of the one that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is inherited")
def test_peak_memory_is_the_processes_own() -> None:
    ballast = bytearray(b"x") * 200_000_000
    command = [sys.executable, "-c", "from nurture.benchmark.memory import peak_mb; print(peak_mb())"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(ballast) / 1e6 > float(ran.stdout)
