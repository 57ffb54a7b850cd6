"""Features → scores: pure functions between a backbone and a result."""
