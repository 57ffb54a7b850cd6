"""Detection: scores by hand, suppression, fusion, given boxes, masks, bounded work."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import dense.methods.detection.detector
import dense.regions
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.methods.catalog import find_method
from dense.methods.detection.detector import DetectSettings, OpenVocabDetector
from dense.methods.detection.panoptic import merge_panoptic
from dense.methods.detection.proposals import OwnBoxes, Proposals
from dense.methods.detection.regions import full_mask
from dense.methods.detection.scoring import box_iou, candidates, class_nms, fuse
from dense.prompts import make_class_list
from dense.regions import align_weights
from dense.structures import DetectionResult, Sample, SegmentationResult, TextClassifier
from tests.helpers import photo, tiny_backbone

WHOLE = np.array([[0, 0, 32, 32]], np.float32)


@dataclass(frozen=True)
class Fixed:
    """The same proposals always."""

    proposals: Proposals

    def __call__(self, sample: Sample, patches: Tensor) -> Proposals:
        return self.proposals

    def describe(self) -> dict[str, object]:
        return {"proposals": "fixed"}


def classifier_of(*names: str, background: tuple[str, ...] = ()) -> TextClassifier:
    words = make_class_list(list(names), background)
    return build_text_classifier(tiny_backbone(), words, templates="plain")


def test_suppression_is_torchvisions() -> None:
    from torchvision.ops import batched_nms

    torch.manual_seed(1)
    low = torch.rand(60, 2) * 50
    boxes = torch.cat([low, low + 5 + torch.rand(60, 2) * 30], 1)
    labels, scores = torch.randint(3, (60,)), torch.rand(60)
    ours, theirs = class_nms(boxes, labels, scores, 0.4), batched_nms(boxes, scores, labels, 0.4)
    assert ours.tolist() == theirs.tolist()


def test_iou_and_fusion_by_hand() -> None:
    first = torch.tensor([[0.0, 0, 4, 4]])
    second = torch.tensor([[2.0, 0, 6, 4], [4, 4, 5, 5]])
    torch.testing.assert_close(box_iou(first, second), torch.tensor([[8 / 24, 0.0]]))
    dense, crops = torch.tensor([[0.9]]), torch.tensor([[0.4]])
    torch.testing.assert_close(fuse(dense, crops, 0.5), torch.tensor([[0.6]]))
    torch.testing.assert_close(fuse(dense, crops, 0.0), dense)
    torch.testing.assert_close(fuse(dense, crops, 1.0), crops)
    with pytest.raises(InputError, match=r"share must lie in \[0, 1\]"):
        fuse(dense, crops, 1.1)


def test_candidates_are_the_best_pairs() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.5, 0.2]])
    found = candidates(scores, least=0.15, limit=2)
    assert (found.place.tolist(), found.labels.tolist()) == ([0, 1], [1, 0])
    assert len(candidates(scores, least=0.15).scores) == 3
    assert len(candidates(torch.zeros(0, 2), least=0.1).scores) == 0


def test_a_whole_picture_box_by_hand() -> None:
    """Soft-max over words of the mean value feature; the score has no objectness factor."""
    backbone, image = tiny_backbone(), photo(32, 32, 4)
    classifier = classifier_of("cat", "dog", background=("sky",))
    detector = find_method("boxes", "detect").builder()(
        backbone, classifier, settings=DetectSettings(short_side=32)
    )
    result = detector.predict([Sample(image, boxes=WHOLE)])[0]
    batch = backbone.to_batch([backbone.preprocess.to_tensor(image)])
    with torch.no_grad():
        mean = backbone.vit(batch, backbone.recommended.block).dense.mean((2, 3))
    logits = F.normalize(mean, dim=-1) @ classifier.weights.T * classifier.logit_scale
    wanted = logits.softmax(-1)[0]
    kept = [k for k in range(3) if k != classifier.background]
    assert result.class_names == ("cat", "dog")
    best = int(wanted[kept].argmax())
    assert result.labels.tolist() == [best]
    assert result.scores[0] == pytest.approx(wanted[kept][best].item(), abs=1e-5)


def test_crops_take_part_by_their_share() -> None:
    backbone, sample = tiny_backbone(), Sample(photo(32, 32, 4), boxes=WHOLE)
    classifier = classifier_of("cat", "dog", "sky")

    def scores(**settings: float) -> tuple[int, float]:
        chosen = DetectSettings(short_side=32, **settings)  # type: ignore[arg-type]
        detector = OpenVocabDetector(backbone, classifier, proposer=OwnBoxes(), settings=chosen)
        found = detector.predict([sample])[0]
        return int(found.labels[0]), float(found.scores[0])

    with torch.no_grad():
        batch = backbone.to_batch([backbone.preprocess.to_tensor(sample.image)])
        token = F.normalize(backbone.vit.encode_image(batch), dim=-1)
    seen = (token @ classifier.weights.T * classifier.logit_scale).softmax(-1)[0]
    label, score = scores(crops=5, crop_share=1.0)
    assert label == int(seen.argmax()) and score == pytest.approx(seen.max().item(), abs=1e-5)
    assert scores(crops=5, crop_share=0.0) == pytest.approx(scores())


def test_objectness_and_suppression() -> None:
    boxes = torch.tensor([[0.0, 0, 32, 32], [0, 0, 32, 31], [0, 0, 8, 8]])
    proposals = Proposals(boxes, torch.tensor([0.25, 1.0, 0.0]))
    detector = OpenVocabDetector(
        tiny_backbone(),
        classifier_of("cat"),
        proposer=Fixed(proposals),
        settings=DetectSettings(short_side=32, least=0.1),
    )
    found = detector.predict([Sample(photo(32, 32))])[0]
    np.testing.assert_allclose(found.boxes, [[0, 0, 32, 31]])  # one word: its probability is 1
    np.testing.assert_allclose(found.scores, [1.0])
    settings = DetectSettings(short_side=32, least=0.1, overlap=1.0)
    loose = OpenVocabDetector(
        tiny_backbone(), classifier_of("cat"), proposer=Fixed(proposals), settings=settings
    )
    np.testing.assert_allclose(loose.predict([Sample(photo(32, 32))])[0].scores, [1.0, 0.5])


def test_a_part_is_not_the_thing_again() -> None:
    boxes = torch.tensor([[0.0, 0, 30, 30], [2, 2, 12, 12], [20, 20, 34, 34], [0, 0, 40, 40]])
    labels, scores = torch.zeros(4, dtype=torch.int64), torch.tensor([0.9, 0.8, 0.7, 0.6])
    assert class_nms(boxes, labels, scores, 0.7).tolist() == [0, 1, 2, 3]
    # of the second all lies in the first, of the third 100 / 196, of the fourth 900 / 1600
    assert class_nms(boxes, labels, scores, 0.7, inside=0.55).tolist() == [0, 2]
    assert class_nms(boxes, labels, scores, 0.7, inside=0.5).tolist() == [0]
    others = torch.tensor([0, 1, 0, 0])
    assert class_nms(boxes, others, scores, 0.7, inside=0.7).tolist() == [0, 1, 2, 3]


def test_no_proposals() -> None:
    none = Proposals(torch.zeros(0, 4), torch.zeros(0))
    for masks in (False, True):
        settings = DetectSettings(short_side=32, masks=masks, crops=3)
        detector = OpenVocabDetector(
            tiny_backbone(), classifier_of("cat"), proposer=Fixed(none), settings=settings
        )
        found = detector.predict([Sample(photo(20, 30))])[0]
        assert found.boxes.shape == (0, 4) and found.scores.shape == (0,)
        assert found.masks is None or found.masks.shape == (0, 20, 30)


def test_five_thousand_proposals_and_1203_names_stay_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of six million pairs 2,000 are compared with each other; boxes are pooled in parts."""
    compared: list[int] = []
    pooled: list[int] = []

    def suppress(boxes: Tensor, *rest: Tensor | float, **options: float) -> Tensor:
        compared.append(len(boxes))
        return class_nms(boxes, *rest, **options)  # type: ignore[arg-type]

    def weigh(boxes: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        pooled.append(len(boxes))
        return align_weights(boxes, grid)

    monkeypatch.setattr(dense.methods.detection.detector, "class_nms", suppress)
    monkeypatch.setattr(dense.regions, "align_weights", weigh)
    torch.manual_seed(0)
    low = torch.rand(5000, 2) * 40
    boxes = torch.cat([low, low + 2 + torch.rand(5000, 2) * 20], 1)
    weights = F.normalize(torch.randn(1203, 16), dim=-1)
    names = tuple(f"thing {k}" for k in range(1203))
    classifier = TextClassifier(weights, names, logit_scale=20.0)
    detector = OpenVocabDetector(
        tiny_backbone(),
        classifier,
        proposer=Fixed(Proposals(boxes, torch.rand(5000))),
        settings=DetectSettings(short_side=64, least=0.0, limit=300),
    )
    found = detector.predict([Sample(photo(64, 64))])[0]
    assert len(found.scores) == 300 and (np.diff(found.scores) <= 0).all()
    assert found.labels.max() < 1203
    assert compared == [2000] and pooled == [2048, 2048, 904]


def test_masks_lie_in_their_boxes() -> None:
    boxes = np.array([[4, 8, 30, 28], [0, 0, 3, 3]], np.float32)
    detector = OpenVocabDetector(
        tiny_backbone(),
        classifier_of("cat", "dog"),
        proposer=OwnBoxes(),
        settings=DetectSettings(short_side=32, masks=True),
    )
    found = detector.predict([Sample(photo(32, 48), boxes=boxes)])[0]
    assert found.masks is not None
    for mask, (x0, y0, x1, y1) in zip(found.masks, boxes.astype(int), strict=True):
        inside = np.zeros_like(mask)
        inside[y0:y1, x0:x1] = True
        assert mask.any() and not (mask & ~inside).any()


def test_a_box_mask_takes_the_patches_that_look_alike() -> None:
    patches = torch.zeros(2, 8, 8)
    patches[1] = 1.0
    patches[:, 2:6, 2:6] = torch.tensor([1.0, 0.0])[:, None, None]
    whole = Proposals(torch.tensor([[12.0, 12, 52, 52]]), torch.ones(1))
    mask = full_mask(whole, 0, patches, (64, 64))
    assert mask[20:44, 20:44].all() and not mask[:14].any()
    flat = full_mask(whole, 0, torch.ones(2, 8, 8), (64, 64))
    assert flat.sum() == 40 * 40  # nothing to tell apart: all of the box


def test_class_order_does_not_matter_and_the_card_is_whole() -> None:
    sample = Sample(photo(40, 56))
    found = []
    for names in (("cat", "dog", "sky"), ("sky", "cat", "dog")):
        detector = find_method("regions", "detect").builder()(
            tiny_backbone(), classifier_of(*names)
        )
        result = detector.predict([sample])[0]
        found.append({
            (*box, result.class_names[label], round(float(score), 4))
            for box, label, score in zip(
                result.boxes.tolist(), result.labels, result.scores, strict=True
            )
        })  # fmt: skip
    assert found[0] == found[1] and found[0]
    card = detector.describe()
    assert card["proposals"] == "patch grouping" and card["classes"] == 3
    assert card["proposal_limit"] == 300 and card["limit"] == 100
    crops = find_method("regions-crops", "detect").builder()(tiny_backbone(), classifier_of("cat"))
    assert crops.describe()["crops"] == 100


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"least": 2.0}, r"least must lie in \[0, 1\]"),
        ({"overlap": -0.1}, "overlap must lie"),
        ({"inside": 1.5}, "inside must lie"),
        ({"crops": -1}, "crops must be 0 or more"),
        ({"limit": 0}, "limit 1 or more"),
        ({"objectness": -0.5}, "objectness must be 0 or more"),
        ({"margin": float("nan")}, "margin must be 0 or more"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectSettings(**settings)


def panoptic_inputs() -> tuple[DetectionResult, SegmentationResult]:
    masks = np.zeros((3, 10, 10), bool)
    masks[0, :, :5] = masks[1, :, 1:4] = masks[2, :5, 5:] = True
    names = ("cat", "sky")
    boxes = np.array([[0, 0, 5, 10], [1, 0, 4, 10], [5, 0, 10, 5]], np.float32)
    scores, labels = np.array([0.9, 0.8, 0.2], np.float32), np.zeros(3, np.int64)
    stuff = SegmentationResult(np.ones((10, 10), np.int64), names)
    return DetectionResult(boxes, scores, labels, names, masks), stuff


def test_panoptic_by_hand() -> None:
    """The second is under the first, the third too weak; sky takes the other half."""
    detections, stuff = panoptic_inputs()
    found = merge_panoptic(detections, stuff, stuff_classes=(1,), least_stuff=10)
    assert found.labels.tolist() == [0, 1] and found.things.tolist() == [True, False]
    assert (found.segment_map[:, :5] == 1).all() and (found.segment_map[:, 5:] == 2).all()
    all_three = merge_panoptic(
        detections, stuff, stuff_classes=(1,), least_score=0.1, least_visible=0.0
    )
    assert all_three.labels.tolist() == [0, 0, 0] and math.isclose(
        all_three.scores[2], 0.2, abs_tol=1e-6
    )
    assert (all_three.segment_map == 0).sum() == 25  # less than 64 pixels of sky are left


def test_panoptic_refuses() -> None:
    detections, stuff = panoptic_inputs()
    from dataclasses import replace

    with pytest.raises(InputError, match="detections with masks"):
        merge_panoptic(replace(detections, masks=None), stuff, stuff_classes=(1,))
    with pytest.raises(InputError, match="over the same classes"):
        merge_panoptic(replace(detections, class_names=("a", "b")), stuff, stuff_classes=(1,))
    small = SegmentationResult(np.ones((9, 10), np.int64), ("cat", "sky"))
    with pytest.raises(InputError, match="one size"):
        merge_panoptic(detections, small, stuff_classes=(1,))
