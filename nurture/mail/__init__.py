"""Mail as values and bytes: keys, addresses, threads, the wire format. No I/O."""
