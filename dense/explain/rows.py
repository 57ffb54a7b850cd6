"""Catalogue rows of the methods that explain a score."""

from __future__ import annotations

from dense.methods.method import Method

ROWS: tuple[Method, ...] = (
    Method(
        "m2ib",
        "explain",
        "M2IB information bottleneck",
        "Wang et al., NeurIPS 2023, arXiv:2312.17174",
        "dense.explain.m2ib:build",
        "information of image and text tokens equals the authors' bottleneck and loop on the same "
        "weights and noise to 1e-4",
    ),
    Method(
        "gradient",
        "explain",
        "CLIP4DM, F-CLIPScore",
        "Nam et al., AAAI 2025, arXiv:2412.18404",
        "dense.explain.gradient:build",
        "token and patch scores equal hooks on open_clip's own attention to 1e-6; hand-worked "
        "F-CLIPScore",
    ),
    Method(
        "second-order",
        "explain",
        "Second-order image-text interactions",
        "Möller et al., TMLR 2025, arXiv:2408.14153",
        "dense.explain.second_order:build",
        "interactions equal the authors' package (exclip 1.1) on the same weights to 1e-5; finite "
        "differences; sum to the score's difference",
    ),
    Method(
        "heads",
        "explain",
        "Decomposition into patches and heads",
        "Gandelsman et al., ICLR 2024, arXiv:2310.05916",
        "dense.explain.heads:build",
        "parts sum to the score to 1e-5; a head's share equals the change when it alone is taken "
        "out of the stream",
    ),
)
