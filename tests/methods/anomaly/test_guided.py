"""Guided inspection: regions and fusion by hand, streams of any size, support, catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dense.errors import InputError
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.closer import fuse, suspicious
from dense.methods.anomaly.guided import GuidedInspector, GuideSettings
from dense.methods.catalog import find_method
from dense.prompts import StateWords
from dense.strips import ArrayStrips
from dense.structures import AnomalyResult, Sample
from tests.helpers import photo, tiny_backbone

BACKBONE = tiny_backbone()


class Bright(Inspector):
    """Brightness, seen at `side` pixels a side by area averages; notes what it was shown."""

    reads_words = True

    def __init__(self, side: int = 32, offset: float = 0.0, batch_size: int = 3) -> None:
        super().__init__(BACKBONE, "nut", batch_size=batch_size)
        self.side, self.offset = side, offset
        self.batches: list[int] = []
        self.pixels = 0
        self.seen: list[Sample] = []
        self.supports: list[Sample] = []

    @property
    def input_side(self) -> int:
        return self.side

    def fit(self, support: Sequence[Sample]) -> Inspector:
        self.supports = list(support)
        return self

    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        import cv2

        self.batches.append(len(samples))
        results = []
        for sample in samples:
            self.pixels = max(self.pixels, sample.image.shape[0] * sample.image.shape[1])
            self.seen.append(sample)
            grey = sample.image[..., 0].astype(np.float32) / 255
            small = cv2.resize(grey, (self.side, self.side), interpolation=cv2.INTER_AREA)
            back = cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
            found = back + self.offset
            results.append(AnomalyResult(found, float(found.max())))
        return results

    def describe(self) -> dict[str, object]:
        return {"method": "bright"}


def guided(**settings: object) -> GuidedInspector:
    return GuidedInspector(Bright(), Bright(), settings=GuideSettings(**settings))  # type: ignore[arg-type]


def dot(height: int, width: int, y: int, x: int, size: int = 2) -> np.ndarray:
    image = np.full((height, width, 3), 60, np.uint8)
    image[y : y + size, x : x + size] = 255
    return image


def test_regions_by_hand() -> None:
    scores = np.zeros((10, 20), np.float32)
    scores[9, 19], scores[2, 4], scores[3, 5] = 3, 2, 1.5
    assert suspicious(scores, 4, 3) == [(6, 16, 10, 20), (0, 2, 4, 6), (0, 0, 4, 4)]
    # A flat map has no peak: squares come in reading order, and end when nothing is left.
    flat = np.zeros((4, 6), np.float32)
    assert suspicious(flat, 4, 9) == [(0, 0, 4, 4), (0, 2, 4, 6)]


def test_fusion_by_hand() -> None:
    coarse = np.full((16, 16), 2.0, np.float32)
    closer = np.full((8, 8), 5.0, np.float32)
    closer[4, 4] = 9
    fused = fuse(coarse, [closer], [(4, 4, 12, 12)], 0.5)
    # The closer map is shifted to the coarse median (5 → 2), so its peak stands 4 above.
    assert fused[8, 8] == pytest.approx(2 + 0.5 * 4)
    fused[8, 8] = 2
    np.testing.assert_allclose(fused, coarse, atol=1e-6)
    edge = np.zeros((16, 16), np.float32)
    edge[0, 0] = 1.0
    faded = fuse(np.zeros((16, 16), np.float32), [edge], [(0, 0, 16, 16)], 1.0)
    assert faded[0, 0] == pytest.approx(1 / 16)  # (½ / 2)² of the taper's two sides


def test_overlapping_crops_never_count_more_than_one() -> None:
    coarse = np.zeros((12, 12), np.float32)
    one = np.zeros((8, 8), np.float32)
    one[4, 4] = 1
    boxes = [(0, 0, 8, 8), (0, 0, 8, 8)]
    np.testing.assert_allclose(
        fuse(coarse, [one, one], boxes, 0.6), fuse(coarse, [one], boxes[:1], 0.6)
    )


def test_a_dot_below_the_coarse_grain_is_found_sharply() -> None:
    """2 pixels at 4 pixels a coarse cell: the crop sees them alone, at full contrast."""
    image = dot(128, 128, 90, 41)
    plain = Bright().predict([Sample(image)])[0]
    found = guided(regions=1, share=1.0).predict([Sample(image)])[0]
    assert found.anomaly_map.shape == (128, 128)
    assert found.score > plain.score + 0.2
    peak = np.unravel_index(int(found.anomaly_map.argmax()), (128, 128))
    assert image[peak][0] == 255
    contrast = found.anomaly_map[90, 41] - found.anomaly_map[90, 46]
    assert contrast > 2 * (plain.anomaly_map[90, 41] - plain.anomaly_map[90, 46])


def test_every_picture_gets_the_same_number_of_looks() -> None:
    inspector = guided(regions=3)
    for image in (dot(128, 128, 5, 5), np.full((128, 128, 3), 9, np.uint8)):
        inspector.close.seen.clear()  # type: ignore[attr-defined]
        inspector.predict([Sample(image)])
        sides = {s.image.shape for s in inspector.close.seen}  # type: ignore[attr-defined]
        assert len(inspector.close.seen) == 3  # type: ignore[attr-defined]
        assert sides == {(32, 32, 3)}


def test_labels_and_masks_never_reach_the_choice() -> None:
    mask = np.zeros((128, 128), bool)
    mask[:8] = True
    plain = Sample(dot(128, 128, 90, 41))
    told = replace(plain, mask=mask, label=1)
    one, other = guided().predict([plain, told])
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)
    assert one.score == other.score


def test_large_pictures_are_judged_in_bounded_pieces() -> None:
    """700 × 900 with fields of 128: nothing larger than a field, no more than a batch, at once."""
    image = dot(700, 900, 333, 777, 3)
    inspector = guided(regions=2)
    result = inspector.predict([Sample(image)])[0]
    for part in (inspector.coarse, inspector.close):
        assert max(part.batches) <= inspector.batch_size == 3  # type: ignore[attr-defined]
        assert part.pixels <= 128 * 128  # type: ignore[attr-defined]
    peak = np.unravel_index(int(result.anomaly_map.argmax()), (700, 900))
    assert image[peak][0] == 255
    assert np.isfinite(result.anomaly_map).all()


def test_the_stream_reads_one_strip_at_a_time_and_gives_every_row_once() -> None:
    image = dot(700, 300, 600, 20, 3)

    class Counted(ArrayStrips):
        rows: ClassVar[list[tuple[int, int]]] = []

        def read(self, top: int, bottom: int) -> np.ndarray:
            self.rows.append((top, bottom))
            return super().read(top, bottom)

    source, inspector = Counted(image), guided(regions=1)
    strips = list(inspector.stream(source))
    assert all(bottom - top == 128 for top, bottom in source.rows)
    assert inspector.tops((700, 300)) == [s.top for s in strips]
    assert all((s.image == image[s.top : s.top + len(s.image)]).all() for s in strips)
    assert [s.top for s in strips] == list(
        np.cumsum([0] + [len(s.anomaly_map) for s in strips[:-1]])
    )
    whole = np.concatenate([s.anomaly_map for s in strips])
    expected = guided(regions=1).predict([Sample(image)])[0]
    np.testing.assert_array_equal(whole, expected.anomaly_map)
    assert max(score for s in strips for score in s.scores) == expected.score
    best = max((look for s in strips for look in s.looks), key=lambda look: look[1])
    top, left, bottom, right = best[0]
    assert top <= 600 < bottom
    assert left <= 20 < right


def test_a_field_as_large_as_the_picture_is_the_plain_coarse_look() -> None:
    inspector = guided(regions=1)
    inspector.predict([Sample(photo(100, 128))])
    assert [s.image.shape[:2] for s in inspector.coarse.seen] == [(100, 128)]  # type: ignore[attr-defined]


def test_support_crops_cover_and_keep_their_pictures_name() -> None:
    inspector = guided(support_crops=64)
    support = [Sample(photo(64, 96, seed=0), Path("a.png")), Sample(photo(64, 64, seed=1))]
    inspector.fit(support)
    crops = inspector.close.supports  # type: ignore[attr-defined]
    assert {s.image.shape for s in crops} == {(32, 32, 3)}
    assert [str(s.image_path) for s in crops] == ["a.png"] * 6 + ["image 2"] * 4
    joined = sum(int(s.image.astype(np.int64).sum()) for s in crops[:6])
    assert joined == int(support[0].image.astype(np.int64).sum())  # each pixel once
    assert [s.image.shape for s in inspector.coarse.supports] == [(64, 96, 3), (64, 64, 3)]  # type: ignore[attr-defined]
    few = guided(support_crops=3).fit(support)
    assert len(few.close.supports) == 3  # type: ignore[attr-defined]


def test_threshold_and_card() -> None:
    inspector = GuidedInspector(Bright(), Bright(), threshold=0.5)
    result = inspector.predict([Sample(dot(128, 128, 9, 9, 8))])[0]
    assert result.is_anomalous
    assert result.mask is not None
    assert result.mask[12, 12]
    assert not result.mask[100, 100]
    card = inspector.describe()
    assert card["method"] == "bright, guided"
    assert card["guided_regions"] == 4
    assert inspector.input_side == 32
    inspector.steer(StateWords(("rust",)))
    assert inspector.close.state_words.look_for == ("rust",)


@pytest.mark.parametrize("name", ["patch", "words-memory", "patchcore"])
def test_methods_of_the_catalogue_can_be_guided(name: str) -> None:
    row = find_method(f"{name}+guided")
    assert row.name == f"{name}+guided"
    assert "dense.methods.anomaly.guided" in row.modules
    inspector = row.builder()(BACKBONE, "nut", shots=2, batch_size=4, threshold=None, weights=None)
    good = [Sample(photo(96, 96, seed=n), Path(f"{n}.png")) for n in range(2)]
    inspector.fit(good)
    known, other = inspector.predict([good[0], Sample(photo(96, 96, seed=9))])
    assert np.isfinite(known.anomaly_map).all()
    assert other.score > known.score


def test_settings_that_cannot_be() -> None:
    for wrong in ({"regions": 0}, {"crop": 4}, {"support_crops": 0}):
        with pytest.raises(InputError, match="1 or more regions"):
            GuideSettings(**wrong)  # type: ignore[arg-type]
    for wrong in ({"share": 0}, {"step": 1.5}, {"field": 0.5}):
        with pytest.raises(InputError, match="share and step"):
            GuideSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown inspect method 'nothing'"):
        find_method("nothing+guided")
    with pytest.raises(InputError, match="no support images"):
        guided().fit([])
