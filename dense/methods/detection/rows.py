"""Catalogue rows of the detection methods."""

from __future__ import annotations

from dense.methods.method import Method

ROWS: tuple[Method, ...] = (
    Method(
        "regions",
        "detect",
        "Patch grouping and dense region scores",
        "ours; scores after Wu et al., ICLR 2024, arXiv:2310.01403",
        "dense.methods.detection.detector:OpenVocabDetector",
        "RoIAlign equals torchvision's, the tree of regions scikit-learn's; hand-worked scores",
    ),
    Method(
        "regions-crops",
        "detect",
        "The same, the best regions also seen as crops",
        "ours; fusion after Kuo et al. (F-VLM), ICLR 2023, arXiv:2209.15639",
        "dense.methods.detection.detector:build_crops",
        "hand-worked geometric mean; the dense scores at share 0, the crops' at share 1",
    ),
    Method(
        "boxes",
        "detect",
        "Names for given boxes",
        "Wu et al., ICLR 2024, arXiv:2310.01403",
        "dense.methods.detection.detector:build_boxes",
        "RoIAlign equals torchvision's; a box of the whole picture by hand",
    ),
    Method(
        "f-vit",
        "detect",
        "F-ViT: learned proposals and region head on the frozen tower, MMDetection",
        "Wu et al., ICLR 2024, arXiv:2310.01403",
        "dense.engine.f_vit_stage:build",
        "head alone: detections equal MMDetection's on the same proposals; fused scores by hand; "
        "learns a made-up picture; no data set run here, no published weights",
        trained=True,
    ),
)
