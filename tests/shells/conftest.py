"""Fixtures for the shells: a world on SQLite and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from nurture.db.session import Database
from tests.world import World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """A database with the small program applied, at nine on a Monday."""
    return World(database, tmp_path)
