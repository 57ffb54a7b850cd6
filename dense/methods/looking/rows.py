"""Catalogue rows of the lookers."""

from __future__ import annotations

from dense.methods.method import Method

_MARKS = "dense.methods.looking.marks"

ROWS: tuple[Method, ...] = (
    Method(
        "plain",
        "look",
        "The whole picture, whatever is asked",
        "Radford et al., ICML 2021, arXiv:2103.00020",
        "dense.methods.looking.plain:build",
        "equals open_clip's encode_image",
    ),
    Method(
        "crop",
        "look",
        "The box cut out",
        "ours; as in Subramanian et al. (ReCLIP), ACL 2022, arXiv:2204.05991",
        "dense.methods.looking.crop:build",
        "the crop given as a picture; the whole picture as its own box equals plain",
    ),
    Method(
        "pooled",
        "look",
        "RoIAlign or mask pooling of dense features",
        "Wu et al., ICLR 2024, arXiv:2310.01403",
        "dense.methods.looking.pooled:build",
        "equals the detector's scores of given boxes; RoIAlign equals torchvision's",
    ),
    Method(
        "gc-clip",
        "look",
        "GC-CLIP, guided cropping with several margins",
        "Saranrittichai et al., 2023, arXiv:2309.06581",
        "dense.methods.looking.guided_cropping:build",
        "hand-worked boxes; one margin of 0 equals crop, one of 1 equals plain; no public code",
    ),
    Method(
        "abs",
        "look",
        "ABS, attention-based selection in the picture and in feature space",
        "Cai et al., ICML 2025, arXiv:2505.13233",
        "dense.methods.looking.attention_selection:build",
        "crops in feature space equal the block run on repeated tokens; hand-worked votes",
    ),
    Method(
        "abs-features",
        "look",
        "ABS, in feature space alone",
        "Cai et al., ICML 2025, arXiv:2505.13233",
        "dense.methods.looking.attention_selection:build_features",
        "as abs",
    ),
    Method(
        "red-circle",
        "look",
        "Red circle",
        "Shtedritski et al., ICCV 2023, arXiv:2304.06712",
        f"{_MARKS}:build_circle",
        "hand-worked pictures",
    ),
    Method(
        "red-circle-ensemble",
        "look",
        "Circle, grey outside, blurred outside",
        "Shtedritski et al., ICCV 2023, arXiv:2304.06712",
        f"{_MARKS}:build_circles",
        "hand-worked pictures",
    ),
    Method(
        "red-box",
        "look",
        "Red box",
        "Yao et al. (CPT), 2021, arXiv:2109.11797; as mark B1 of arXiv:2306.04356",
        f"{_MARKS}:build_box",
        "hand-worked pictures",
    ),
    Method(
        "fgvp",
        "look",
        "FGVP, blur outside the mask",
        "Yang et al., NeurIPS 2023, arXiv:2306.04356",
        "dense.methods.looking.blur_mask:build",
        "inside to the pixel, outside against SciPy's Gaussian",
    ),
    Method(
        "fgvp-ensemble",
        "look",
        "FGVP: contour, grey outside, blurred outside",
        "Yang et al., NeurIPS 2023, arXiv:2306.04356",
        "dense.methods.looking.blur_mask:build_ensemble",
        "as fgvp; hand-worked pictures",
    ),
    Method(
        "falip",
        "look",
        "FALIP, foveal attention",
        "Zhuang et al., ECCV 2024, arXiv:2407.05578",
        "dense.methods.looking.foveal:build",
        "features equal PyTorch's own attention with the mask written out, block by block",
    ),
    Method(
        "alpha-clip",
        "look",
        "Alpha-CLIP",
        "Sun et al., CVPR 2024, arXiv:2312.03818",
        "dense.methods.looking.alpha_clip:build",
        "features equal the tower written out on a made-up file in the authors' layout",
        trained=True,
    ),
)
