"""Proposals: the tree against scikit-learn's, objectness by hand, given boxes, automatic masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.methods.detection.grouping import PatchGrouping, merge_tree, tree_regions
from dense.methods.detection.proposals import (
    OwnBoxes,
    Proposals,
    contrast,
    distinct,
    grid_mask_boxes,
)
from dense.methods.detection.segment_anything import SamProposals, load_generator
from dense.structures import Sample
from tests.helpers import photo


def test_tree_is_scikit_learns() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    image = pytest.importorskip("sklearn.feature_extraction.image")
    features = np.random.default_rng(0).normal(size=(35, 6))
    merges = merge_tree(features, (5, 7))
    graph = image.grid_to_graph(5, 7)
    for count in (2, 5, 12):
        model = cluster.AgglomerativeClustering(count, connectivity=graph, linkage="ward")
        theirs = {frozenset(np.flatnonzero(model.fit(features).labels_ == k)) for k in range(count)}
        nodes = {n: frozenset([n]) for n in range(35)}
        for place, (a, b) in enumerate(merges[: 35 - count].tolist()):
            nodes[35 + place] = nodes.pop(a) | nodes.pop(b)
        assert set(nodes.values()) == theirs


def test_regions_of_a_tree_by_hand() -> None:
    """Four patches in a row, two alike on each side."""
    features = np.array([[0.0], [0.1], [5.0], [5.2]])
    merges = merge_tree(features, (1, 4))
    assert merges.tolist() == [[0, 1], [2, 3], [4, 5]]
    regions = tree_regions(merges, (1, 4), 2, 3)
    assert regions.astype(int).tolist() == [[[1, 1, 0, 0]], [[0, 0, 1, 1]]]
    assert len(tree_regions(merges, (1, 4), 1, 4)) == 7


def test_one_patch_has_no_merges() -> None:
    assert merge_tree(np.ones((1, 3)), (1, 1)).shape == (0, 2)
    found = PatchGrouping()(Sample(photo(8, 8)), torch.ones(3, 1, 1))
    assert len(found) == 0 and found.boxes.shape == (0, 4)


def test_grouping_finds_a_square() -> None:
    patches = torch.zeros(4, 8, 10)
    patches[0] = 1.0
    patches[:, 2:5, 3:7] = torch.tensor([0.0, 1, 0, 0])[:, None, None]
    patches += 0.01 * torch.randn(4, 8, 10)
    found = PatchGrouping(limit=5)(Sample(photo(80, 100)), patches)
    np.testing.assert_allclose(found.boxes[0], [30, 20, 70, 50])
    assert found.masks[0].sum() == 12 and found.objectness[0] > 0.9
    assert len(found) <= 5 and (found.objectness.diff() <= 0).all()


def test_contrast_by_hand() -> None:
    features = torch.zeros(2, 1, 4)
    features[0, 0, :2] = 3.0
    features[1, 0, 2:] = 1.0
    masks = torch.tensor([[[1, 1, 0, 0]], [[1, 0, 0, 0]], [[1, 1, 1, 1]]]).bool()
    torch.testing.assert_close(contrast(features, masks, at_once=2), torch.tensor([0.5, 0.0, 0.0]))


def test_boxes_of_grid_masks_and_equal_ones() -> None:
    masks = torch.zeros(2, 3, 4, dtype=torch.bool)
    masks[0, 1, 1:3] = masks[1, :, 3] = True
    boxes = grid_mask_boxes(masks, (30, 80))
    np.testing.assert_allclose(boxes, [[20, 10, 60, 20], [60, 0, 80, 30]])
    twice = boxes[[0, 0, 1]]
    assert distinct(twice, torch.tensor([0.1, 0.5, 0.3])).tolist() == [1, 2]


def test_proposals_must_agree_and_settings_be_sane() -> None:
    with pytest.raises(InputError, match="one row of objectness a box"):
        Proposals(torch.zeros(2, 4), torch.zeros(1))
    with pytest.raises(InputError, match="patch grouping needs"):
        PatchGrouping(limit=0)


def test_own_boxes() -> None:
    boxes = np.array([[-3, 2, 30, 9]], np.float32)
    found = OwnBoxes()(Sample(photo(10, 20), boxes=boxes), torch.zeros(1, 1, 1))
    np.testing.assert_allclose(found.boxes, [[0, 2, 20, 9]])
    assert found.given
    assert len(OwnBoxes()(Sample(photo(10, 20)), torch.zeros(1, 1, 1))) == 0


class Masks:
    """Two automatic masks, the second with a higher IoU, and one that is empty."""

    def generate(self, image: np.ndarray) -> list[dict[str, object]]:
        first, second, none = (np.zeros(image.shape[:2], bool) for _ in range(3))
        first[:10, :20] = True
        second[5:9, 5:15] = True
        return [
            {"segmentation": first, "bbox": [0, 0, 20, 10], "predicted_iou": 0.8},
            {"segmentation": second, "bbox": [5, 5, 10, 4], "predicted_iou": 1.05},
            {"segmentation": none, "bbox": [0, 0, 0, 0], "predicted_iou": 0.7},
        ]


def test_automatic_masks() -> None:
    found = SamProposals(Masks())(Sample(photo(20, 40)), torch.zeros(1, 1, 1))
    np.testing.assert_allclose(found.boxes, [[5, 5, 15, 9], [0, 0, 20, 10]])
    np.testing.assert_allclose(found.objectness, [1.0, 0.8])
    assert found.masks[0].sum() == 40
    large = SamProposals(Masks(), limit=1)(Sample(photo(600, 1024)), torch.zeros(1, 1, 1))
    assert large.masks.shape == (1, 300, 512)


def test_segment_anything_checkpoints(tmp_path) -> None:
    with pytest.raises(InputError, match="no such segment-anything checkpoint"):
        load_generator(tmp_path / "sam.pth")
    with pytest.raises(InputError, match="unknown kind of segment-anything"):
        load_generator(tmp_path / "sam.pth", kind="vit_x")
    (tmp_path / "sam.pth").write_bytes(b"nothing")
    with pytest.raises(InputError, match="corrupt checkpoint"):
        load_generator(tmp_path / "sam.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "sam.pth")
    with pytest.raises(InputError, match="is not a checkpoint of segment-anything"):
        load_generator(tmp_path / "sam.pth")
