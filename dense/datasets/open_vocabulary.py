"""Which classes of a detection benchmark count as never seen: OV-COCO and OV-LVIS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dense.datasets._files import read_json
from dense.errors import InputError

OV_COCO_NOVEL = (
    "airplane",
    "bus",
    "cat",
    "dog",
    "cow",
    "elephant",
    "umbrella",
    "tie",
    "snowboard",
    "skateboard",
    "cup",
    "knife",
    "cake",
    "couch",
    "keyboard",
    "sink",
    "scissors",
)
"""The 17 novel classes of Bansal et al., "Zero-Shot Object Detection", ECCV 2018."""

OV_COCO_BASE = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "train",
    "truck",
    "boat",
    "bench",
    "bird",
    "horse",
    "sheep",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "handbag",
    "suitcase",
    "frisbee",
    "skis",
    "kite",
    "surfboard",
    "bottle",
    "fork",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "pizza",
    "donut",
    "chair",
    "bed",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "microwave",
    "oven",
    "toaster",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "toothbrush",
)
"""The 48 base classes of the same."""


@dataclass(frozen=True)
class Split:
    """Category ids of a benchmark's JSON.

    Attributes:
        novel: Never seen with boxes in training.
        base: Seen.
    """

    novel: tuple[int, ...]
    base: tuple[int, ...]


def coco_split(categories: Sequence[Mapping[str, object]]) -> Split:
    """OV-COCO's 17 / 48 split of COCO's categories.

    Raises:
        InputError: If a class of the split is not among them.
    """
    ids = {str(row["name"]): int(row["id"]) for row in categories}  # type: ignore[call-overload]
    lost = sorted({*OV_COCO_NOVEL, *OV_COCO_BASE} - set(ids))
    if lost:
        raise InputError(
            f"OV-COCO needs COCO's class names, but {', '.join(lost[:5])} are not among the "
            f"{len(ids)} categories"
        )
    return Split(tuple(ids[n] for n in OV_COCO_NOVEL), tuple(ids[n] for n in OV_COCO_BASE))


def lvis_split(categories: Sequence[Mapping[str, object]]) -> Split:
    """OV-LVIS: rare classes are novel, common and frequent ones base (Gu et al., ICLR 2022).

    Raises:
        InputError: If the categories have no `frequency`.
    """
    if not all(row.get("frequency") in ("r", "c", "f") for row in categories):
        raise InputError("OV-LVIS needs LVIS's annotations: categories with frequency r, c or f")
    ids: dict[bool, list[int]] = {True: [], False: []}
    for row in categories:
        ids[row["frequency"] == "r"].append(int(row["id"]))  # type: ignore[call-overload]
    return Split(tuple(ids[True]), tuple(ids[False]))


def find_split(annotations: str | Path, name: str) -> Split:
    """Read the split of a benchmark's JSON by the split's name, ``"coco"`` or ``"lvis"``."""
    splits = {"coco": coco_split, "lvis": lvis_split}
    if name not in splits:
        from dense.errors import unknown_name

        raise unknown_name("split", name, splits)
    content = read_json(Path(annotations), "COCO's categories")
    categories = content.get("categories")
    if not isinstance(categories, list) or not categories:
        raise InputError(f"{annotations} lists no categories")
    return splits[name](categories)
