"""Every method by name: what the command line, the tables and the documentation list.

One row a method. `build` names a function ``module:function`` that is imported when the method is
used, so listing stays free of heavy imports. Inspection methods are built by
``function(backbone, products, *, shots, batch_size, threshold, weights)`` → `Inspector`,
rejection methods by ``function(backbone, classes, *, accept, threshold, weights)`` → `Rejector`,
segmentation methods by ``function(backbone, classifier, *, protocol, batch_size, **settings)`` →
`OpenVocabSegmentor`, where `settings` are the method's own (see `dense.methods.segmentation.base`),
detection methods by ``function(backbone, classifier, *, proposer, settings)`` →
`OpenVocabDetector`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from dense.errors import unknown_name

Task = Literal["inspect", "segment", "reject", "detect"]


@dataclass(frozen=True)
class Method:
    """A row of the catalogue.

    Attributes:
        name: As typed on the command line.
        task: What it does.
        title: As its paper calls it.
        paper: Authors, venue, arXiv number.
        build: ``module:function`` that makes it.
        verified: How its numbers are checked: what is compared with what, and where.
        zero_shot: Works without any picture of the product.
        few_shot: Uses normal support pictures.
        trained: Needs learned parts (`weights`): trained by ``dense train``, or the authors'.
    """

    name: str
    task: Task
    title: str
    paper: str
    build: str
    verified: str
    zero_shot: bool = True
    few_shot: bool = False
    trained: bool = False

    def builder(self) -> Callable[..., Any]:
        """Import the function that makes the method."""
        module, _, function = self.build.partition(":")
        return getattr(import_module(module), function)


WINCLIP = "Jeong et al., CVPR 2023, arXiv:2303.14814"


def _segment(name: str, title: str, paper: str, build: str, verified: str) -> Method:
    return Method(name, "segment", title, paper, f"dense.methods.segmentation.{build}", verified)


METHODS: tuple[Method, ...] = (
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
    ),
    Method(
        "mcm",
        "reject",
        "MCM",
        "Ming et al., NeurIPS 2022, arXiv:2211.13445",
        "dense.methods.reject.mcm:build",
        "hand-worked",
    ),
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
        "regions",
        "detect",
        "Patch grouping and dense region scores",
        "ours; scores after Wu et al., ICLR 2024, arXiv:2310.01403",
        "dense.methods.detection.detector:build",
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
        "maskclip-plus",
        "segment",
        "MaskCLIP+ with DeepLabV3's head on the frozen CLIP",
        "Zhou et al., ECCV 2022, arXiv:2112.01071",
        "dense.engine.segment_stage:build_maskclip_plus",
        "labels are the teacher's, then its own; trains on made-up data; no data set run here",
        trained=True,
    ),
    Method(
        "linear-head",
        "segment",
        "Linear head on patches, MMSegmentation",
        "after Oquab et al., TMLR 2024, arXiv:2304.07193",
        "dense.engine.segment_stage:build_linear",
        "learns made-up stripes; no data set run here",
        trained=True,
    ),
    Method(
        "uper-head",
        "segment",
        "UPerNet on patches, MMSegmentation",
        "Xiao et al., ECCV 2018, arXiv:1807.10221",
        "dense.engine.segment_stage:build_uper",
        "trains on made-up data; no data set run here",
        trained=True,
    ),
    Method(
        "mask-text-head",
        "segment",
        "Mask-text head after MTA-CLIP",
        "Das et al., ECCV 2024, arXiv:2407.21654",
        "dense.engine.segment_stage:build_mask_text",
        "hand-worked alignment; trains on made-up data; simpler than the paper",
        trained=True,
    ),
)


def methods(task: Task | None = None) -> tuple[Method, ...]:
    """All methods, or those of one task, in the catalogue's order."""
    return tuple(method for method in METHODS if task in (None, method.task))


def find_method(name: str, task: Task | None = None) -> Method:
    """Look a method up.

    Raises:
        InputError: If no method of the task has that name.
    """
    known = {method.name: method for method in methods(task)}
    if name not in known:
        raise unknown_name(f"{task} method" if task else "method", name, known)
    return known[name]
