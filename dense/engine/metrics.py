"""`dense.metrics` under the Runner: exact sample accounting, the glossary's keys, percent.

MMEngine cuts or pads the list of results to the data-set length, which hides wrong counts. Here
each record carries the index of its sample; a sample met twice counts once, and a missing one is
an error.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info, is_main_process
from mmengine.evaluator import BaseMetric

from dense.engine.model import Prediction
from dense.errors import DenseError, InputError
from dense.metrics import PixelScores, anomaly_scores, confusion_matrix, segmentation_scores
from dense.metrics.anomaly import defect_pixels, pixel_scores
from dense.structures import AnomalyResult, SegmentationResult

Record: TypeAlias = dict[str, object]
Metrics: TypeAlias = dict[str, float]


class ExactMetric(BaseMetric):
    """Counts every sample of the data set exactly once, over all processes.

    A process counts the samples whose index is its rank modulo the number of processes, which is
    how round-robin samplers deal them; copies that pad other processes are left out.
    """

    default_prefix = ""

    def __init__(self) -> None:
        super().__init__(collect_device="cpu", prefix="")
        self._seen: set[int] = set()

    @abstractmethod
    def record(self, prediction: Prediction) -> Record:
        """What is kept of one prediction: small, on the CPU."""

    @abstractmethod
    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Scores of the whole data set from its records, in the order of its samples."""

    def process(self, data_batch: object, data_samples: Iterable[Prediction]) -> None:
        """Keep a record of each sample that is met for the first time."""
        rank, world = get_dist_info()
        for prediction in data_samples:
            index = prediction.index
            if index % world == rank and index not in self._seen:
                self._seen.add(index)
                self.results.append((index, self.record(prediction)))

    def compute_metrics(self, results: list[tuple[int, Record]]) -> Metrics:
        """Score gathered records."""
        return self.summarise([record for _, record in sorted(results, key=lambda row: row[0])])

    def evaluate(self, size: int) -> Metrics:
        """Gather all records and score them.

        Raises:
            InputError: If not every one of the `size` samples was counted, or a score cannot be
                computed; on all processes alike.
        """
        parts = all_gather_object((self.results, self.local_state()))
        outcome: list[Metrics | DenseError | None] = [None]
        if is_main_process():
            try:
                outcome = [self._score(parts, size)]
            except DenseError as error:
                outcome = [error]
        broadcast_object_list(outcome)
        self.results.clear()
        self._seen.clear()
        self.reset()
        if isinstance(outcome[0], DenseError):
            raise outcome[0]
        return outcome[0] or {}

    def local_state(self) -> object:
        """What this process has accumulated besides its records."""
        return None

    def merge_states(self, states: Sequence[object]) -> None:
        """Take over what all processes have accumulated."""

    def reset(self) -> None:
        """Forget what was accumulated besides the records."""

    def _score(self, parts: Sequence[tuple[list, object]], size: int) -> Metrics:
        records = [row for rows, _ in parts for row in rows]
        if len(records) != size:
            raise InputError(
                f"{len(records)} of {size} samples were evaluated: the sampler must deal every "
                "sample, round-robin (see dense.engine.data.ExactSampler)"
            )
        self.merge_states([state for _, state in parts])
        return self.compute_metrics(records)


class SegmentationMetric(ExactMetric):
    """`miou`, `macc`, `aacc`, and `iou/CLASS`, `acc/CLASS`, from data-set sums, in percent.

    Undecided pixels (255 in a class map) count as missed, and as no class's false alarm.

    Args:
        ignore_index: Mask value of pixels that are not scored.
    """

    def __init__(self, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names, from the data set.

        Raises:
            InputError: If the data set has none.
        """
        names = (self.dataset_meta or {}).get("classes")
        if not names:
            raise InputError("segmentation scores need a data set that names its classes")
        return tuple(names)

    def record(self, prediction: Prediction) -> Record:
        """Non-zero entries of the (K, K + 1) counts, the last column for undecided pixels."""
        result, truth = prediction.result, prediction.sample.mask
        names = self.class_names
        if not isinstance(result, SegmentationResult) or truth is None:
            raise InputError("segmentation scores need segmentation results and samples with masks")
        if len(result.class_names) != len(names):
            raise InputError(
                f"the method knows {len(result.class_names)} classes, the data set {len(names)}: "
                "give the method the data set's class list"
            )
        undecided = result.class_map == 255
        predicted = np.where(undecided, len(names), result.class_map)
        counts = confusion_matrix(predicted, truth, len(names) + 1, self.ignore_index)
        where = np.flatnonzero(counts)
        return {"where": where, "counts": counts.ravel()[where]}

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Scores of the summed counts."""
        names = self.class_names
        side = len(names) + 1
        total = np.zeros(side * side, np.int64)
        for record in records:
            total[np.asarray(record["where"], np.int64)] += np.asarray(record["counts"], np.int64)
        scores = segmentation_scores(total.reshape(side, side))
        iou, acc = scores["iou_per_class"][:-1], scores["acc_per_class"][:-1]
        metrics = {"miou": _mean(iou), "macc": _mean(acc), "aacc": scores["aacc"]}
        for name, value, accuracy in zip(names, iou, acc, strict=True):
            metrics[f"iou/{name}"] = value
            metrics[f"acc/{name}"] = accuracy
        return metrics


class AnomalyMetric(ExactMetric):
    """`image_auroc`, ..., `aupro` of each category (`KEY/CATEGORY`) and their mean (`KEY`).

    Keys are those of `dense.metrics.anomaly_scores`, in percent. The mean leaves out categories
    where a score is not defined. Anomalous samples without a mask that marks something enter image
    scores alone; a category without any such mask has no pixel scores.

    Args:
        pixel_bins: ``None`` keeps every pixel's score (exact); a power of two, e.g. ``2**20``,
            bounds the memory, see `dense.metrics.PixelScores`.
    """

    def __init__(self, *, pixel_bins: int | None = None) -> None:
        super().__init__()
        self.pixel_bins = pixel_bins
        self.pixels: dict[str, PixelScores] = {}

    def record(self, prediction: Prediction) -> Record:
        """Score and label of one picture; its pixels are added up by category."""
        result, sample = prediction.result, prediction.sample
        if not isinstance(result, AnomalyResult) or sample.label is None:
            raise InputError("anomaly scores need anomaly results and samples with labels")
        category = sample.category
        mask = defect_pixels(sample)
        if mask is not None or sample.label == 0:
            collector = self.pixels.setdefault(category, PixelScores(self.pixel_bins))
            collector.add(result.anomaly_map, mask)
        return {"category": category, "score": result.score, "label": sample.label}

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Scores by category, and their macro mean first."""
        by_category: dict[str, dict[str, float]] = {}
        for category in sorted({str(record["category"]) for record in records}):
            chosen = [record for record in records if record["category"] == category]
            by_category[category] = anomaly_scores(
                np.array([record["score"] for record in chosen], np.float64),
                np.array([record["label"] for record in chosen], np.int64),
            ) | pixel_scores(self.pixels.get(category))
        keys = list(next(iter(by_category.values()), {}))
        metrics = {key: _mean([row[key] for row in by_category.values()]) for key in keys}
        for category, row in by_category.items():
            metrics.update({f"{key}/{category}": value for key, value in row.items()})
        return metrics

    def local_state(self) -> object:
        return self.pixels

    def merge_states(self, states: Sequence[object]) -> None:
        merged: dict[str, PixelScores] = {}
        for state in states:
            if isinstance(state, Mapping):
                for name, pixels in state.items():
                    merged[name] = merged[name].merge(pixels) if name in merged else pixels
        self.pixels = merged

    def reset(self) -> None:
        self.pixels = {}


class MMSegMetric(BaseMetric):
    """A metric of MMSegmentation, e.g. its `IoUMetric`, on our segmentation predictions.

    Use it with `dense.engine.data.test_loader`, whose sampler deals each sample once.

    Args:
        metric: Any metric that reads `pred_sem_seg` and `gt_sem_seg`.
    """

    default_prefix = "mmseg"

    def __init__(self, metric: BaseMetric) -> None:
        super().__init__()
        self.metric = metric

    def process(self, data_batch: object, data_samples: Iterable[Prediction]) -> None:
        """Hand over predictions as MMSegmentation's dictionaries."""
        self.metric.dataset_meta = self.dataset_meta
        self.metric.process({}, [_as_mmseg(prediction) for prediction in data_samples])

    def compute_metrics(self, results: list) -> Metrics:
        """Not used: `evaluate` belongs to the wrapped metric."""
        return dict(self.metric.compute_metrics(results))

    def evaluate(self, size: int) -> Metrics:
        """The wrapped metric's scores under its own keys, prefixed with `mmseg/`."""
        scores = self.metric.evaluate(size)
        return {f"{self.prefix}/{key}": float(value) for key, value in scores.items()}


def _as_mmseg(prediction: Prediction) -> dict[str, object]:
    result, truth = prediction.result, prediction.sample.mask
    if not isinstance(result, SegmentationResult) or truth is None:
        raise InputError("segmentation scores need segmentation results and samples with masks")
    return {
        "pred_sem_seg": {"data": torch.from_numpy(result.class_map)[None]},
        "gt_sem_seg": {"data": torch.from_numpy(truth.astype(np.int64))[None]},
        "img_path": str(prediction.sample.image_path or prediction.index),
    }


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if value == value]
    return float(np.mean(present)) if present else float("nan")
