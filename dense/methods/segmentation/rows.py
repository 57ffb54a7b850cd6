"""Catalogue rows of the segmentation methods."""

from __future__ import annotations

from dense.methods.method import Method


def _segment(name: str, title: str, paper: str, build: str, verified: str) -> Method:
    return Method(name, "segment", title, paper, f"dense.methods.segmentation.{build}", verified)


ROWS: tuple[Method, ...] = (
    _segment(
        "clip",
        "CLIP, last block as trained",
        "Radford et al., ICML 2021, arXiv:2103.00020",
        "base:build_clip",
        "dense features equal open_clip's own layers to 1e-5",
    ),
    _segment(
        "maskclip",
        "MaskCLIP",
        "Zhou et al., ECCV 2022, arXiv:2112.01071",
        "maskclip:build",
        "classes and probabilities of a whole picture equal open_clip's own layers to 1e-3",
    ),
    _segment(
        "maskclip-refined",
        "MaskCLIP with key smoothing and prompt denoising",
        "Zhou et al., ECCV 2022, arXiv:2112.01071",
        "maskclip:build_refined",
        "hand-worked cases; three stated differences from the authors' code",
    ),
    _segment(
        "sclip",
        "SCLIP",
        "Wang et al., ECCV 2024, arXiv:2312.01597",
        "base:build_sclip",
        "dense features equal a few independent lines on open_clip's weights to 1e-5",
    ),
    _segment(
        "clearclip",
        "ClearCLIP",
        "Lan et al., ECCV 2024, arXiv:2407.12442",
        "base:build_clearclip",
        "dense features equal a few independent lines on open_clip's weights to 1e-5",
    ),
    _segment(
        "naclip",
        "NACLIP",
        "Hajimiri et al., WACV 2025, arXiv:2404.08181",
        "base:build_naclip",
        "features equal the authors' code on the same weights to 2e-5",
    ),
    _segment(
        "resclip",
        "ResCLIP",
        "Yang et al., CVPR 2025, arXiv:2411.15851",
        "resclip:build",
        "both passes and the feedback links equal the authors' code to 2e-5 for given labels",
    ),
    _segment(
        "sc-clip",
        "SC-CLIP",
        "Bai et al., arXiv:2411.15869",
        "sc_clip:build",
        "features equal the authors' code on the same weights to 2e-5",
    ),
    _segment(
        "gem",
        "GEM",
        "Bousselham et al., CVPR 2024, arXiv:2312.00878",
        "gem:build",
        "features equal the authors' code on the same weights to 2e-5",
    ),
    _segment(
        "clip-surgery",
        "CLIP Surgery",
        "Li et al., Pattern Recognition 2025, arXiv:2304.05653",
        "surgery:build",
        "features and scores equal the authors' code on the same weights to 2e-5",
    ),
    _segment(
        "proxyclip",
        "ProxyCLIP",
        "Lan et al., ECCV 2024, arXiv:2408.04883",
        "proxyclip:build",
        "features equal the authors' code on the same weights to 2e-5; DINO itself not run here",
    ),
    _segment(
        "trident",
        "Trident, without prompting SAM at the end",
        "Shi et al., ICCV 2025, arXiv:2411.09219",
        "trident:build",
        "features of two windows equal the authors' code to 2e-5; DINO and SAM not run here",
    ),
    _segment(
        "corrclip",
        "CorrCLIP, on superpixels or masks of SAM",
        "Zhang et al., ICCV 2025, arXiv:2411.10086",
        "corrclip:build",
        "features for given regions equal the authors' code to 5e-5; DINO and SAM not run here",
    ),
    _segment(
        "cliper",
        "CLIPer, without the diffusion model",
        "Sun et al., ICCV 2025, arXiv:2411.13836",
        "cliper:build",
        "scores equal the authors' code on the same weights to 2e-5",
    ),
    _segment(
        "head-decomposition",
        "Text-based decomposition of heads",
        "Gandelsman et al., ICLR 2024, arXiv:2310.05916",
        "head_decomposition:build",
        "scores equal the authors' code on the same weights to 2e-6",
    ),
    Method(
        "clip-dinoiser",
        "segment",
        "CLIP-DINOiser",
        "Wysoczańska et al., ECCV 2024, arXiv:2312.12359",
        "dense.methods.segmentation.dinoiser:build",
        "features and foreground equal the authors' code on the same weights to 2e-5; foreground "
        "teacher is another; no published weights run here",
        trained=True,
    ),
    Method(
        "maskclip-plus",
        "segment",
        "MaskCLIP+ with DeepLabV3's head on the frozen CLIP",
        "Zhou et al., ECCV 2022, arXiv:2112.01071",
        "dense.engine.segment_stage:build_maskclip_plus",
        "labels are the teacher's, then its own; trains on made-up data; no data set run here",
        trained=True,
        own_classes=True,
    ),
    Method(
        "linear-head",
        "segment",
        "Linear head on patches, MMSegmentation",
        "after Oquab et al., TMLR 2024, arXiv:2304.07193",
        "dense.engine.segment_stage:build_linear",
        "learns made-up stripes; no data set run here",
        trained=True,
        own_classes=True,
    ),
    Method(
        "uper-head",
        "segment",
        "UPerNet on patches, MMSegmentation",
        "Xiao et al., ECCV 2018, arXiv:1807.10221",
        "dense.engine.segment_stage:build_uper",
        "trains on made-up data; no data set run here",
        trained=True,
        own_classes=True,
    ),
    Method(
        "mask-text-head",
        "segment",
        "Mask-text head after MTA-CLIP",
        "Das et al., ECCV 2024, arXiv:2407.21654",
        "dense.engine.segment_stage:build_mask_text",
        "hand-worked alignment; trains on made-up data; simpler than the paper",
        trained=True,
        own_classes=True,
    ),
)
