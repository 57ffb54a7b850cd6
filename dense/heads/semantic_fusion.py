"""Hybrid semantic fusion: what the most anomalous patches have in common (AdaCLIP, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

PATCHES_A_CLUSTER = 5
ITERATIONS = 100


def k_means(points: NDArray[np.floating], clusters: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Labels of Lloyd's algorithm from a seeded k-means++ start.

    A cluster that runs empty gets its seed back.

    Args:
        points: (n, D), at least `clusters` of them.
        clusters: Number of clusters.
        seed: Of the start.
    """
    rng = np.random.default_rng(seed)
    x = np.asarray(points, np.float64)
    chosen = [int(rng.integers(len(x)))]
    distance = ((x - x[chosen[0]]) ** 2).sum(1)
    for _ in range(clusters - 1):
        free = np.setdiff1d(np.arange(len(x)), chosen)
        weights = distance[free]
        total = weights.sum()
        share = weights / total if total > 0 else None
        chosen.append(int(rng.choice(free, p=share)))
        distance = np.minimum(distance, ((x - x[chosen[-1]]) ** 2).sum(1))
    centres, labels = x[chosen], np.full(len(x), -1)
    for _ in range(ITERATIONS):
        squared = (x**2).sum(1)[:, None] - 2 * x @ centres.T + (centres**2).sum(1)
        found = squared.argmin(1)
        found[chosen] = np.where(
            np.isin(np.arange(clusters), found), found[chosen], range(clusters)
        )
        if (found == labels).all():
            break
        labels = found
        present = np.unique(labels)
        centres[present] = [x[labels == label].mean(0) for label in present]
    return labels.astype(np.int64)


def fused_feature(layers: Sequence[Tensor], logits: Tensor, clusters: int) -> Tensor:
    """Mean of the centres of clusters of the most anomalous patches, of unit length.

    Args:
        layers: (B, N, D) projected patches of each layer.
        logits: (B, N, 2), mean over layers, normal then anomalous.
        clusters: K; 5 K patches are clustered by the features of all layers together. Fewer
            patches make fewer clusters.

    Returns:
        (B, D).
    """
    anomalous = logits.softmax(-1)[..., 1]
    count = min(anomalous.shape[1], PATCHES_A_CLUSTER * clusters)
    index = anomalous.topk(count, dim=1).indices
    rows = []
    for image in range(len(anomalous)):
        chosen = torch.stack([layer[image, index[image]] for layer in layers], dim=1)
        together = chosen.detach().flatten(1).float().cpu().numpy()
        labels = torch.from_numpy(k_means(together, min(clusters, count))).to(chosen.device)
        centres = [chosen[labels == label].flatten(0, 1).mean(0) for label in labels.unique()]
        rows.append(torch.stack(centres).mean(0))
    return F.normalize(torch.stack(rows), dim=-1)
