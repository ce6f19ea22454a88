"""Tables from elsewhere become contacts, events and suppressions: read, mapped, written a page at a time."""
