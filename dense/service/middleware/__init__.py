"""What surrounds every request: its number in the log, its headers, its limits."""
