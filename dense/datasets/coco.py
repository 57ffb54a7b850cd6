"""Boxes from COCO-style JSON, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dense.datasets._files import read_json
from dense.errors import InputError
from dense.structures import Size

_FORM = "COCO's images, annotations and categories"

Rows: TypeAlias = Sequence[Mapping[str, object]]
_Row: TypeAlias = tuple[list[float], int, object]


@dataclass(frozen=True)
class BoxRecord:
    """The annotation of one picture.

    Attributes:
        file_name: As in the JSON.
        size: (H, W) as in the JSON, ``None`` if it does not say.
        boxes: (R, 4) float32 xyxy in original pixels.
        labels: (R,) int64 class indices.
        image_id: As in the JSON.
        segments: (R,) the `segmentation` of each box as in the JSON, ``None`` where there is none.
    """

    file_name: str
    size: Size | None
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    image_id: int | str = 0
    segments: tuple[object, ...] = ()


def category_ids(path: Path) -> tuple[int, ...]:
    """Category ids of a COCO-style JSON in the order of `read_coco`'s class indices."""
    return tuple(sorted(_whole(row["id"]) for row in _lists(path)[2]))


def read_coco(path: Path) -> tuple[tuple[str, ...], list[BoxRecord]]:
    """Read class names and one record a picture, sorted by file name.

    Raises:
        InputError: If the file is missing or broken, has no pictures or categories, or
            annotations that name unknown pictures or categories or have no proper box.
    """
    images, annotations, categories = _lists(path)
    try:
        names = {_whole(row["id"]): str(row["name"]) for row in categories}
        index = {category: k for k, category in enumerate(sorted(names))}
        boxes: dict[object, list[_Row]] = {row["id"]: [] for row in images}
        for row in annotations:
            if not row.get("iscrowd", 0):
                _check(row, boxes, index, path)
                corner = _corners(row, path)
                label = index[_whole(row["category_id"])]
                boxes[row["image_id"]].append((corner, label, row.get("segmentation")))
        records = [_record(row, boxes[row["id"]]) for row in images]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} lacks an entry or has one of another kind: {error}") from error
    ordered = sorted(records, key=lambda record: record.file_name)
    return tuple(names[category] for category in sorted(names)), ordered


def _lists(path: Path) -> tuple[Rows, Rows, Rows]:
    content = read_json(path, _FORM)
    parts = [content.get(key) for key in ("images", "annotations", "categories")]
    if not all(isinstance(part, list) for part in parts):
        raise InputError(f"{path} must hold the lists {_FORM}")
    for key, part in zip(("images", "categories"), (parts[0], parts[2]), strict=True):
        if not part:
            raise InputError(f"{path} lists no {key}")
    return cast(Rows, parts[0]), cast(Rows, parts[1]), cast(Rows, parts[2])


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _check(
    row: Mapping[str, object], boxes: Mapping[object, object], index: Mapping[int, int], path: Path
) -> None:
    for key, known in (("image_id", boxes), ("category_id", index)):
        if row[key] not in known:
            raise InputError(
                f"{path}: annotation {row.get('id')} names {key} {row[key]}, which is not listed"
            )


def _corners(row: Mapping[str, object], path: Path) -> list[float]:
    box = row["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not np.isfinite(box).all():
        raise InputError(f"{path}: annotation {row.get('id')} needs bbox [x, y, w, h], got {box}")
    x, y, w, h = map(float, box)
    if w <= 0 or h <= 0:
        raise InputError(
            f"{path}: annotation {row.get('id')} has a box without area, width {w} and height {h}"
        )
    return [x, y, x + w, y + h]


def _record(row: Mapping[str, object], boxes: Sequence[_Row]) -> BoxRecord:
    sized = "height" in row and "width" in row
    return BoxRecord(
        file_name=_file_name(row),
        size=(_whole(row["height"]), _whole(row["width"])) if sized else None,
        boxes=np.array([box for box, _, _ in boxes], np.float32).reshape(-1, 4),
        labels=np.array([label for _, label, _ in boxes], np.int64),
        image_id=cast(int, row["id"]),
        segments=tuple(segment for _, _, segment in boxes),
    )


def _file_name(row: Mapping[str, object]) -> str:
    """LVIS names its pictures by their address alone."""
    if "file_name" in row or "coco_url" not in row:
        return str(row["file_name"])
    return "/".join(str(row["coco_url"]).split("/")[-2:])
