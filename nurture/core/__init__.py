"""The pure core: frozen data and `now` in, decisions as values with reasons out.

Nothing here reads a clock, a database, a network or randomness, and nothing here logs.
Standard library only (`core.schema` may also use pydantic, to read files).
"""
