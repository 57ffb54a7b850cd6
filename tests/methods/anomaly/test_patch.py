"""Laws of the patch inspector."""

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.methods.anomaly.patch import PatchInspector, PatchProtocol
from dense.methods.anomaly.patches import rotated, top_mean
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone

SMALL = PatchProtocol(layers=(-2,), short_side=32)


def samples(count: int, category: str = "") -> list[Sample]:
    return [Sample(photo(40, 56, seed), category=category) for seed in range(count)]


def test_a_support_image_is_at_distance_zero_from_itself() -> None:
    inspector = PatchInspector(tiny_backbone(), "metal nut", protocol=SMALL)
    inspector.fit(samples(2))
    first, second, other = inspector.predict(samples(3))
    assert first.score < 1e-6 and second.score < 1e-6
    assert other.score > 1e-3
    assert first.anomaly_map.shape == (40, 56)


def test_a_turned_support_image_is_known_when_rotations_are_remembered() -> None:
    square = Sample(photo(48, 48, 3))
    turned = Sample(np.rot90(square.image).copy())
    plain = PatchInspector(tiny_backbone(), "nut", protocol=SMALL).fit([square])
    four = PatchProtocol(layers=(-2,), short_side=32, rotations=4)
    robust = PatchInspector(tiny_backbone(), "nut", protocol=four).fit([square])
    assert robust.predict([turned])[0].score < 0.2 * plain.predict([turned])[0].score


def test_more_support_never_raises_a_distance() -> None:
    few = PatchInspector(tiny_backbone(), "nut", protocol=SMALL).fit(samples(1))
    many = PatchInspector(tiny_backbone(), "nut", protocol=SMALL).fit(samples(4))
    probe = [Sample(photo(40, 56, 9))]
    assert (many.predict(probe)[0].anomaly_map <= few.predict(probe)[0].anomaly_map + 1e-6).all()


def test_results_do_not_depend_on_the_batch_size() -> None:
    one = PatchInspector(tiny_backbone(), "nut", protocol=SMALL, batch_size=1)
    many = PatchInspector(tiny_backbone(), "nut", protocol=SMALL, batch_size=3)
    for left, right in zip(one.predict(samples(3)), many.predict(samples(3)), strict=True):
        assert left.score == pytest.approx(right.score, abs=1e-5)
        np.testing.assert_allclose(left.anomaly_map, right.anomaly_map, atol=1e-5)


def test_categories_keep_their_own_memory() -> None:
    inspector = PatchInspector(tiny_backbone(), {"a": "nut", "b": "bolt"}, protocol=SMALL)
    inspector.fit(samples(1, "a"))
    known, wordy = inspector.predict([samples(1, "a")[0], samples(1, "b")[0]])
    assert known.score < 1e-6
    assert wordy.score > 1e-3  # no memory: the probability of the anomalous words


def test_zero_shot_score_mixes_patches_and_class_token() -> None:
    backbone, probe = tiny_backbone(), samples(1)
    scores = [
        PatchInspector(
            backbone, "nut", protocol=PatchProtocol(layers=(-2,), short_side=32, class_token=share)
        )
        .predict(probe)[0]
        .score
        for share in (0.0, 0.5, 1.0)
    ]
    assert scores[1] == pytest.approx((scores[0] + scores[2]) / 2, abs=1e-6)
    assert scores[0] != pytest.approx(scores[2], abs=1e-4)


def test_threshold_gives_mask_and_decision() -> None:
    inspector = PatchInspector(tiny_backbone(), "nut", protocol=SMALL, threshold=1e-3)
    inspector.fit(samples(1))
    known, other = inspector.predict(samples(2))
    assert known.is_anomalous is False and not known.mask.any()
    assert other.is_anomalous is True and other.mask.any()


def test_top_mean_by_hand() -> None:
    scores = torch.arange(100.0).view(10, 10)
    assert top_mean(scores, 0.05) == pytest.approx((95 + 96 + 97 + 98 + 99) / 5)
    assert top_mean(scores, 0.001) == 99


def test_four_rotations_of_a_square_are_quarter_turns() -> None:
    image = photo(16, 16, 1)
    turns = rotated(image, 4)
    for quarter, turn in enumerate(turns):
        expected = np.rot90(image, quarter).astype(int)
        assert np.abs(turn.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("bad", [{"neighbourhood": 2}, {"top": 0.0}, {"rotations": 0}])
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="neighbourhood must be odd"):
        PatchInspector(tiny_backbone(), "nut", protocol=PatchProtocol(**bad))


def test_fit_refuses_nothing_and_defects() -> None:
    inspector = PatchInspector(tiny_backbone(), "nut", protocol=SMALL)
    with pytest.raises(InputError, match="no support images"):
        inspector.fit([])
    with pytest.raises(InputError, match="labelled anomalous"):
        inspector.fit([Sample(photo(), label=1)])
