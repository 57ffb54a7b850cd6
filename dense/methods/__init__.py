"""Compositions of a backbone, a head and a post-process, with `predict`, `fit` or `loss`."""
