"""Detection configs run on made-up data with a tiny model; the metric counts by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dense.classifier import build_text_classifier
from dense.datasets import DetectionFolder
from dense.datasets.open_vocabulary import OV_COCO_BASE, OV_COCO_NOVEL
from dense.engine import factories
from dense.engine.detection import DetectionMetric, detection_classes
from dense.engine.model import Prediction
from dense.engine.regions import RegionMetric
from dense.engine.run import test_config
from dense.errors import InputError
from dense.evaluation.regions import region_accuracy
from dense.structures import DetectionResult, Sample, SegmentationResult
from tests.datasets.made import make_detection, write
from tests.datasets.test_regions import make_panoptic
from tests.helpers import photo, tiny_backbone

pytest.importorskip("faster_coco_eval")
CONFIGS = Path(__file__).parents[2] / "configs" / "detect"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())


def run(
    config: str,
    root: Path,
    work: Path,
    options: dict[str, object] | None = None,
    draw: Path | None = None,
) -> dict:
    plain = {"model.method.templates": "plain", "test_dataloader.num_workers": 0}
    return test_config(
        CONFIGS / f"{config}.py",
        data_root=root,
        work_dir=work,
        options={**plain, **(options or {})},
        draw_dir=draw,
    )


def named(ending: str) -> list[str]:
    """Configs on boxes that need no learned parts; test_f_vit.py and test_panoptic.py have more."""
    found = sorted(p.stem for p in CONFIGS.glob(f"*{ending}.py"))
    return [name for name in found if not name.startswith(("f_vit", "panoptic", "region_acc"))]


@pytest.mark.parametrize("name", named("_embedded_folder"))
def test_folder_configs_run(name: str, tmp_path: Path) -> None:
    report = run(name, make_detection(tmp_path / "data"), tmp_path / "work")
    assert report["samples"] == 2
    assert 0 <= report["overall"]["ap50"] <= 100 and "novel_ap50" not in report["overall"]
    if name.startswith("boxes"):
        assert report["overall"]["ap50"] > 0  # the true boxes, two names


def test_region_accuracy_of_a_folder_is_the_cards(tmp_path: Path) -> None:
    root = make_detection(tmp_path / "data")
    report = run("region_accuracy_embedded_folder", root, tmp_path / "work")
    backbone, folder = tiny_backbone(), DetectionFolder(root)
    wanted = region_accuracy(
        backbone,
        [folder[0], folder[1]],
        build_text_classifier(backbone, folder.names, templates="plain"),
        backbone.recommended.block,
        short_side=backbone.recommended.short_side,
    )
    assert report["overall"]["boxes_count"] == 2
    for name, value in wanted["boxes"].items():
        assert report["overall"][f"boxes_{name}"] == pytest.approx(value)


@pytest.mark.parametrize("name", ["coco", "ade"])
def test_region_accuracy_of_panoptic_data(name: str, tmp_path: Path) -> None:
    root = make_panoptic(tmp_path / "data")
    options = {"model.method.short_side": 32}
    config = f"region_accuracy_vitb16_{name}_panoptic"
    report = run(config, root, tmp_path / "work", options, draw=tmp_path / "drawn")
    counts = {k: v for k, v in report["overall"].items() if k.endswith("_count")}
    assert counts == {"boxes_count": 1, "things_count": 1, "stuff_count": 1}
    assert report["protocol"]["attention"] == "value"
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 1


def test_region_accuracy_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="results of a region reader"):
        RegionMetric().process({}, [prediction(0, [], [])])


def make_coco(root: Path) -> Path:
    names = [*OV_COCO_NOVEL, *OV_COCO_BASE, "wine glass"]
    content = {
        "images": [{"id": 3, "file_name": "a.jpg", "height": 40, "width": 60}],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 3, "bbox": [1, 2, 30, 30]},
            {"id": 2, "image_id": 3, "category_id": 20, "bbox": [20, 2, 30, 30]},
        ],
    }
    write(root / "val2017" / "a.jpg", photo(40, 60))
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("name", named("_ov_coco"))
def test_ov_coco_configs_run(name: str, tmp_path: Path) -> None:
    report = run(name, make_coco(tmp_path / "data"), tmp_path / "work")
    assert {"novel_ap50", "base_ap50", "ap50"} <= set(report["overall"])
    assert report["protocol"]["classes"] == 65  # the other class is not asked for


def test_ov_lvis_config_runs(tmp_path: Path) -> None:
    root = tmp_path / "data"
    content = {
        "images": [
            {
                "id": 3,
                "coco_url": "http://images.cocodataset.org/val2017/a.jpg",
                "height": 40,
                "width": 60,
                "neg_category_ids": [2],
                "not_exhaustive_category_ids": [],
            }
        ],
        "categories": [
            {"id": 1, "name": "bow_(weapon)", "frequency": "r"},
            {"id": 2, "name": "bow_(decorative_ribbons)", "frequency": "f"},
        ],
        "annotations": [{"id": 1, "image_id": 3, "category_id": 1, "bbox": [1, 2, 30, 30]}],
    }
    write(root / "val2017" / "a.jpg", photo(40, 60))
    (root / "annotations").mkdir()
    (root / "annotations" / "lvis_v1_val.json").write_text(json.dumps(content))
    report = run("regions_vitb16_ov_lvis", root, tmp_path / "work")
    assert {"novel_ap", "ap_r", "ap_f"} <= set(report["overall"])
    assert report["protocol"]["limit"] == 300


def prediction(index: int, boxes: list, labels: list, names: tuple = ("bolt", "nut")) -> Prediction:
    result = DetectionResult(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, len(boxes)).astype(np.float32),
        np.array(labels, np.int64),
        names,
    )
    return Prediction(index, Sample(photo(8, 8)), result)


def test_metric_counts_the_true_boxes_as_perfect(tmp_path: Path) -> None:
    dataset = DetectionFolder(make_detection(tmp_path))
    metric = DetectionMetric(dataset)
    rows = [
        prediction(n, r.boxes.tolist(), r.labels.tolist()) for n, r in enumerate(dataset.records)
    ]
    metric.process({}, rows)
    assert metric.evaluate(2)["ap"] == pytest.approx(100)
    metric.process({}, [prediction(0, [], []), prediction(1, [[1, 2, 11, 22]], [0])])
    assert metric.evaluate(2)["ap"] == pytest.approx(0)  # the right box by the wrong name


def test_metric_refuses(tmp_path: Path) -> None:
    dataset = DetectionFolder(make_detection(tmp_path))
    with pytest.raises(InputError, match="no class 'cow'"):
        DetectionMetric(dataset, classes=["cow"])
    metric = DetectionMetric(dataset, classes=["nut"])
    with pytest.raises(InputError, match="has 2 classes, the metric 1"):
        metric.process({}, [prediction(0, [], [])])
    wrong = Prediction(
        1, Sample(photo(8, 8)), SegmentationResult(np.zeros((8, 8), np.int64), ("a",))
    )
    with pytest.raises(InputError, match="need detection results"):
        metric.process({}, [wrong])
    assert detection_classes(dataset) == ["bolt", "nut"]
