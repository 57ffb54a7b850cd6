"""Catalogue rows of the rejection methods."""

from __future__ import annotations

from dense.methods.method import Method

ROWS: tuple[Method, ...] = (
    Method(
        "mahalanobis",
        "reject",
        "Mahalanobis distance, shrunk covariance",
        "Lee et al., NeurIPS 2018, arXiv:1807.03888",
        "dense.methods.reject.mahalanobis:build",
        "distances equal the ViM authors' code and scikit-learn's Ledoit-Wolf estimate",
        zero_shot=False,
        few_shot=True,
    ),
    Method(
        "gda",
        "reject",
        "Gaussian discriminant analysis",
        "Lee et al., NeurIPS 2018, arXiv:1807.03888",
        "dense.methods.reject.mahalanobis:build_gda",
        "density equals SciPy's",
        zero_shot=False,
        few_shot=True,
    ),
    Method(
        "vim",
        "reject",
        "ViM",
        "Wang et al., CVPR 2022, arXiv:2203.10807",
        "dense.methods.reject.vim:build",
        "scores equal the authors' code on the same features to 1e-6",
        zero_shot=False,
        few_shot=True,
    ),
    Method(
        "no-prompts",
        "reject",
        "CLIPN's rules, on prompts of denial or on CLIPN's learned encoder",
        "Wang et al., ICCV 2023, arXiv:2308.12213",
        "dense.methods.reject.no_prompts:build",
        "hand-worked rules; the learned encoder's forward, step by step, on a made-up checkpoint",
        optional_weights=True,
    ),
    Method(
        "mcm",
        "reject",
        "MCM",
        "Ming et al., NeurIPS 2022, arXiv:2211.13445",
        "dense.methods.reject.mcm:build",
        "hand-worked",
    ),
)
