"""Clusters against masks, on hand-worked counts and features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dense.datasets import SegmentationFolder
from dense.errors import InputError
from dense.evaluation import clusters
from dense.evaluation.card import CardSources, make_card
from dense.evaluation.clusters import cluster_centres, cluster_folder, cluster_map
from dense.metrics.clusters import cluster_scores
from tests.datasets.made import make_segmentation
from tests.helpers import tiny_backbone


def test_clusters_are_matched_to_classes_once() -> None:
    """Both classes like cluster 0 best; the match that makes most pixels right is 0-1 and 1-0."""
    scores = cluster_scores([[4, 3], [5, 0]])
    assert scores["aacc"] == pytest.approx(100 * 8 / 12)
    assert scores["iou_per_class"] == pytest.approx([100 * 3 / 7, 100 * 5 / 9])
    assert cluster_scores([[0, 7], [9, 0]])["miou"] == 100  # numbers of clusters mean nothing
    with pytest.raises(InputError, match=r"as many clusters as classes .* \(2, 3\)"):
        cluster_scores(np.zeros((2, 3)))


def test_centres_and_maps_by_hand() -> None:
    features = np.array([[2.0, 0], [5, 0], [0, 3], [0, 4], [0, 9]])
    centres = cluster_centres(features, 2)
    assert sorted(centres.tolist()) == [[0, 1], [1, 0]]
    dense = torch.tensor([[[3.0, 1.0]], [[1.0, 9.0]]])  # (2, 1, 2): first axis left
    found = cluster_map(dense, torch.eye(2), (4, 4))
    assert found.tolist() == [[0, 0, 1, 1]] * 4
    with pytest.raises(InputError, match="6 clusters need as many patches, got 5"):
        cluster_centres(features, 6)


def test_a_folder_whose_features_are_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features that tell the classes apart give 100, whatever the seed; noise gives less."""
    folder = SegmentationFolder(make_segmentation(tmp_path))
    masks = iter([])
    noise = 0.0

    def features(backbone: object, image: np.ndarray, block: object, side: int) -> Tensor:
        nonlocal masks
        mask = next(masks, None)
        if mask is None:
            masks = iter([folder.mask(n) for n in range(len(folder))])
            mask = next(masks)
        axes = torch.eye(4)[torch.from_numpy(np.where(mask == 255, 3, mask))]
        generator = torch.Generator().manual_seed(len(mask))
        return (axes + noise * torch.randn(axes.shape, generator=generator)).movedim(-1, 0)

    monkeypatch.setattr(clusters, "dense_features", features)
    present = clusters.present_classes(folder)
    perfect = cluster_folder(tiny_backbone(), folder, classes=[*present], seeds=2)
    noise = 1.5
    noisy = cluster_folder(tiny_backbone(), folder, classes=[*present], seeds=2)
    assert [scores["miou"] for scores in perfect] == [100, 100]
    assert all(scores["miou"] < 90 for scores in noisy)
    with pytest.raises(InputError, match="clusters need at least 2 classes, got 1"):
        cluster_folder(tiny_backbone(), folder, classes=present[:1])


def test_a_row_of_the_card(tmp_path: Path) -> None:
    root = make_segmentation(tmp_path / "data")
    rows = make_card(tiny_backbone(), CardSources(clusters=[root]), seeds=2, short_side=32)
    row = rows[-1]
    assert (row.task, row.metric, row.count) == ("clusters", "miou", 3)
    assert 0 < row.value <= 100 and row.spread is not None and "32 px, 2 starts" in row.setting
