"""A working folder, as the tests of the commands have it."""

from tests.cli.conftest import bare, made, nurture

__all__ = ["bare", "made", "nurture"]
