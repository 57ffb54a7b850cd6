"""Where products are kept: a database of versions, and files named by their content."""
