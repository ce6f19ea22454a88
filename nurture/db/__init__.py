"""The database: tables, sessions, timers and one file of named queries per noun. Decides nothing."""
