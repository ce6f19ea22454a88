"""Nurture: a self-hosted engine for outreach sequences and lead nurturing.

This package file holds the version and nothing else; every room is imported by its own name.
"""

__version__ = "0.1.0"
