from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from dense.errors import InputError
from dense.metrics import AnomalyTally, PixelScores, anomaly_scores, aupimo
from dense.metrics.anomaly import CURVE_METRICS, IMAGE_METRICS, PIXEL_METRICS
from dense.structures import AnomalyResult, Sample


def sample(label: int, mask: np.ndarray | None, size: tuple[int, int] = (12, 16)) -> Sample:
    return Sample(np.zeros((*size, 3), np.uint8), mask=mask, label=label)


def made(seed: int = 0, images: int = 9) -> tuple[list[AnomalyResult], list[Sample]]:
    """Every third picture is defective, with a square; scores and maps lean towards defects."""
    rng = np.random.default_rng(seed)
    results, samples = [], []
    for place in range(images):
        mask = np.zeros((12, 16), bool)
        if place % 3 == 0:
            mask[2:6, 3 + place % 4 : 9] = True
        scores = (rng.random(mask.shape) + 0.6 * mask).astype(np.float32)
        results.append(AnomalyResult(scores, float(rng.random() + 0.5 * mask.any())))
        samples.append(sample(int(mask.any()), mask))
    return results, samples


def tally(results: list[AnomalyResult], samples: list[Sample], **options: object) -> AnomalyTally:
    collected = AnomalyTally(**options)  # type: ignore[arg-type]
    for result, picture in zip(results, samples, strict=True):
        collected.add(result, picture)
    return collected


def test_all_metrics_of_a_category() -> None:
    results, samples = made()
    labels = [s.label for s in samples]
    scores = [r.score for r in results]
    maps, masks = [r.anomaly_map for r in results], [s.mask for s in samples]
    found = tally(results, samples, normal_images=6).scores()
    assert tuple(found) == (*IMAGE_METRICS, *PIXEL_METRICS)
    pooled = np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])
    curve = PixelScores.from_maps(maps, masks).curve()
    expected = {
        "image_auroc": sk.roc_auc_score(labels, scores),
        "image_ap": sk.average_precision_score(labels, scores),
        "pixel_auroc": sk.roc_auc_score(*pooled),
        "pixel_ap": sk.average_precision_score(*pooled),
        "pixel_f1_max": curve.f1_max()[0],
        "aupro": curve.area(0.3),
        "aupro_05": curve.area(0.05),
        "aupimo": np.nanmean(aupimo(maps, masks)),
    }
    assert {key: found[key] / 100 for key in expected} == pytest.approx(expected)


def test_function_and_tally_agree() -> None:
    results, samples = made(4)
    pixels = PixelScores.from_maps([r.anomaly_map for r in results], [s.mask for s in samples])
    found = anomaly_scores([r.score for r in results], [s.label for s in samples], pixels)
    assert tally(results, samples).scores() == pytest.approx(found)


@pytest.mark.parametrize("mask", [None, np.zeros((12, 16), bool)])
def test_defects_that_nobody_marked_enter_the_image_metrics_alone(mask: np.ndarray | None) -> None:
    results, samples = made(1)
    loud = AnomalyResult(np.full((12, 16), 9.0, np.float32), -1.0)
    before = tally(results, samples, normal_images=6).scores()
    after = tally([*results, loud], [*samples, sample(1, mask)], normal_images=6)
    assert after.notes() == [
        "1 of 4 defective pictures mark no defect (no mask, or an empty one): they enter the "
        "image metrics alone"
    ]
    for key in PIXEL_METRICS:
        assert after.scores()[key] == before[key]
    assert after.scores()["image_auroc"] < before["image_auroc"]
    assert after.reasons() == {}


def test_a_mask_on_a_normal_picture_does_not_count() -> None:
    results, samples = made(2)
    wrong = [s if s.label else sample(0, np.ones((12, 16), bool)) for s in samples]
    assert tally(results, wrong).scores() == tally(results, samples).scores()


@pytest.mark.parametrize(
    ("label", "mask", "image", "pixel"),
    [
        (0, None, "the test set has no anomalous picture", "no anomalous picture"),
        (1, None, "the test set has no normal picture", "no defective picture has a mask"),
        (1, np.ones((12, 16), bool), "has no normal picture", "no defect-free pixel"),
    ],
)
def test_one_kind_of_picture_is_undefined_and_says_why(
    label: int, mask: np.ndarray | None, image: str, pixel: str
) -> None:
    results, _ = made()
    normals = 0 if label else len(results)
    collected = tally(results, [sample(label, mask)] * len(results), normal_images=normals)
    scores, reasons = collected.scores(), collected.reasons()
    assert np.isnan(list(scores.values())).all()
    assert list(reasons) == list(scores)
    assert image in reasons["image_auroc"] and image in reasons["aupimo"]
    assert pixel in reasons["aupro"] and pixel in reasons["pixel_ap"]


def test_defective_pictures_alone_have_pixel_scores() -> None:
    results, samples = made()
    collected = tally(results[::3], samples[::3], normal_images=0)
    assert list(collected.reasons()) == [*IMAGE_METRICS, "aupimo"]
    assert 50 < collected.scores()["pixel_auroc"] < 100


def test_metric_size() -> None:
    """At twice the size in both directions, blocks of equal pixels keep all scores."""
    results, samples = made(3)
    big = [
        AnomalyResult(np.kron(r.anomaly_map[:, :12], np.ones((4, 4), np.float32)), r.score)
        for r in results
    ]
    wide = [
        sample(s.label or 0, np.kron(np.asarray(s.mask)[:, :12], np.ones((4, 4))) > 0, (48, 48))
        for s in samples
    ]
    found = tally(big, wide, sizes=(0, 12), normal_images=6).scores()
    small = [AnomalyResult(r.anomaly_map[:, :12], r.score) for r in results]
    cut = [sample(s.label or 0, np.asarray(s.mask)[:, :12], (12, 12)) for s in samples]
    direct = tally(small, cut, normal_images=6).scores()
    for key in PIXEL_METRICS:
        assert found[f"{key}@12"] == pytest.approx(direct[key])
    assert found["pixel_auroc"] == pytest.approx(direct["pixel_auroc"])


def test_a_defect_that_vanishes_at_the_metric_size_leaves_its_pixels_out() -> None:
    mask = np.zeros((12, 12), bool)
    mask[0, 0] = True
    result = AnomalyResult(np.eye(12, dtype=np.float32), 1.0)
    pictures = [sample(1, mask, (12, 12)), sample(0, None, (12, 12))]
    collected = tally([result, result], pictures, sizes=(0, 3))
    assert "at this size" in collected.reasons()["aupro@3"]
    assert "aupro" not in collected.reasons()


def test_bounded_memory_says_how_far_off_it_may_be() -> None:
    results, samples = made(5, images=30)
    exact, rough = tally(results, samples), tally(results, samples, bins=2**14)
    assert exact.errors() == {}
    assert tuple(rough.errors()) == CURVE_METRICS
    for key, bound in rough.errors().items():
        assert abs(exact.scores()[key] - rough.scores()[key]) <= bound + 1e-9
        assert bound < 3


def test_bad_input() -> None:
    for sizes in ((-1,), (240, 240)):
        with pytest.raises(InputError, match="metric sizes must be different sides"):
            AnomalyTally(sizes=sizes)
    result = AnomalyResult(np.zeros((12, 16), np.float32), 0.0)
    with pytest.raises(InputError, match="need samples with labels"):
        AnomalyTally().add(result, Sample(np.zeros((12, 16, 3), np.uint8)))
    with pytest.raises(InputError, match="at least one value"):
        AnomalyTally().scores()
