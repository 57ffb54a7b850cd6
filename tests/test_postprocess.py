"""Patch scores → classes at original size, in strips."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense import postprocess
from dense.errors import InputError
from dense.postprocess import (
    abstain,
    label_free_threshold,
    refine_scores,
    segment_map,
    undecided_index,
)
from dense.structures import SegmentationResult, TextClassifier


def classifier(classes: int, **options: object) -> TextClassifier:
    names = tuple(f"c{number}" for number in range(classes))
    return TextClassifier(torch.eye(classes), names, **options)


def whole(similarity: torch.Tensor, size: tuple[int, int], scale: float) -> torch.Tensor:
    """The same in one piece, through PyTorch's own resize."""
    resized = F.interpolate(similarity[None], size, mode="bilinear", align_corners=False)[0]
    return (resized * scale).softmax(0)


@pytest.mark.parametrize("size", [(37, 50), (4, 5), (3, 2), (1, 1), (200, 1)])
def test_strips_equal_the_whole(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    similarity = torch.rand(3, 4, 5)
    monkeypatch.setattr(postprocess, "STRIP_BYTES", 4 * 3 * size[1] * 7)
    got = segment_map(similarity, size, classifier(3, logit_scale=10.0))
    probability, index = whole(similarity, size, 10.0).max(0)
    assert got.class_map.shape == size
    np.testing.assert_allclose(got.confidence, probability.numpy(), atol=2e-5)
    clear = whole(similarity, size, 10.0).topk(2, 0).values.diff(dim=0)[0].abs() > 1e-4
    assert np.array_equal(got.class_map[clear.numpy()], index.numpy()[clear.numpy()])


def test_shares_of_the_picture() -> None:
    similarity = torch.tensor([[[1.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]])
    got = segment_map(similarity, (1, 4), classifier(2))
    assert got.class_map.tolist() == [[0, 0, 0, 1]]
    assert got.scores.tolist() == pytest.approx([0.75, 0.25])
    assert got.class_names == ("c0", "c1")


def test_threshold_without_background_is_undecided() -> None:
    similarity = torch.tensor([[[0.30, 0.10]], [[0.10, 0.101]]])
    got = segment_map(similarity, (1, 2), classifier(2), threshold=0.9)
    assert got.class_map.tolist() == [[0, 255]]
    assert got.scores.tolist() == pytest.approx([0.5, 0.0])


def test_threshold_with_background() -> None:
    similarity = torch.tensor([[[0.30, 0.10]], [[0.10, 0.101]]])
    got = segment_map(similarity, (1, 2), classifier(2, background=1), threshold=0.9)
    assert got.class_map.tolist() == [[0, 1]]


def test_confidence_is_a_probability_after_rounding_steps() -> None:
    """Refined probabilities sum to one up to float32: 1.00001 would be 0 as 16 bits."""
    got = segment_map(torch.full((1, 2, 2), 1.00001), (2, 2), classifier(1), probabilities=True)
    assert (got.confidence == 1).all()


def test_undecided_is_never_a_class() -> None:
    assert undecided_index(255) == 255
    assert undecided_index(256) == 65535
    similarity = torch.zeros(300, 1, 1)
    similarity[255] = 1.0
    got = segment_map(similarity, (2, 2), classifier(300))
    assert (got.class_map == 255).all()
    assert got.scores[255] == 1.0
    low = segment_map(torch.zeros(300, 1, 1), (2, 2), classifier(300), threshold=0.5)
    assert (low.class_map == 65535).all()
    assert low.scores.sum() == 0


def test_a_thousand_classes_stay_within_the_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = postprocess.class_probabilities

    def spy(logits: torch.Tensor, vocabulary: TextClassifier) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, logits.numel() * 4)
        return original(logits, vocabulary)

    monkeypatch.setattr(postprocess, "class_probabilities", spy)
    monkeypatch.setattr(postprocess, "STRIP_BYTES", 1 << 20)
    got = segment_map(torch.rand(1000, 4, 4), (96, 128), classifier(1000))
    assert got.class_map.shape == (96, 128)
    assert 0 < largest <= 1 << 20


def test_a_row_of_thousands_of_classes_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.rand(300, 3, 5, generator=torch.manual_seed(0))
    whole = segment_map(scores, (20, 64), classifier(300))
    sizes = []
    original = postprocess.class_probabilities

    def spy(logits: torch.Tensor, vocabulary: TextClassifier) -> torch.Tensor:
        sizes.append(4 * logits.numel())
        return original(logits, vocabulary)

    monkeypatch.setattr(postprocess, "class_probabilities", spy)
    monkeypatch.setattr(postprocess, "STRIP_BYTES", 4 * 300 * 20)
    tiles = segment_map(scores, (20, 64), classifier(300))
    assert max(sizes) <= 4 * 300 * 20
    np.testing.assert_allclose(tiles.confidence, whole.confidence, atol=1e-5)
    assert (tiles.class_map == whole.class_map).mean() > 0.999


# --- label-free threshold and refinement ---------------------------------------------------------


def test_label_free_threshold_by_hand() -> None:
    """Two groups: the bound lies half-way between the nearest of both."""
    assert label_free_threshold(torch.tensor([0.2, 0.25, 0.9, 0.95, 0.21])) == pytest.approx(0.575)


def test_label_free_threshold_equals_scikit_image() -> None:
    from skimage.filters import threshold_otsu

    low, high = torch.randn(2000) * 0.05 + 0.3, torch.randn(1000) * 0.05 + 0.8
    values = torch.cat([low, high])
    expected = threshold_otsu(values.numpy(), nbins=4096)
    assert label_free_threshold(values) == pytest.approx(expected, abs=0.05)


def test_pictures_of_one_kind_are_not_cut() -> None:
    generator = torch.manual_seed(0)
    assert label_free_threshold(torch.randn(5000, generator=generator) * 0.1 + 0.5) == 0
    assert label_free_threshold(torch.full((9,), 0.4)) == 0
    assert label_free_threshold(torch.tensor([0.4])) == 0


def test_otsu_sends_the_unsure_half_to_the_background() -> None:
    similarity = torch.tensor([[[0.9, 0.9, 0.10, 0.10]], [[0.1, 0.1, 0.11, 0.12]]])
    got = segment_map(similarity, (1, 4), classifier(2, logit_scale=10.0), threshold="otsu")
    assert got.class_map.tolist() == [[0, 0, 255, 255]]


def test_refined_scores_are_probabilities_at_input_size() -> None:
    similarity = torch.rand(3, 4, 5)
    vocabulary = TextClassifier(torch.eye(3), ("a", "b"), torch.tensor([0, 0, 1]), 10.0)
    seen = []

    def half(probabilities: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        seen.append((probabilities, image))
        return probabilities / 2

    picture = np.full((80, 100, 3), 51, np.uint8)
    got = refine_scores(similarity, (32, 40), vocabulary, picture, [half, half])
    resized = F.interpolate(similarity[None], (32, 40), mode="bilinear")[0]
    queries = (10 * resized).softmax(0)
    expected = torch.stack([queries[:2].amax(0), queries[2]])
    torch.testing.assert_close(seen[0][0], expected)
    torch.testing.assert_close(got, expected / 4)
    torch.testing.assert_close(seen[0][1], torch.full((3, 32, 40), 0.2))
    decided = segment_map(got, (80, 100), vocabulary, probabilities=True)
    assert decided.confidence is not None and decided.confidence.max() <= 0.25


def test_refinement_of_many_classes_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postprocess, "REFINE_BYTES", 4 * 100 * 16 * 20)
    picture = np.zeros((64, 80, 3), np.uint8)
    got = refine_scores(torch.rand(100, 4, 5), (64, 80), classifier(100), picture, [])
    assert got.shape == (100, 16, 20)


# --- abstention ----------------------------------------------------------------------------------


def test_abstention_by_hand() -> None:
    sure = SegmentationResult(
        np.array([[0, 1], [1, 0]]), ("a", "b"), np.array([[0.9, 0.4], [0.5, 0.2]], np.float32)
    )
    got = abstain(sure, 0.5)
    assert got.class_map.tolist() == [[0, 255], [1, 255]]
    assert got.scores.tolist() == [0.25, 0.25]
    assert sure.class_map.tolist() == [[0, 1], [1, 0]]
    assert (abstain(sure, 0.0).class_map == sure.class_map).all()


def test_abstention_refuses_what_it_cannot_use() -> None:
    blank = np.zeros((1, 1), np.int64)
    with pytest.raises(InputError, match=r"a probability in \[0, 1\], got 2"):
        abstain(SegmentationResult(blank, ("a",), np.ones((1, 1), np.float32)), 2.0)
    with pytest.raises(InputError, match="a confidence for every pixel"):
        abstain(SegmentationResult(blank, ("a",)), 0.5)
