"""The `dense` command; nothing heavy is imported before a command runs."""
