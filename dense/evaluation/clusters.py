"""Do patches of one class look alike? Dense features clustered without words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, LastBlock
from dense.datasets import SegmentationFolder
from dense.errors import InputError
from dense.evaluation.segmentation import present_classes, target_table
from dense.heads.semantic_fusion import k_means
from dense.methods.batching import dense_features
from dense.metrics import SegmentationScores, confusion_matrix
from dense.metrics.clusters import cluster_scores

PATCHES = 10_000
"""Patches that k-means sees, drawn evenly from all pictures."""


def cluster_centres(features: NDArray[np.floating], clusters: int, *, seed: int = 0) -> Tensor:
    """Centres (K, D) of unit length of k-means over unit features.

    Args:
        features: (N, D), any length.
        clusters: K.
        seed: Of the start.

    Raises:
        InputError: If there are fewer features than clusters.
    """
    if len(features) < clusters:
        raise InputError(f"{clusters} clusters need as many patches, got {len(features)}")
    unit = F.normalize(torch.from_numpy(np.asarray(features, np.float32)), dim=-1)
    labels = torch.from_numpy(k_means(unit.numpy(), clusters, seed=seed))
    sums = torch.zeros(clusters, unit.shape[1]).index_add_(0, labels, unit)
    return F.normalize(sums, dim=-1)


def cluster_map(dense: Tensor, centres: Tensor, size: tuple[int, int]) -> NDArray[np.int64]:
    """The nearest centre of each pixel.

    Args:
        dense: (D, gh, gw), any length.
        centres: (K, D) of unit length.
        size: (H, W) of the result; cosines are resized bilinearly.
    """
    cosines = torch.einsum("kd,dhw->khw", centres.to(dense), F.normalize(dense, dim=0))
    whole = F.interpolate(cosines[None], size, mode="bilinear", align_corners=False)
    return whole[0].argmax(0).cpu().numpy()


@torch.inference_mode()
def cluster_folder(
    backbone: CLIPBackbone,
    folder: SegmentationFolder,
    *,
    classes: Sequence[int] | None = None,
    block: LastBlock | None = None,
    short_side: int | None = None,
    seeds: int = 3,
) -> list[SegmentationScores]:
    """Unsupervised segmentation of a folder, for each seed 0 ... seeds - 1 of k-means.

    What region alignment tends to lose and spatial-correlation distillation keeps (Qiu et al.,
    "Refining CLIP's Spatial Awareness", ICLR 2025, arXiv:2504.02328, figure 1). The paper's own
    procedure is not known to us in detail, so figures compare with each other, not with it. The
    number of classes is known to k-means; the match to classes reads the masks (see
    `cluster_scores`): a measure of features, not a method.

    Args:
        backbone: A loaded CLIP.
        folder: The data; read twice.
        classes: Class indices that count; those that occur in the masks by default.
        block: How the last block makes dense features; what the checkpoint recommends if ``None``.
        short_side: Input short side in pixels; as above.
        seeds: Starts of k-means.

    Raises:
        InputError: If fewer than two classes count.
    """
    chosen = list(present_classes(folder) if classes is None else classes)
    if len(chosen) < 2:
        raise InputError(f"clusters need at least 2 classes, got {len(chosen)}")
    last, side = block or backbone.recommended.block, short_side or backbone.recommended.short_side

    def features() -> Iterator[tuple[Tensor, NDArray[np.generic]]]:
        for sample in (folder[index] for index in range(len(folder))):
            mask = np.zeros(0) if sample.mask is None else sample.mask
            yield dense_features(backbone, sample.image, last, side).cpu(), mask

    rng, share = np.random.default_rng(0), max(1, PATCHES // len(folder))
    drawn = []
    for dense, _ in features():
        flat = dense.flatten(1).T.numpy()
        drawn.append(flat[rng.permutation(len(flat))[:share]])
    patches, k, table = np.concatenate(drawn), len(chosen), target_table(chosen)
    centres = [cluster_centres(patches, k, seed=seed) for seed in range(seeds)]
    counts = np.zeros((seeds, k, k), np.int64)
    for dense, mask in features():
        for seed, middle in enumerate(centres):
            found = cluster_map(dense, middle, (mask.shape[0], mask.shape[1]))
            counts[seed] += confusion_matrix(found, table[np.asarray(mask)], k)
    return [cluster_scores(count) for count in counts]
