"""Looking closer: one question, which words fit this region, and several ways to look at it."""
