"""What `make bench` runs. Nothing in the package depends on it."""
