"""The metric wrappers alone; whole runs are in test_run, several processes in test_processes."""

import numpy as np
import pytest
from mmseg.evaluation import IoUMetric

from dense.engine import metrics as module
from dense.engine.metrics import AnomalyMetric, MMSegMetric, SegmentationMetric
from dense.engine.model import Prediction
from dense.errors import InputError
from dense.structures import AnomalyResult, Sample, SegmentationResult

NAMES = ("a", "b", "c")


def image(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def segmented(index: int, truth: list[list[int]], guess: list[list[int]]) -> Prediction:
    mask, class_map = np.array(truth), np.array(guess)
    sample = Sample(image(*mask.shape), mask=mask)
    return Prediction(index, sample, SegmentationResult(class_map, NAMES))


FIRST = segmented(0, [[0, 0], [1, 255]], [[0, 1], [1, 2]])
SECOND = segmented(1, [[1, 1, 2]], [[1, 0, 2]])


def segmentation_metric() -> SegmentationMetric:
    metric = SegmentationMetric()
    metric.dataset_meta = {"classes": NAMES}
    return metric


def test_by_hand() -> None:
    """a: 1 of 2 hit, one false: 1/3. b: 2 of 3, one false: 2/4. c: 1 of 1 (255 does not count)."""
    metric = segmentation_metric()
    metric.process({}, [SECOND])
    metric.process({}, [FIRST])
    scores = metric.evaluate(2)
    assert scores["iou/a"] == pytest.approx(100 / 3)
    assert scores["iou/b"] == pytest.approx(50)
    assert scores["iou/c"] == pytest.approx(100)
    assert scores["miou"] == pytest.approx((100 / 3 + 50 + 100) / 3)
    assert scores["macc"] == pytest.approx((50 + 200 / 3 + 100) / 3)
    assert scores["aacc"] == pytest.approx(100 * 4 / 6)


def test_equals_mmsegmentation() -> None:
    rng = np.random.default_rng(0)
    predictions = []
    for i in range(6):
        truth = rng.choice([0, 1, 2, 255], (20, 30))
        guess = np.where(rng.random((20, 30)) < 0.5, truth % 255, rng.integers(0, 3, (20, 30)))
        predictions.append(segmented(i, truth.tolist(), guess.tolist()))
    ours, theirs = segmentation_metric(), MMSegMetric(IoUMetric(iou_metrics=["mIoU"]))
    theirs.dataset_meta = {"classes": NAMES}
    for metric in (ours, theirs):
        for prediction in predictions:
            metric.process({}, [prediction])
    mine, other = ours.evaluate(6), theirs.evaluate(6)
    assert mine["miou"] == pytest.approx(other["mmseg/mIoU"], abs=0.006)
    assert mine["macc"] == pytest.approx(other["mmseg/mAcc"], abs=0.006)
    assert mine["aacc"] == pytest.approx(other["mmseg/aAcc"], abs=0.006)


def test_a_sample_met_twice_counts_once_and_metrics_start_anew() -> None:
    metric = segmentation_metric()
    metric.process({}, [FIRST, FIRST, SECOND])
    once = metric.evaluate(2)
    metric.process({}, [FIRST, SECOND])
    assert metric.evaluate(2) == once


def test_copies_that_pad_another_process_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_dist_info", lambda: (1, 2))
    metric = segmentation_metric()
    metric.process({}, [SECOND, FIRST])
    assert [index for index, _ in metric.results] == [1]


def test_missing_samples_are_an_error() -> None:
    metric = segmentation_metric()
    metric.process({}, [FIRST])
    with pytest.raises(InputError, match="1 of 3 samples were evaluated"):
        metric.evaluate(3)


def test_records_are_small() -> None:
    """A picture of 150 classes keeps its non-zero counts, not 150 x 150."""
    names = tuple(str(i) for i in range(150))
    mask = np.zeros((8, 8), np.int64)
    prediction = Prediction(0, Sample(image(8, 8), mask=mask), SegmentationResult(mask, names))
    metric = SegmentationMetric()
    metric.dataset_meta = {"classes": names}
    assert metric.record(prediction)["counts"].tolist() == [64]


def test_another_number_of_classes() -> None:
    metric = segmentation_metric()
    metric.dataset_meta = {"classes": ("a", "b")}
    with pytest.raises(InputError, match="knows 3 classes, the data set 2"):
        metric.process({}, [FIRST])


def test_data_set_without_class_names() -> None:
    with pytest.raises(InputError, match="names its classes"):
        SegmentationMetric().process({}, [FIRST])


@pytest.mark.parametrize("metric", [segmentation_metric(), MMSegMetric(IoUMetric())])
def test_segmentation_needs_masks(metric: SegmentationMetric) -> None:
    metric.dataset_meta = {"classes": NAMES}
    bare = Prediction(0, Sample(image(2, 2)), FIRST.result)
    with pytest.raises(InputError, match="need segmentation results and samples with masks"):
        metric.process({}, [bare])


def test_anomaly_needs_labels() -> None:
    result = AnomalyResult(np.zeros((2, 2), np.float32), 0.5)
    with pytest.raises(InputError, match="need anomaly results and samples with labels"):
        AnomalyMetric().process({}, [Prediction(0, Sample(image(2, 2)), result)])


def test_error_in_scoring_reaches_every_process() -> None:
    """Scores that are not finite are found when scored; the error comes out of `evaluate`."""
    metric = AnomalyMetric()
    result = AnomalyResult(np.zeros((2, 2), np.float32), float("nan"))
    metric.process({}, [Prediction(0, Sample(image(2, 2), label=1), result)])
    with pytest.raises(InputError, match="finite"):
        metric.evaluate(1)
    assert metric.results == []
