"""From one good part to a decision with a guarantee: products, thresholds, decisions."""
