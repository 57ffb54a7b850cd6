"""MMDetection's data sets give our samples; its metric judges our results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.compat import ensure_mmcv_ops
from dense.datasets import DetectionFolder
from dense.engine.augment import detection_augment
from dense.engine.mmdet_data import MMDetMetric, MMDetSamples
from dense.engine.model import Prediction
from dense.errors import InputError
from dense.structures import DetectionResult, Sample
from tests.datasets.made import make_detection
from tests.helpers import photo

ensure_mmcv_ops()

from mmdet.datasets import CocoDataset  # noqa: E402
from mmdet.evaluation import CocoMetric  # noqa: E402

pytest.importorskip("pycocotools")


def complete(path: Path) -> None:
    """Add what pycocotools asks of each annotation."""
    content = json.loads(path.read_text())
    for row in content["annotations"]:
        row.update(area=row["bbox"][2] * row["bbox"][3], iscrowd=row.get("iscrowd", 0))
    path.write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = make_detection(tmp_path / "data")
    complete(made / "instances.json")
    return made


def options(root: Path, classes: tuple[str, ...]) -> dict[str, object]:
    return {
        "data_root": str(root),
        "ann_file": "instances.json",
        "data_prefix": {"img": "images/"},
        "metainfo": {"classes": classes},
    }


def test_a_data_set_gives_the_same_boxes(root: Path) -> None:
    theirs = MMDetSamples(CocoDataset, options(root, ("nut",)))
    assert theirs.metainfo["classes"] == ("nut",) and len(theirs) == 2
    ours = {r.image_id: r for r in DetectionFolder(root).records}
    for number, sample in zip(theirs.image_ids, (theirs[n] for n in range(2)), strict=True):
        nuts = ours[number].boxes[ours[number].labels == 1]
        assert sample.boxes is not None and sample.box_labels is not None
        np.testing.assert_allclose(sample.boxes, nuts)
        assert sample.box_labels.tolist() == [0] * len(nuts)
    training = {"test_mode": False, "filter_cfg": {"filter_empty_gt": True}}
    assert len(MMDetSamples(CocoDataset, {**options(root, ("nut",)), **training})) == 1


def test_the_metric_agrees_on_perfect_and_wrong_boxes(root: Path) -> None:
    folder = DetectionFolder(root)
    metric = CocoMetric(ann_file=str(folder.annotations), sort_categories=True)
    wrapped = MMDetMetric(metric, folder, folder.names)

    def score(shift: int) -> float:
        for index, record in enumerate(folder.records):
            found = DetectionResult(
                record.boxes,
                np.full(len(record.boxes), 0.9, np.float32),
                (record.labels + shift) % 2,
                folder.names,
            )
            wrapped.process({}, [Prediction(index, folder[index], found)])
        return wrapped.evaluate(2)["mmdet/coco/bbox_mAP_50"]

    assert score(0) == pytest.approx(1) and score(1) == pytest.approx(0)


def test_refusals(root: Path) -> None:
    with pytest.raises(InputError, match=r"files of CocoDataset are not in .*gone"):
        MMDetSamples(CocoDataset, options(root / "gone", ("nut",)))
    filtered = {"test_mode": False, "filter_cfg": {"filter_empty_gt": True}}
    with pytest.raises(InputError, match="CocoDataset finds no pictures with its classes"):
        MMDetSamples(CocoDataset, {**options(root, ("cog",)), **filtered})


def test_large_scale_jitter_moves_boxes_with_their_content() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:70] = 255
    box = np.array([[30, 20, 70, 40]], np.float32)
    augment = detection_augment(64, scale=(0.5, 1.0))
    torch.manual_seed(0)
    for _ in range(5):
        out = augment(Sample(image, boxes=box, box_labels=np.array([0])))
        assert out.image.shape == (64, 64, 3) and out.boxes is not None
        ys, xs = np.nonzero(out.image[..., 0] > 127)
        got = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(out.boxes[0], got, atol=1.5)
    plain = augment(Sample(photo(60, 80)))
    assert plain.image.shape == (64, 64, 3) and plain.boxes is None
