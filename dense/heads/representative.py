"""One vector for many: representative vectors of prompt features (CLIP-AD, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional as F

from dense.errors import unknown_name

RADIUS, NEIGHBOURS = 0.5, 15
"""DBSCAN as published for MVTec AD; VisA's 1.5 and 25 join nearly all prompts: their mean."""

BANDWIDTH = 0.3
"""Of the kernel density, as published."""


def mean(features: Tensor) -> Tensor:
    """(P, D) → (D,)."""
    return features.mean(0)


def principal(features: Tensor) -> Tensor:
    """First principal direction of the features, each less its own mean, along their mean."""
    centred = features - features.mean(1, keepdim=True)
    direction = torch.linalg.svd(centred.double(), full_matrices=False).Vh[0].to(features.dtype)
    return direction * torch.where(direction @ features.mean(0) < 0, -1.0, 1.0)


def density(features: Tensor) -> Tensor:
    """Mean weighted by a Gaussian kernel density at each feature."""
    distance = torch.cdist(features.double(), features.double())
    weights = torch.exp(-(distance**2) / (2 * BANDWIDTH**2)).sum(1)
    return ((weights[:, None] * features).sum(0) / weights.sum()).to(features.dtype)


def largest_cluster(features: Tensor) -> Tensor:
    """Mean of the largest cluster of DBSCAN (Ester et al. 1996); of all where there is none.

    Clusters are numbered by their first core point, and a point at the border of several belongs
    to the first.
    """
    near = (torch.cdist(features.double(), features.double()) <= RADIUS).cpu().numpy()
    core = near.sum(1) >= NEIGHBOURS
    if not core.any():
        return features.mean(0)
    found, joined = connected_components(near[np.ix_(core, core)], directed=False)
    first = [int(np.argmax(joined == label)) for label in range(found)]
    rank = np.argsort(np.argsort(first))
    labels = np.full(len(features), found)
    labels[core] = rank[joined]
    reached = np.where(near[:, core], rank[joined][None], found).min(1)
    labels[~core] = reached[~core]
    counts = np.bincount(labels[labels < found], minlength=found)
    chosen = torch.from_numpy(labels == int(counts.argmax())).to(features.device)
    return features[chosen].mean(0)


REPRESENTATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": mean,
    "pca": principal,
    "kde": density,
    "dbscan": largest_cluster,
}
"""The published mean shift has a bandwidth of 2, the largest distance of unit vectors: the mean."""


def representative(features: Tensor, name: str) -> Tensor:
    """(P, D) unit rows → (D,) of unit length.

    Raises:
        InputError: If the name is not in `REPRESENTATIVES`.
    """
    if name not in REPRESENTATIVES:
        raise unknown_name("representative vector", name, REPRESENTATIVES)
    return F.normalize(REPRESENTATIVES[name](features.float()), dim=0)
