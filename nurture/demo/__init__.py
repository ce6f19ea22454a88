"""The demo: an invented company's sample data, and people who behave, in a rehearsal. Nothing of it runs elsewhere."""
