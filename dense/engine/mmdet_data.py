"""MMDetection's data sets as data sets of samples, and its metrics on our results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torch.utils.data import Dataset

from dense.compat import ensure_mmcv_ops
from dense.datasets import DetectionFolder
from dense.engine.metrics import Metrics
from dense.engine.model import Prediction
from dense.errors import InputError, MissingDependencyError
from dense.images import read_image
from dense.structures import DetectionResult, Sample

ensure_mmcv_ops()

try:
    from mmdet.datasets.base_det_dataset import BaseDetDataset
except ModuleNotFoundError as error:
    raise MissingDependencyError(
        "MMDetection's data sets need it: pip install 'dense-clip[detection]'"
    ) from error


class MMDetSamples(Dataset[Sample]):
    """A data set of MMDetection as a data set of samples; crowds are left out.

    Args:
        dataset: The data set class, e.g. `mmdet.datasets.CocoDataset`.
        options: Its arguments, without a pipeline; ``metainfo=dict(classes=...)`` keeps some
            classes, ``filter_cfg=dict(filter_empty_gt=True)`` with ``test_mode=False`` drops
            pictures without boxes.

    Raises:
        InputError: If its files are missing or it lists no pictures.
    """

    def __init__(
        self, dataset: Callable[..., BaseDetDataset], options: Mapping[str, object]
    ) -> None:
        arguments = {"test_mode": True, **options, "pipeline": [], "serialize_data": False}
        place = options.get("data_root", "its data_root")
        name = getattr(dataset, "__name__", str(dataset))
        try:
            self.dataset = dataset(**arguments)
        except (FileNotFoundError, NotADirectoryError, AssertionError) as error:
            raise InputError(
                f"the files of {name} are not in {place}: prepare it as data/README.md describes, "
                f"or pass --data-root ({error})"
            ) from error
        if len(self.dataset) == 0:
            raise InputError(f"{name} finds no pictures with its classes in {place}")

    @property
    def metainfo(self) -> dict[str, object]:
        """`classes`, as MMDetection names them."""
        return {"classes": tuple(self.dataset.metainfo["classes"])}

    @property
    def image_ids(self) -> Sequence[int]:
        """Of the pictures, as in the annotations."""
        return [int(self.dataset.get_data_info(n)["img_id"]) for n in range(len(self))]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        info = self.dataset.get_data_info(index)
        path = Path(info["img_path"])
        rows = [row for row in info["instances"] if not row.get("ignore_flag", 0)]
        boxes = np.array([row["bbox"] for row in rows], np.float32).reshape(-1, 4)
        labels = np.array([row["bbox_label"] for row in rows], np.int64)
        return Sample(read_image(path), path, boxes=boxes, box_labels=labels)


class MMDetMetric(BaseMetric):
    """A metric of MMDetection on `DetectionResult`.

    pycocotools' rules for the file hold: every annotation has `area`, `iscrowd` and a unique id
    above 0. `dense.engine.detection.DetectionMetric` fills these in.

    Args:
        metric: Any metric that reads `pred_instances` and `img_id`, e.g. `CocoMetric` with an
            `ann_file` and ``sort_categories=True``: our class indices rise with the category ids.
        dataset: What is evaluated: knows the pictures' ids.
        classes: Names of the detector's classes in order, as in the annotations.
    """

    default_prefix = "mmdet"

    def __init__(
        self,
        metric: BaseMetric,
        dataset: DetectionFolder | MMDetSamples,
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        self.metric = metric
        self.image_ids: Sequence[int | str] = (
            [record.image_id for record in dataset.records]
            if isinstance(dataset, DetectionFolder)
            else dataset.image_ids
        )
        self.metric.dataset_meta = {"classes": tuple(classes)}

    def process(self, data_batch: object, data_samples: Iterable[Prediction]) -> None:
        """Hand over predictions as MMDetection's dictionaries."""
        self.metric.process({}, [self._as_mmdet(prediction) for prediction in data_samples])

    def compute_metrics(self, results: list) -> Metrics:
        """Not used: `evaluate` belongs to the wrapped metric."""
        return dict(self.metric.compute_metrics(results))

    def evaluate(self, size: int) -> Metrics:
        """The wrapped metric's scores under its own keys, prefixed with `mmdet/`."""
        scores = self.metric.evaluate(size)
        return {f"{self.prefix}/{key}": float(value) for key, value in scores.items()}

    def _as_mmdet(self, prediction: Prediction) -> dict[str, object]:
        result = prediction.result
        if not isinstance(result, DetectionResult):
            raise InputError("detection scores need detection results")
        found = {
            "bboxes": torch.from_numpy(result.boxes),
            "scores": torch.from_numpy(result.scores),
            "labels": torch.from_numpy(result.labels),
        }
        if result.masks is not None:
            found["masks"] = torch.from_numpy(result.masks)
        number = self.image_ids[prediction.index]
        size = prediction.sample.image_size
        return {"img_id": number, "ori_shape": size, "pred_instances": found}
