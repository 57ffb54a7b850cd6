"""Clusters found without labels, each taken for the class that it fits best."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from dense.errors import InputError
from dense.metrics.segmentation import SegmentationScores, segmentation_scores


def cluster_scores(counts: ArrayLike) -> SegmentationScores:
    """Mean IoU, mean accuracy and pixel accuracy of the best one-to-one match, in percent.

    The protocol of unsupervised segmentation (Cho et al., "PiCIE", CVPR 2021): as many clusters as
    classes, matched once for the whole data set so that most pixels are right.

    Args:
        counts: (K, K) pixels by true class (row) and cluster (column), summed over the data set.

    Raises:
        InputError: If the counts are not a square matrix.
    """
    pixels = np.asarray(counts, np.float64)
    if pixels.ndim != 2 or pixels.shape[0] != pixels.shape[1]:
        raise InputError(f"as many clusters as classes are needed, got counts of {pixels.shape}")
    _, order = linear_sum_assignment(pixels, maximize=True)
    return segmentation_scores(pixels[:, order])
