"""What every looker must obey, and the plain ones by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.methods.catalog import methods
from dense.methods.detection.detector import build_boxes
from dense.methods.looking.answers import classify, ground
from dense.methods.looking.ask import PhraseFinder, RegionNamer, build_looker, phrase_classifier
from dense.methods.looking.base import Views, asked_regions, only_classes
from dense.methods.looking.guided_cropping import margin_boxes
from dense.structures import DetectionResult, Sample, TextClassifier
from tests.helpers import photo, tiny_backbone

BACKBONE = tiny_backbone()
WORDS = build_text_classifier(BACKBONE, ["cat; kitten", "dog", "car"], templates="plain")
BOXES = np.array([[3, 4, 20, 30], [30, 10, 60, 40.5], [8, 8, 9, 9]], np.float32)
IMAGE = photo(48, 64)
NAMES = [method.name for method in methods("look") if not method.trained]
WITHOUT_REGIONS = ["plain", "crop", "pooled", "gc-clip", "abs", "abs-features"]


def names_of(name: str, image: np.ndarray = IMAGE, boxes: np.ndarray | None = BOXES, **more):
    regions = None if boxes is None else asked_regions(image.shape[:2], boxes)
    return classify(BACKBONE, build_looker(BACKBONE, name, settings=more), image, WORDS, regions)


def plain_feature(image: np.ndarray) -> torch.Tensor:
    tensor = BACKBONE.preprocess.to_tensor(BACKBONE.preprocess.resize(image, (32, 32)))
    with torch.inference_mode():
        return F.normalize(BACKBONE.model.encode_image(tensor[None]), dim=-1)[0]


@pytest.mark.parametrize("name", NAMES)
def test_order_and_company_of_regions_do_not_matter(name: str) -> None:
    whole = names_of(name).probabilities
    turned = names_of(name, boxes=BOXES[[2, 0, 1]]).probabilities
    np.testing.assert_allclose(turned, whole[[2, 0, 1]], atol=1e-5)
    alone = names_of(name, boxes=BOXES[1:2]).probabilities
    np.testing.assert_allclose(alone, whole[1:2], atol=1e-5)
    assert names_of(name, boxes=BOXES[:0]).probabilities.shape == (0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_one_colour_is_answered(name: str) -> None:
    grey = np.full((40, 56, 3), 128, np.uint8)
    found = names_of(name, grey, np.array([[2, 2, 30, 30]], np.float32))
    assert np.isfinite(found.probabilities).all() and 0 < found.scores[0] <= 1
    if name in WITHOUT_REGIONS:
        assert np.isfinite(names_of(name, grey, None).probabilities).all()


@pytest.mark.parametrize("name", NAMES)
def test_whole_pictures(name: str) -> None:
    if name in WITHOUT_REGIONS:
        found = names_of(name, boxes=None)
        assert len(found.boxes) == 1 and found.labels[0] == found.probabilities[0].argmax()
    else:
        with pytest.raises(InputError, match=f"{name} shows which region is meant, and none"):
            names_of(name, boxes=None)


def test_plain_is_open_clips_feature_for_every_region() -> None:
    found = names_of("plain")
    logits = plain_feature(IMAGE) @ WORDS.weights.T * WORDS.logit_scale
    expected = logits.softmax(0)
    best = torch.tensor([max(expected[0], expected[1]), expected[2], expected[3]])
    for row in found.probabilities:
        np.testing.assert_allclose(row, best, atol=1e-6)


def test_crop_is_the_crop_as_a_picture() -> None:
    looker = build_looker(BACKBONE, "crop", settings={"margin": 0.5})
    with torch.inference_mode():
        views = looker.views(BACKBONE, IMAGE, asked_regions((48, 64), BOXES[1:2]))
    # 30 wide and 30.5 high, half of that more on each side, cut at the border
    expected = plain_feature(np.ascontiguousarray(IMAGE[0:48, 15:64]))
    torch.testing.assert_close(views.features[0, 0], expected, atol=1e-5, rtol=0)


def test_pooled_is_what_the_detector_scores() -> None:
    found = names_of("pooled")
    detector = build_boxes(BACKBONE, WORDS)
    scored = detector.predict([Sample(IMAGE, boxes=BOXES)])[0]
    np.testing.assert_array_equal(found.labels, scored.labels)
    np.testing.assert_allclose(found.scores, scored.scores, atol=1e-6)


def test_pooled_reads_masks() -> None:
    masks = np.zeros((1, 48, 64), bool)
    masks[0, 8:40, 16:48] = True  # the box is its own mask up to patches that are cut
    regions = asked_regions((48, 64), masks=masks)
    assert regions.boxes.tolist() == [[16, 8, 48, 40]]
    looker = build_looker(BACKBONE, "pooled", settings={"short_side": 48})
    with torch.inference_mode():
        views = looker.views(BACKBONE, IMAGE, regions)
        tensor = BACKBONE.preprocess.to_tensor(IMAGE)[None]
        dense = BACKBONE.vit(tensor, BACKBONE.recommended.block).dense[0]
    expected = F.normalize(dense[:, 1:5, 2:6].mean((1, 2)), dim=0)
    torch.testing.assert_close(views.features[0, 0], expected, atol=1e-5, rtol=0)


class TestGuidedCropping:
    def test_margins_by_hand(self) -> None:
        rows = margin_boxes(np.array([[20, 10, 40, 30]]), (0.0, 0.1, 1.0), (100, 200))
        expected = [[20, 10, 40, 30], [18, 9, 56, 37], [0, 0, 200, 100]]
        np.testing.assert_allclose(rows[0], expected, atol=1e-5)

    def test_its_ends_are_crop_and_plain(self) -> None:
        for margins, other in (((0.0,), "crop"), ((1.0,), "plain")):
            found = names_of("gc-clip", margins=margins).probabilities
            np.testing.assert_allclose(found, names_of(other).probabilities, atol=1e-5)

    def test_several_margins_are_averaged(self) -> None:
        looker = build_looker(BACKBONE, "gc-clip", settings={"margins": (0.0, 1.0)})
        regions = asked_regions((48, 64), BOXES)
        with torch.inference_mode():
            both = looker.views(BACKBONE, IMAGE, regions).agreement(WORDS.weights)
            ends = [
                build_looker(BACKBONE, name).views(BACKBONE, IMAGE, regions)
                for name in ("crop", "plain")
            ]
        expected = sum(view.agreement(WORDS.weights) for view in ends) / 2
        torch.testing.assert_close(both, expected, atol=1e-5, rtol=0)

    def test_the_whole_picture_keeps_the_likeliest_classes(self) -> None:
        found = names_of("gc-clip", boxes=None, top=2)
        plain = names_of("plain", boxes=None).probabilities[0]
        assert found.probabilities[0, plain.argmin()] == 0
        assert found.probabilities[0].astype(bool).sum() == 2
        x0, y0, x1, y1 = found.boxes[0]
        assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 48 and (x1 - x0) * (y1 - y0) < 48 * 64


class TestGround:
    PHRASES = ("the left cup", "a dog", "The left  cup")

    def test_by_hand(self) -> None:
        phrases = phrase_classifier(BACKBONE, self.PHRASES)
        looker = build_looker(BACKBONE, "crop")
        found = ground(BACKBONE, looker, IMAGE, phrases, asked_regions((48, 64), BOXES))
        crops = [IMAGE[4:30, 3:20], IMAGE[10:41, 30:60], IMAGE[8:9, 8:9]]
        features = torch.stack([plain_feature(np.ascontiguousarray(crop)) for crop in crops])
        text = BACKBONE.encode_text(["a photo of the left cup", "a photo of a dog"])
        expected = (text @ features.T * BACKBONE.logit_scale).numpy()
        np.testing.assert_allclose(found.agreement, expected[[0, 1, 0]], atol=1e-3)
        assert isinstance(found, DetectionResult) and found.labels.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(found.boxes, BOXES[expected[[0, 1, 0]].argmax(1)])
        share = np.exp(expected[1] - expected[1].max())
        assert found.scores[1] == pytest.approx(share.max() / share.sum(), abs=1e-4)

    def test_negatives_take_away_what_fits_any_words(self) -> None:
        finder = PhraseFinder(BACKBONE, build_looker(BACKBONE, "crop"), negatives=["a dog"])
        phrases = phrase_classifier(BACKBONE, ["a dog"])
        regions = asked_regions((48, 64), BOXES)
        found = ground(
            BACKBONE, finder.looker, IMAGE, phrases, regions, negatives=finder.negative_rows
        )
        np.testing.assert_allclose(found.agreement, 0, atol=1e-4)
        assert finder.describe()["negatives"] == 1

    def test_refuses(self) -> None:
        phrases = phrase_classifier(BACKBONE, ["a dog"])
        with pytest.raises(InputError, match="no region to choose from"):
            ground(
                BACKBONE, build_looker(BACKBONE, "crop"), IMAGE, phrases,
                asked_regions((48, 64), BOXES[:0]),
            )  # fmt: skip
        for phrases in ([], [" "]):
            with pytest.raises(InputError, match="no phrase to look for"):
                phrase_classifier(BACKBONE, phrases)
        with pytest.raises(InputError, match="phrases are found in samples that have some"):
            PhraseFinder(BACKBONE, build_looker(BACKBONE, "crop")).predict([Sample(IMAGE)])


def test_views_are_weighted() -> None:
    features = torch.eye(3)[None]
    views = Views(features, torch.tensor([0.5, 0.25, 0.25]))
    assert views.agreement(torch.eye(3)).tolist() == [[0.5, 0.25, 0.25]]
    assert Views(features).agreement(torch.eye(3)[:1]).item() == pytest.approx(1 / 3)


def test_only_some_classes() -> None:
    part = only_classes(WORDS, [2, 0])
    assert part.class_names == ("car", "cat") and part.class_index is not None
    assert part.class_index.tolist() == [0, 1, 1]
    torch.testing.assert_close(part.weights, WORDS.weights[[3, 0, 1]])
    flat = TextClassifier(torch.eye(3), ("a", "b", "c"))
    assert torch.equal(only_classes(flat, [1]).weights, torch.eye(3)[1:2])


def test_samples_in_batches_and_cards() -> None:
    namer = RegionNamer(BACKBONE, build_looker(BACKBONE, "crop"), WORDS)
    both = namer.predict([Sample(IMAGE, boxes=BOXES), Sample(IMAGE)])
    np.testing.assert_allclose(both[0].probabilities, names_of("crop").probabilities)
    assert both[1].boxes.tolist() == [[0, 0, 64, 48]]
    card = namer.describe()
    assert (card["method"], card["margin"], card["classes"]) == ("crop", 0.0, 3)
    ensemble = build_looker(BACKBONE, "fgvp-ensemble").describe()
    assert ensemble["method"] == "fgvp-ensemble"


class TestRegions:
    SIZE = (48, 64)

    @pytest.mark.parametrize(
        ("box", "message"),
        [
            ([70, 0, 90, 9], "lies outside the picture of 64 × 48"),
            ([9, 0, 3, 9], "is inverted"),
            ([9, 0, 9, 9], "is empty"),
            ([9, 0, np.nan, 9], "is not finite"),
        ],
    )
    def test_bad_boxes(self, box: list[float], message: str) -> None:
        with pytest.raises(InputError, match=message):
            asked_regions(self.SIZE, np.array([box]))

    def test_bad_masks(self) -> None:
        empty = np.zeros((2, *self.SIZE), bool)
        empty[0, 3, 4] = True
        with pytest.raises(InputError, match=r"mask 2 of a\.png is empty"):
            asked_regions(self.SIZE, masks=empty, owner="a.png")
        with pytest.raises(InputError, match=r"masks must be \(regions, 48, 64\)"):
            asked_regions(self.SIZE, masks=np.ones((1, 4, 4), bool))
        with pytest.raises(InputError, match="every box needs one mask"):
            asked_regions(self.SIZE, BOXES, empty[:1])

    def test_the_whole_picture(self) -> None:
        assert asked_regions(self.SIZE).boxes.tolist() == [[0, 0, 64, 48]]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("crop", {"margin": -0.1}, "margin must be a number of 0 or more, got -0.1"),
        ("crop", {"margin": "wide"}, "margin must be a number of 0 or more, got 'wide'"),
        ("crop", {"margn": 0.1}, "unknown setting of the looker 'margn'"),
        ("plain", {"margin": 0.1}, "this looker has no settings"),
        ("gc-clip", {"margins": (0.1, -0.2)}, r"a margin must be a number in \[0, 1\], got -0.2"),
        ("gc-clip", {"margins": ()}, "at least one margin"),
        ("gc-clip", {"top": 0}, "top must be a whole number of 1 or more"),
        ("abs", {"crops": 1.5}, "crops must be a whole number"),
        ("abs", {"crops": 0, "feature_crops": 0}, "both 0"),
        ("abs", {"smallest": 0.9, "largest": 0.5}, "smallest must be a number in"),
        ("abs", {"temperature": 0}, "temperature must be a number"),
        ("red-circle", {"marks": "circle,star"}, "unknown mark 'star'"),
        ("red-circle", {"marks": ()}, "at least one mark"),
        ("red-circle", {"marks": 5}, "at least one mark"),
        ("red-circle", {"colour": "reddish"}, "unknown colour 'reddish'"),
        ("fgvp", {"blur": 0}, "blur must be a number in"),
        ("falip", {"std": -1}, "std must be a number"),
        ("falip", {"depth": 2}, "depth must be a number in"),
        ("pooled", {"short_side": 3}, "short_side must be a whole number in"),
        ("red-crcle", {}, "unknown look method 'red-crcle': .*red-circle"),
    ],
)
def test_bad_settings_are_one_sentence(name: str, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_looker(BACKBONE, name, settings=settings)


def test_weights_for_none() -> None:
    with pytest.raises(InputError, match=r"has no learned parts, so a\.pt would not"):
        build_looker(BACKBONE, "crop", weights="a.pt")
