"""Catalogue rows of the inspection methods."""

from __future__ import annotations

from dense.methods.method import Method

WINCLIP = "Jeong et al., CVPR 2023, arXiv:2303.14814"

ROWS: tuple[Method, ...] = (
    Method(
        "winclip",
        "inspect",
        "WinCLIP, WinCLIP+",
        WINCLIP,
        "dense.methods.anomaly.winclip:build",
        "maps and scores equal anomalib 2.7 on the same weights to 1e-5, with and without support",
        few_shot=True,
    ),
    Method(
        "winclip-fast",
        "inspect",
        "WinCLIP, WinCLIP+, approximate windows",
        WINCLIP,
        "dense.methods.anomaly.winclip:build_fast",
        "windows equal the mean of dense features worked by hand; speed and loss against winclip "
        "measured",
        few_shot=True,
    ),
    Method(
        "patch",
        "inspect",
        "Patch words, patch memory",
        "Roth et al., CVPR 2022, arXiv:2106.08265; Damm et al., WACV 2025, arXiv:2405.14529",
        "dense.methods.anomaly.patch:build",
        "hand-worked distances; laws",
        few_shot=True,
    ),
    Method(
        "april-gan",
        "inspect",
        "APRIL-GAN (VAND)",
        "Chen et al., 2023, arXiv:2305.17382",
        "dense.methods.anomaly.april_gan:build",
        "maps with and without support, scores and losses equal the authors' code on the same "
        "weights to 1e-5; no published weights or data set run here",
        few_shot=True,
        trained=True,
    ),
    Method(
        "clip-ad",
        "inspect",
        "CLIP-AD: SDP; SDP+ with learned parts",
        "Chen et al., 2023, arXiv:2311.00453",
        "dense.methods.anomaly.clip_ad:build",
        "maps of SDP and SDP+, representative vectors and losses equal the authors' code on the "
        "same weights to 1e-5; image score is our own; no data set run here",
        optional_weights=True,
    ),
    Method(
        "anomalyclip",
        "inspect",
        "AnomalyCLIP",
        "Zhou et al., ICLR 2024, arXiv:2310.18961",
        "dense.methods.anomaly.anomalyclip:build",
        "maps, scores and losses equal the authors' code on the same weights to 1e-5 at the "
        "model's own size; no published weights or data set run here",
        trained=True,
    ),
    Method(
        "adaclip",
        "inspect",
        "AdaCLIP",
        "Cao et al., ECCV 2024, arXiv:2407.15795",
        "dense.methods.anomaly.adaclip:build",
        "maps, scores and losses equal the authors' code on the same weights to 1e-5 with one "
        "cluster; no published weights or data set run here",
        trained=True,
    ),
    Method(
        "words-memory",
        "inspect",
        "Words and patch memory, each measured on the normal pictures",
        "ours, after WinCLIP+ (Jeong et al., CVPR 2023, arXiv:2303.14814)",
        "dense.methods.anomaly.words_memory:build",
        "hand-worked scales; each part alone at the weights' limits; laws",
        few_shot=True,
    ),
    Method(
        "words-rarity",
        "inspect",
        "Words and the picture's own patches",
        "ours; compare MuSc (Li et al., ICLR 2024, arXiv:2401.16753)",
        "dense.methods.anomaly.words_rarity:build",
        "hand-worked rarity; each part alone at the weights' limits; a spot that nothing repeats",
    ),
    Method(
        "patchcore",
        "inspect",
        "PatchCore",
        "Roth et al., CVPR 2022, arXiv:2106.08265",
        "dense.methods.anomaly.patchcore:build",
        "coreset and re-weighted scores equal anomalib 2.7's to 1e-5 on the same features; laws",
        zero_shot=False,
        few_shot=True,
    ),
    Method(
        "anomalydino",
        "inspect",
        "AnomalyDINO",
        "Damm et al., WACV 2025, arXiv:2405.14529",
        "dense.methods.anomaly.anomalydino:build",
        "smoothing equals SciPy; hand-worked foreground mask; laws",
        zero_shot=False,
        few_shot=True,
    ),
    Method(
        "subspace",
        "inspect",
        "SubspaceAD",
        "SubspaceAD, CVPR 2026",
        "dense.methods.anomaly.subspace:build",
        "subspace and residuals equal scikit-learn's PCA; laws",
        zero_shot=False,
        few_shot=True,
    ),
    Method(
        "clap",
        "inspect",
        "CLAP, with inpainting in place of the trained U-Net",
        "Park et al., arXiv:2411.07546",
        "dense.methods.anomaly.clap:build",
        "hand-worked MSGMS, prototypes and masks; laws; no outside implementation was found",
    ),
)
