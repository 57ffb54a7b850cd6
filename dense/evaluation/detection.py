"""COCO's and LVIS's average precision, with columns for novel and base classes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dense.datasets._files import read_json
from dense.datasets.open_vocabulary import Split
from dense.errors import InputError, MissingDependencyError, unknown_name
from dense.rle import encode_rle
from dense.structures import DetectionResult

Row = dict[str, object]

KINDS = ("bbox", "segm")
_FORM = "COCO's images, annotations and categories"


def coco_rows(
    result: DetectionResult, image_id: int | str, category_ids: Sequence[int]
) -> list[Row]:
    """Detections of one picture in COCO's result format; masks as packed run lengths.

    Args:
        result: Of the picture.
        image_id: Its id in the annotations.
        category_ids: Id of each class of the result.
    """
    rows: list[Row] = []
    for place, (box, score, label) in enumerate(
        zip(result.boxes.tolist(), result.scores.tolist(), result.labels.tolist(), strict=True)
    ):
        x0, y0, x1, y1 = box
        row: Row = {
            "image_id": image_id,
            "category_id": int(category_ids[label]),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": score,
        }
        if result.masks is not None:
            row["segmentation"] = encode_rle(result.masks[place])
        rows.append(row)
    return rows


def average_precision(
    annotations: str | Path | Mapping[str, object],
    rows: Sequence[Row],
    *,
    kind: str = "bbox",
    split: Split | None = None,
    lvis: bool = False,
    image_ids: Sequence[int | str] | None = None,
) -> dict[str, float]:
    """Average precision in percent, by faster-coco-eval, or else pycocotools.

    Args:
        annotations: COCO-style ground truth, as a file or read.
        rows: From `coco_rows`.
        kind: ``"bbox"`` or ``"segm"``.
        split: Adds `novel_ap`, `novel_ap50`, `base_ap`, `base_ap50`; other classes are left out of
            the evaluation.
        lvis: By LVIS's rules (federated annotations, 300 detections a picture; adds `ap_r`, `ap_c`
            and `ap_f`); needs faster-coco-eval.
        image_ids: Pictures that count; all if ``None``.

    Returns:
        `ap` (IoU .5 to .95), `ap50`, `ap75`, `ap_small`, `ap_medium`, `ap_large`, `ar` (mean
        recall over the same, 100 detections a picture), and more as said above; nan where nothing
        is defined.

    Raises:
        InputError: If a row names an unknown picture or category.
        MissingDependencyError: If no evaluator is installed.
    """
    if kind not in KINDS:
        raise unknown_name("kind of average precision", kind, KINDS)
    read = isinstance(annotations, Mapping)
    content = dict(annotations) if read else read_json(Path(str(annotations)), _FORM)  # type: ignore[arg-type]
    _check_rows(content, rows)
    if kind == "segm" and any("segmentation" not in row for row in rows):
        raise InputError("mask precision needs detections with masks: detect with masks=True")
    coco_class, eval_class = _evaluator(lvis)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _indexed(coco_class, content, _filled(content))
        if rows:
            found = truth.loadRes([dict(row) for row in rows])
        else:
            found = _indexed(coco_class, content, [])
        options = {"lvis_style": True} if lvis else {}
        evaluator = eval_class(truth, found, iouType=kind, **options)
        if split is not None:
            evaluator.params.catIds = [*split.novel, *split.base]
        if image_ids is not None:
            evaluator.params.imgIds = list(image_ids)
        if lvis:
            evaluator.params.maxDets = [300]
        for step in (evaluator.evaluate, evaluator.accumulate, evaluator.summarize):
            step()
    return _scores(evaluator, content, split, lvis)


def _scores(
    evaluator: Any, content: Mapping[str, object], split: Split | None, lvis: bool
) -> dict[str, float]:
    """Means over the evaluator's precision (IoU, recall, class, area, detections)."""
    precision = np.asarray(evaluator.eval["precision"], np.float64)[..., -1]
    thresholds = np.round(np.asarray(evaluator.params.iouThrs), 2)
    ids = list(evaluator.params.catIds)

    def mean(
        classes: Sequence[int] | None = None, iou: float | None = None, area: int = 0
    ) -> float:
        part = precision[:, :, :, area]
        if iou is not None:
            part = part[thresholds == iou]
        if classes is not None:
            part = part[:, :, [k for k, number in enumerate(ids) if number in set(classes)]]
        part = part[part > -1]
        return 100 * float(part.mean()) if part.size else float("nan")

    scores = {"ap": mean(), "ap50": mean(iou=0.5), "ap75": mean(iou=0.75)}
    for area, name in enumerate(("small", "medium", "large"), 1):
        scores[f"ap_{name}"] = mean(area=area)
    recall = np.asarray(evaluator.eval["recall"], np.float64)[:, :, 0, -1]
    recall = recall[recall > -1]
    scores["ar"] = 100 * float(recall.mean()) if recall.size else float("nan")
    if split is not None:
        for name, classes in (("novel", split.novel), ("base", split.base)):
            scores[f"{name}_ap"] = mean(classes)
            scores[f"{name}_ap50"] = mean(classes, 0.5)
    if lvis:
        categories: Sequence[Mapping[str, Any]] = content["categories"]  # type: ignore[assignment]
        for mark in "rcf":
            scores[f"ap_{mark}"] = mean(
                [int(row["id"]) for row in categories if row.get("frequency") == mark]
            )
    return scores


def _check_rows(content: Mapping[str, object], rows: Sequence[Row]) -> None:
    for key, part in (("image_id", "images"), ("category_id", "categories")):
        listed = content.get(part)
        if not isinstance(listed, list) or not listed:
            raise InputError(f"the annotations list no {part}; expected {_FORM}")
        known = {row["id"] for row in listed}
        lost = next((row[key] for row in rows if row[key] not in known), None)
        if lost is not None:
            raise InputError(f"a detection names {key} {lost}, which the annotations do not list")


def _evaluator(lvis: bool) -> tuple[Any, Any]:
    """The classes COCO and COCOeval of what is installed."""
    with contextlib.suppress(ImportError):
        faster = import_module("faster_coco_eval")
        return faster.COCO, faster.COCOeval_faster
    if lvis:
        raise MissingDependencyError(
            "LVIS's average precision needs faster-coco-eval: pip install 'dense-clip[detection]'"
        )
    try:
        return (
            import_module("pycocotools.coco").COCO,
            import_module("pycocotools.cocoeval").COCOeval,
        )
    except ImportError as error:
        raise MissingDependencyError(
            "average precision needs faster-coco-eval or pycocotools: pip install "
            "'dense-clip[detection]'"
        ) from error


def _filled(content: Mapping[str, object]) -> list[dict[str, object]]:
    """The annotations with the entries that files of one's own may lack."""
    annotations: Sequence[Mapping[str, Any]] = content["annotations"]  # type: ignore[assignment]
    return [
        {
            "iscrowd": 0,
            "area": float(row["bbox"][2]) * float(row["bbox"][3]),
            "ignore": 0,
            **row,
            "id": number,  # some files start at 0, which the evaluators take for "none"
        }
        for number, row in enumerate(annotations, 1)
    ]


def _indexed(coco_class: Any, content: Mapping[str, object], annotations: Sequence[Row]) -> Any:
    """The evaluator's data set of some annotations."""
    data = coco_class()
    data.dataset = {"info": {}, **content, "annotations": list(annotations)}
    data.createIndex()
    return data
