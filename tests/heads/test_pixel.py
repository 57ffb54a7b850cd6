"""Text classifier on dense features."""

import torch

from dense.heads.pixel import class_probabilities, text_similarity
from dense.structures import TextClassifier


def classifier(index: list[int] | None, names: tuple[str, ...] = ("a", "b")) -> TextClassifier:
    rows = len(index) if index else len(names)
    weights = torch.eye(4)[:rows]
    return TextClassifier(weights, names, None if index is None else torch.tensor(index), 100.0)


def test_similarity_is_the_cosine() -> None:
    dense = torch.tensor([3.0, 4.0, 0.0, 0.0]).view(1, 4, 1, 1).expand(1, 4, 2, 3)
    got = text_similarity(dense, torch.eye(4)[:3])
    assert got.shape == (1, 3, 2, 3)
    torch.testing.assert_close(got[0, :, 1, 2], torch.tensor([0.6, 0.8, 0.0]))


def test_similarity_in_half_precision_is_fp32() -> None:
    dense = torch.randn(1, 4, 2, 2)
    got = text_similarity(dense.bfloat16(), torch.eye(4))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, text_similarity(dense, torch.eye(4)), atol=0.02, rtol=0)


def test_one_row_a_class_is_a_softmax() -> None:
    logits = torch.randn(2, 5, 6)
    torch.testing.assert_close(class_probabilities(logits, classifier(None)), logits.softmax(0))


def test_synonyms_softmax_first_maximum_after() -> None:
    logits = torch.log(torch.tensor([1.0, 3.0, 4.0]))  # probabilities 1/8, 3/8, 4/8
    got = class_probabilities(logits, classifier([0, 0, 1]))
    torch.testing.assert_close(got, torch.tensor([3 / 8, 4 / 8]))
    got = class_probabilities(logits, classifier([1, 0, 1]))
    torch.testing.assert_close(got, torch.tensor([3 / 8, 4 / 8]))


def test_class_order_is_the_output_order() -> None:
    logits = torch.randn(3, 4, 4)
    names = ("a", "b", "c")
    order = [2, 0, 1]
    straight = class_probabilities(logits, classifier([0, 1, 2], names))
    turned = class_probabilities(logits[order], classifier([0, 1, 2], names))
    torch.testing.assert_close(turned, straight[order])
