"""How often Python looks for cycles of garbage: rarely, in processes that work on pages.

A page makes some ten thousand values that live until it is done. Python's collector would go through all of them, and
through every module that is loaded, again and again: a quarter of the time that a message takes. Hardly anything here
is a cycle; what goes out of use is freed at once, without it. The few cycles that a page leaves can be large (a request
with its body), so they are collected when the page is done and there is little else to look through.
"""

from __future__ import annotations

import gc

NEW_VALUES = 50_000
"""How many more values than before there have to be until they are looked through: some pages' worth."""


def collect_rarely() -> None:
    """Leave what is loaded by now out of every collection, and collect rarely. For processes that are our own."""
    if not _rarely():  # once: what is garbage when it is frozen stays for ever
        gc.freeze()
        gc.set_threshold(NEW_VALUES, 10, 10)


def collect_page() -> None:
    """Collect what a page left, now that it is done. Where garbage is collected as ever, do nothing."""
    if _rarely():
        gc.collect(1)


def _rarely() -> bool:
    """Say whether garbage is collected rarely. Python would tell by counting what is frozen: 4 ms a page."""
    return gc.get_threshold()[0] == NEW_VALUES
