"""The web: the unsubscribe pages and the health of an installation. It never starts a scheduler."""
