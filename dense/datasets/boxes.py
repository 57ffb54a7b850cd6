"""Boxes that a user brings for pictures: a list by file name, or COCO's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.datasets._files import read_json
from dense.datasets.coco import read_coco
from dense.errors import InputError

_FORM = '{"photo.jpg": [[x0, y0, x1, y1], ...]} or COCO\'s images, annotations and categories'

BoxesByName = Mapping[str, NDArray[np.float32]]


def read_boxes(path: str | Path) -> BoxesByName:
    """Read boxes (R, 4) xyxy in pixels by the name of their picture.

    Raises:
        InputError: If the file is missing, or of neither form.
    """
    path = Path(path)
    content = read_json(path, _FORM)
    if {"images", "annotations", "categories"} <= set(content):
        return {Path(record.file_name).name: record.boxes for record in read_coco(path)[1]}
    found: dict[str, NDArray[np.float32]] = {}
    for name, rows in content.items():
        try:
            boxes = np.array(rows, np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path}: the boxes of {name} are no numbers; expected {_FORM}"
            ) from error
        if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
            raise InputError(
                f"{path}: the boxes of {name} must be rows of x0 y0 x1 y1, got shape "
                f"{boxes.shape}; expected {_FORM}"
            )
        found[Path(name).name] = boxes.reshape(-1, 4)
    return found


def proposals_json(found: Mapping[Path, NDArray[np.floating]]) -> str:
    """Boxes (R, 4) xyxy of pictures as a COCO file with the one class ``object``."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (path, boxes) in enumerate(found.items(), 1):
        images.append({"id": number, "file_name": path.name})
        for x0, y0, x1, y1 in boxes.tolist():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [round(v, 2) for v in (x0, y0, x1 - x0, y1 - y0)],
                }
            )
    categories = [{"id": 1, "name": "object"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})
