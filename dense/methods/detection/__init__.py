"""Open-vocabulary detection: proposals, region scores, suppression, masks."""
