"""Panoptic segmentation under the Runner: merging, counting, the config, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dense.classifier import build_text_classifier
from dense.datasets.regions import PanopticFolder
from dense.engine import factories
from dense.engine.model import Prediction
from dense.engine.panoptic import (
    MergeSettings,
    PanopticMetric,
    PanopticSegmentor,
    panoptic_segmentor,
)
from dense.engine.run import test_config
from dense.errors import InputError
from dense.methods.detection.detector import DetectSettings
from dense.methods.segmentor import build_segmentor
from dense.structures import DetectionResult, PanopticResult, Sample, SegmentationResult
from tests.datasets.test_regions import make_panoptic
from tests.helpers import photo, tiny_backbone

CONFIG = Path(__file__).parents[2] / "configs" / "detect" / "panoptic_embedded_folder.py"
NAMES = ("car", "sky-other")


class LeftHalf:
    """Finds a car in the left half, and knows nothing else."""

    class_names = ("car",)

    def predict(self, samples: list[Sample]) -> list[DetectionResult]:
        found = []
        for sample in samples:
            height, width = sample.image_size
            mask = np.zeros((1, height, width), bool)
            mask[0, :15, : width // 2] = True
            box, label = np.array([[0, 0, width // 2, 15]], np.float32), np.zeros(1, np.int64)
            score = np.array([0.4], np.float32)
            found.append(DetectionResult(box, score, label, self.class_names, mask))
        return found

    def describe(self) -> dict[str, object]:
        return {"method": "left half"}


def half_segmentor(names: tuple[str, ...] = ("sky", "car")) -> PanopticSegmentor:
    """Over sky and car; everything is sky for the segmentor."""
    backbone = tiny_backbone()
    segmentor = build_segmentor(backbone, build_text_classifier(backbone, list(names)))
    segmentor.predict = lambda samples: [  # type: ignore[method-assign]
        SegmentationResult(np.zeros(s.image_size, np.int64), names) for s in samples
    ]
    return PanopticSegmentor(LeftHalf(), segmentor, (False, True))  # type: ignore[arg-type]


def test_things_lie_over_stuff() -> None:
    made = half_segmentor()
    (found,) = made.predict([Sample(photo(20, 30))])
    assert found.labels.tolist() == [1, 0] and found.things.tolist() == [True, False]
    assert (found.segment_map[:15, :15] == 1).all() and (found.segment_map == 2).sum() == 375
    card = made.describe()
    assert card["method"] == "left half" and card["least_stuff"] == 64
    assert card["stuff_method"]


def result(car: np.ndarray, sky: np.ndarray) -> PanopticResult:
    canvas = np.where(car, 1, np.where(sky, 2, 0))
    score = np.array([0.9, 1.0], np.float32)
    return PanopticResult(canvas, np.array([0, 1]), np.array([True, False]), score, NAMES)


def test_the_metric_counts_a_folder(tmp_path: Path) -> None:
    """A crowd stays in the union of a match; a car found in it alone is no false alarm."""
    folder = PanopticFolder(make_panoptic(tmp_path))
    truth = folder.truth(0)
    assert truth.crowd is not None and truth.crowd.tolist() == [False, False, True]
    car, sky = truth.segment_map == 1, truth.segment_map == 2
    metric = PanopticMetric(folder)
    sample = folder[0]
    metric.process({}, [Prediction(0, sample, result(car, sky))])
    perfect = metric.evaluate(1)
    assert perfect["pq"] == perfect["pq_stuff"] == perfect["rq/car"] == pytest.approx(100)
    tall = car.copy()
    tall[15:, :15] = True  # 75 pixels of the crowd
    metric.process({}, [Prediction(0, sample, result(tall, sky))])
    scores = metric.evaluate(1)
    assert scores["sq_things"] == pytest.approx(75) and scores["pq/sky-other"] == 100
    crowd = truth.segment_map == 3
    metric.process({}, [Prediction(0, sample, result(crowd, sky))])
    scores = metric.evaluate(1)
    assert scores["pq_things"] == 0 and scores["rq_things"] == 0 and scores["pq_stuff"] == 100


def run(root: Path, work: Path, **more: object) -> dict:
    options = {"model.method.templates": "plain", **more}
    return test_config(
        CONFIG, data_root=root, work_dir=work, options=options, draw_dir=work / "drawn"
    )


def test_the_config_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())
    root = make_panoptic(tmp_path / "data")
    report = run(root, tmp_path / "work")
    assert {"pq", "sq_things", "rq_stuff"} <= set(report["overall"])
    assert set(report["per_class"]) == set(NAMES)
    assert set(report["per_class"]["car"]) == {"pq", "sq", "rq"}
    card = report["protocol"]
    assert card["masks"] is True and card["background"] is True and card["stuff_classes"] == 2
    assert len(list((tmp_path / "work" / "drawn").glob("*.png"))) == 1


def test_refusals(tmp_path: Path) -> None:
    root = make_panoptic(tmp_path)
    folder = PanopticFolder(root)
    with pytest.raises(InputError, match="set masks=True"):
        panoptic_segmentor(tiny_backbone(), folder, detect=DetectSettings())
    with pytest.raises(InputError, match="must look for the things van in this order, got car"):
        half_segmentor(("sky", "van"))
    metric = PanopticMetric(folder)
    one = PanopticResult(
        np.zeros((20, 30), np.int64), np.zeros(0, np.int64), np.zeros(0, bool),
        np.zeros(0, np.float32), ("car",),
    )  # fmt: skip
    with pytest.raises(InputError, match="have 1 classes, the data set 2"):
        metric.process({}, [Prediction(0, folder[0], one)])
    plain = SegmentationResult(np.zeros((20, 30), np.int64), NAMES)
    with pytest.raises(InputError, match="needs panoptic results"):
        PanopticMetric(folder).process({}, [Prediction(0, folder[0], plain)])
    content = json.loads((root / "panoptic.json").read_text())
    for row in content["categories"]:
        row["isthing"] = 0
    (root / "panoptic.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="has no things"):
        panoptic_segmentor(tiny_backbone(), PanopticFolder(root))
    assert MergeSettings().least_visible == 0.5
