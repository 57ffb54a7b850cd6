"""Laws of `OpenVocabSegmentor`, and its numbers against open_clip's own layers."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense import postprocess
from dense.backbones import CLIPBackbone, last_block
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.methods.segmentation.base import LastBlockMethod, PatchMethod
from dense.methods.segmentation.maskclip import MaskCLIP
from dense.methods.segmentation.protocol import SegmentProtocol
from dense.methods.segmentation.windows import plan_windows
from dense.methods.segmentor import LONGEST_RATIO, OpenVocabSegmentor
from dense.structures import Sample, TextClassifier
from tests.helpers import photo, tiny_backbone

NAMES = ["cat", "wooden table", "sky"]


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


@pytest.fixture(scope="module")
def classifier(backbone: CLIPBackbone) -> TextClassifier:
    return build_text_classifier(backbone, NAMES, templates="short")


def segmentor(
    backbone: CLIPBackbone,
    words: TextClassifier,
    *,
    method: PatchMethod | None = None,
    batch_size: int = 4,
    **protocol: object,
) -> OpenVocabSegmentor:
    return OpenVocabSegmentor(
        backbone,
        words,
        method=method or MaskCLIP(),
        protocol=SegmentProtocol(**protocol),  # type: ignore[arg-type]
        batch_size=batch_size,
    )


def samples(*sizes: tuple[int, int]) -> list[Sample]:
    return [Sample(photo(*size, seed=number)) for number, size in enumerate(sizes)]


def test_maskclip_on_open_clips_own_layers(
    backbone: CLIPBackbone, classifier: TextClassifier
) -> None:
    """The whole journey in a few independent lines, for a picture of the tower's own size."""
    sample = Sample(photo(32, 32))
    (got,) = segmentor(backbone, classifier, short_side=32).predict([sample])
    visual = backbone.model.visual
    with torch.inference_mode():
        x = visual._embeds(backbone.preprocess.to_tensor(sample.image)[None])
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        value = F.linear(last.ln_1(x), last.attn.in_proj_weight, last.attn.in_proj_bias)
        x = x + last.attn.out_proj(value.chunk(3, -1)[2])
        x = x + last.mlp(last.ln_2(x))
        dense = F.normalize((visual.ln_post(x) @ visual.proj)[0, 1:], dim=-1)
        similarity = (dense @ classifier.weights.T).T.reshape(1, 3, 4, 4)
        full = F.interpolate(similarity, (32, 32), mode="bilinear", align_corners=False)[0]
        probability, index = (100 * full).softmax(0).max(0)
    assert len(index.unique()) > 1
    np.testing.assert_allclose(got.confidence, probability, atol=1e-3)
    clear = probability.numpy() > 0.6
    assert clear.mean() > 0.5
    assert np.array_equal(got.class_map[clear], index.numpy()[clear])


@pytest.mark.parametrize("size", [(32, 32), (45, 70), (70, 31), (1, 1), (3, 200), (500, 2)])
def test_results_have_the_original_size(
    backbone: CLIPBackbone, classifier: TextClassifier, size: tuple[int, int]
) -> None:
    (got,) = segmentor(backbone, classifier, short_side=32).predict(samples(size))
    assert got.class_map.shape == size
    assert got.confidence.shape == size
    assert got.class_map.dtype == np.int64
    assert set(np.unique(got.class_map)) <= {0, 1, 2}
    assert got.scores.sum() == pytest.approx(1.0)
    assert ((got.confidence >= 1 / 3 - 1e-6) & (got.confidence <= 1)).all()


def test_batch_size_changes_nothing(backbone: CLIPBackbone, classifier: TextClassifier) -> None:
    pictures = samples((40, 60), (40, 60), (64, 48), (40, 60), (40, 60))
    one = segmentor(backbone, classifier, short_side=32, batch_size=1)
    many = segmentor(backbone, classifier, short_side=32, batch_size=4)
    for a, b in zip(one.predict(pictures), many.predict(pictures), strict=True):
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-4)
        assert (a.class_map == b.class_map).mean() > 0.999


def test_class_order_turns_the_indices(backbone: CLIPBackbone) -> None:
    order = [2, 0, 1]
    results = []
    for names in (NAMES, [NAMES[k] for k in order]):
        words = build_text_classifier(backbone, names, templates="short")
        made = segmentor(backbone, words, short_side=32)
        results.append(made.predict(samples((40, 60)))[0])
    straight, turned = results
    np.testing.assert_allclose(straight.confidence, turned.confidence, atol=1e-4)
    assert (np.array(order)[turned.class_map] == straight.class_map).mean() > 0.999
    np.testing.assert_allclose(turned.scores, straight.scores[order], atol=1e-3)


def test_synonyms_keep_the_class_count(backbone: CLIPBackbone) -> None:
    entries = ["cat; kitten; tom", "wooden table", "sky; clouds"]
    words = build_text_classifier(backbone, entries, templates="plain")
    (got,) = segmentor(backbone, words, short_side=32).predict(samples((40, 60)))
    assert got.class_names == ("cat", "wooden table", "sky")
    assert got.scores.shape == (3,)
    assert set(np.unique(got.class_map)) <= {0, 1, 2}


def test_repeating_a_phrase_leaves_the_winner(backbone: CLIPBackbone) -> None:
    """The maximum over synonyms of equal rows is that row: only the soft-max gets diluted."""
    once = build_text_classifier(backbone, NAMES, templates="plain")
    rows = once.weights[[0, 0, 1, 1, 2, 2]]
    twice = TextClassifier(rows, once.class_names, torch.tensor([0, 0, 1, 1, 2, 2]), 100.0)
    pictures = samples((40, 60))
    a = segmentor(backbone, once, short_side=32).predict(pictures)[0]
    b = segmentor(backbone, twice, short_side=32).predict(pictures)[0]
    assert np.array_equal(a.class_map, b.class_map)
    np.testing.assert_allclose(b.confidence, a.confidence / 2, atol=1e-5)


# --- sliding windows -----------------------------------------------------------------------------


def test_one_window_equals_the_whole(backbone: CLIPBackbone, classifier: TextClassifier) -> None:
    pictures = samples((40, 60), (64, 64))
    whole = segmentor(backbone, classifier, short_side=32)
    window = segmentor(backbone, classifier, short_side=32, crop=64, stride=32)
    for a, b in zip(whole.predict(pictures), window.predict(pictures), strict=True):
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-5)
        assert np.array_equal(a.class_map, b.class_map)


def test_windows_by_hand(backbone: CLIPBackbone, classifier: TextClassifier) -> None:
    """Two windows of 32 at stride 16 over 32 × 48: the middle third is their average."""
    made = segmentor(backbone, classifier, short_side=32, crop=32, stride=16)
    batch = torch.randn(2, 3, 32, 48)
    with torch.inference_mode():
        got = made._scores(batch)
        left, right = (
            made.score(backbone.vit.trace(part)) for part in (batch[..., :32], batch[..., 16:])
        )
    assert got.shape == (2, 3, 4, 6)
    torch.testing.assert_close(got[..., :2], left[..., :2], atol=1e-5, rtol=0)
    torch.testing.assert_close(got[..., 4:], right[..., 2:], atol=1e-5, rtol=0)
    middle = (left[..., 2:] + right[..., :2]) / 2
    torch.testing.assert_close(got[..., 2:4], middle, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(33, 97), (97, 33), (80, 80), (32, 33)])
def test_windows_cover_any_size(
    backbone: CLIPBackbone, classifier: TextClassifier, size: tuple[int, int]
) -> None:
    made = segmentor(backbone, classifier, short_side=None, crop=32, batch_size=3)
    (got,) = made.predict(samples(size))
    assert got.class_map.shape == size
    assert np.isfinite(got.confidence).all()


def test_pictures_smaller_than_a_window() -> None:
    """On both sides: one window, the picture. On one: windows of that side, the last moved in."""
    small = plan_windows((32, 40), (8, 8), 48, 24)
    assert (small.crop, small.corners) == ((32, 40), ((0, 0),))
    flat = plan_windows((32, 88), (8, 8), 48, 24)
    assert (flat.crop, flat.corners) == ((32, 48), ((0, 0), (0, 24), (0, 40)))


def test_extreme_aspect_ratios_are_bounded(
    backbone: CLIPBackbone, classifier: TextClassifier
) -> None:
    made = segmentor(backbone, classifier, short_side=64)
    h, w = made.input_size((10, 100_000))
    assert max(h, w) <= 64 * LONGEST_RATIO
    assert min(h, w) >= 8
    assert made.input_size((100, 200)) == (64, 128)


# --- thresholds, many classes, errors ------------------------------------------------------------


def test_threshold_sends_to_the_background(backbone: CLIPBackbone) -> None:
    from dense.prompts import make_class_list

    classes = make_class_list(["cat", "sky"], background=["wall"])
    words = build_text_classifier(backbone, classes, templates="plain")
    pictures = samples((40, 60))
    free = segmentor(backbone, words, short_side=32).predict(pictures)[0]
    bound = float(np.median(free.confidence))
    got = segmentor(backbone, words, short_side=32, threshold=bound).predict(pictures)[0]
    low = free.confidence < bound
    assert 0.2 < low.mean() < 0.8
    assert (got.class_map[low] == 0).all()
    assert np.array_equal(got.class_map[~low], free.class_map[~low])


def test_a_thousand_classes_in_bounded_memory(
    backbone: CLIPBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"thing number {number}" for number in range(1000)]
    words = build_text_classifier(backbone, names, templates="none")
    assert words.weights.shape == (1000, 16)
    monkeypatch.setattr(postprocess, "STRIP_BYTES", 1 << 20)
    largest = 0
    original = postprocess.class_probabilities

    def spy(logits: torch.Tensor, vocabulary: TextClassifier) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, 4 * logits.numel())
        return original(logits, vocabulary)

    monkeypatch.setattr(postprocess, "class_probabilities", spy)
    (got,) = segmentor(backbone, words, short_side=32).predict(samples((100, 120)))
    assert got.class_map.shape == (100, 120)
    assert got.class_map.max() < 1000
    assert 0 < largest <= 1 << 20
    whole = 4 * 1000 * 100 * 120
    assert largest < whole / 10


def test_non_latin_classes(backbone: CLIPBackbone) -> None:
    words = build_text_classifier(backbone, ["猫", "стол", "سماء"], templates="plain")
    (got,) = segmentor(backbone, words, short_side=32).predict(samples((32, 32)))
    assert got.class_names == ("猫", "стол", "سماء")


@pytest.mark.parametrize(("crop", "stride"), [(30, None), (4, None), (32, 12), (32, 4)])
def test_crops_off_the_patch(
    backbone: CLIPBackbone, classifier: TextClassifier, crop: int, stride: int | None
) -> None:
    with pytest.raises(InputError, match="must be a positive multiple of 8, got"):
        segmentor(backbone, classifier, crop=crop, stride=stride)


def test_nothing_to_do(backbone: CLIPBackbone, classifier: TextClassifier) -> None:
    assert OpenVocabSegmentor(backbone, classifier).predict([]) == []


def test_protocol_card(backbone: CLIPBackbone, classifier: TextClassifier) -> None:
    block = last_block("qq+kk", residual=False, feed_forward=False)
    card = OpenVocabSegmentor(
        backbone, classifier, method=LastBlockMethod(block), protocol=SegmentProtocol(crop=64)
    ).describe()
    assert card["attention"] == "qq+kk"
    assert (card["residual"], card["feed_forward"]) == (False, False)
    assert (card["crop"], card["stride"], card["classes"]) == (64, 32, 3)
