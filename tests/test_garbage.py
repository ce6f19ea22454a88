"""How often garbage is looked for, in a process of its own: it changes the whole process."""

from __future__ import annotations

import subprocess
import sys

PROCESS = """
import gc
from nurture.garbage import NEW_VALUES, collect_page, collect_rarely
cycle = []
cycle.append(cycle)
del cycle
before = gc.get_stats()
collect_page()
assert gc.get_stats() == before, "it is Python's own to collect"
collect_rarely()
frozen = gc.get_freeze_count()
assert frozen > 1_000 and gc.get_threshold()[0] == NEW_VALUES and gc.isenabled()
class Cycle:
    gone = False
    def __init__(self): self.me = self
    def __del__(self): Cycle.gone = True
Cycle()
held = [[] for _ in range(2 * NEW_VALUES)]
assert Cycle.gone
collect_rarely()
assert 0 < gc.get_freeze_count() <= frozen
Cycle.gone = False
Cycle()
assert not Cycle.gone
collect_page()
assert Cycle.gone
"""


def test_what_is_loaded_is_left_alone_and_cycles_are_still_collected() -> None:
    subprocess.run([sys.executable, "-c", PROCESS], check=True)
