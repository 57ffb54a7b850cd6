"""Maps of layers, representative vectors and fused patches, against hand-worked values."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.cluster import DBSCAN
from torch.nn import functional as F

from dense.errors import InputError
from dense.heads.layered import enlarged, smooth, state_cosines, surgery
from dense.heads.representative import NEIGHBOURS, RADIUS, largest_cluster, representative
from dense.heads.semantic_fusion import fused_feature, k_means


def test_cosines_take_one_pair_of_texts_or_one_a_picture() -> None:
    features = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    texts = torch.eye(2)
    assert torch.allclose(state_cosines(features, texts)[:, 0], torch.tensor([[0.6, 0.8], [0, 1]]))
    own = torch.stack([texts, texts.flip(0)])
    assert state_cosines(features, own)[1, 0].tolist() == [1, 0]


def test_surgery_by_hand() -> None:
    """Class cosines (0, ln 3) weigh 1/2 and 3/2; .4 and .2 become .2 and .3, less their mean."""
    cut = surgery(torch.tensor([[[0.4, 0.2]]]), torch.tensor([[0.0, np.log(3.0)]]))
    assert cut[0, 0].tolist() == pytest.approx([-0.05, 0.05])


def test_enlarging_keeps_corners_only_if_they_are_aligned() -> None:
    values = torch.tensor([[[0.0], [1.0], [2.0], [3.0]]])
    large = enlarged(values, (2, 2), (3, 3), align_corners=True)[0, 0]
    assert large.tolist() == [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]]
    halves = enlarged(values, (2, 2), (4, 4), align_corners=False)[0, 0]
    assert halves[0].tolist() == [0, 0.25, 0.75, 1]


def test_smoothing_is_that_of_scipy() -> None:
    maps = torch.rand(2, 9, 7, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(smooth(maps, 1.5)[1], gaussian_filter(maps[1].numpy(), 1.5))
    assert smooth(maps, 0) is maps


def cloud(seed: int) -> torch.Tensor:
    """Three bundles of unit vectors of different sizes, and strays."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((3, 6)) * 2
    parts = [c + 0.45 * rng.standard_normal((n, 6)) for c, n in zip(centres, (40, 60, 30))]  # noqa: B905
    rows = np.concatenate([*parts, rng.standard_normal((15, 6))])
    return F.normalize(torch.from_numpy(rows[rng.permutation(len(rows))]).float(), dim=-1)


@pytest.mark.parametrize("seed", range(5))
def test_largest_cluster_is_that_of_scikit_learn(seed: int) -> None:
    points = cloud(seed)
    labels = DBSCAN(eps=RADIUS, min_samples=NEIGHBOURS).fit(points.numpy()).labels_
    assert len(set(labels)) > 2  # several clusters and strays
    largest = np.bincount(labels[labels >= 0]).argmax()
    expected = points[torch.from_numpy(labels == largest)].mean(0)
    torch.testing.assert_close(largest_cluster(points), expected)


def test_far_prompts_have_their_mean() -> None:
    points = F.normalize(torch.eye(20), dim=-1)
    torch.testing.assert_close(largest_cluster(points), points.mean(0))
    with pytest.raises(InputError, match=r"representative vector 'meen'.*mean"):
        representative(points, "meen")


def test_k_means_finds_what_is_apart() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [5, 9, 4])
    points = np.array([[0, 0], [9, 0], [0, 9]])[truth] + 0.1 * rng.standard_normal((18, 2))
    labels = k_means(points, 3)
    assert len({(a, b) for a, b in zip(truth, labels, strict=True)}) == 3
    assert sorted(k_means(points[:4], 4)) == [0, 1, 2, 3]
    assert len(set(k_means(np.ones((4, 2)), 3))) == 3  # equal points, no empty cluster


def test_fusion_averages_centres_not_patches() -> None:
    """Of four patches three are alike: the centres count once each, the calm patch not at all."""
    far = torch.tensor([[1.0, 0.0]] * 4 + [[0.0, 1.0]] + [[-1.0, 0.0]])
    logits = torch.zeros(1, 6, 2)
    logits[0, :5, 1] = 5.0
    fused = fused_feature([far[None]], logits, 1)
    assert fused[0].tolist() == pytest.approx(F.normalize(torch.tensor([0.8, 0.2]), dim=0).tolist())
    logits[0, 5, 1] = 5.0
    both = fused_feature([far[:5][None]], logits[:, :5], 2)
    assert both[0].tolist() == pytest.approx([2**-0.5, 2**-0.5])
