"""Anomaly data in the layout of MVTec AD, or a plain folder of normal pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dense.datasets._files import pictures, require_directory
from dense.datasets.support import select_support
from dense.errors import InputError, unknown_name
from dense.images import read_image, read_mask
from dense.structures import Sample, Size

Split = Literal["train", "test"]

NORMAL_NAMES = ("good", "ok", "normal")
"""Folder names of defect-free pictures (MVTec AD, BTAD and VisA conversions)."""


@dataclass(frozen=True)
class AnomalyItem:
    """One picture of an anomaly data set.

    Attributes:
        image_path: The picture.
        mask_path: Its defect mask, if there is one.
        label: 0 normal, 1 anomalous.
        category: The product.
        defect_type: Folder name; one of `NORMAL_NAMES` for normal pictures.
    """

    image_path: Path
    mask_path: Path | None
    label: int
    category: str
    defect_type: str


class AnomalyFolder(Dataset[Sample]):
    """`CATEGORY/{train/good, test/good, test/DEFECT, ground_truth/DEFECT/*_mask.png}`.

    The root may be one category, hold several, or (`split="train"` only) be a plain folder of
    normal pictures. A mask is called `STEM_mask` or `STEM`; a defect folder without any mask is
    allowed, its samples have `mask=None`; one with some masks missing is refused. Normal pictures
    get an empty mask. Masks count as defect above 127, or above 0 if none of their values is.

    Args:
        root: The folder.
        category: One of the categories; ``None`` takes all of them. For a plain folder: the
            category its samples get.
        split: ``"train"`` gives normal pictures alone, ``"test"`` both kinds.

    Raises:
        InputError: If the layout is not as described or nothing is there.
    """

    def __init__(
        self, root: str | Path, category: str | None = None, *, split: Split = "test"
    ) -> None:
        if split not in ("train", "test"):
            raise unknown_name("split", split, ("train", "test"))
        self.root = require_directory(Path(root), "the data set")
        self.split = split
        self.items: list[AnomalyItem] = []
        for folder in self._category_folders(category):
            self.items += _category_items(folder, split)
        if not self.items:
            self.items = self._plain_items(category)
        found = {item.category for item in self.items}
        self.categories: tuple[str, ...] = tuple(sorted(found))

    @property
    def metainfo(self) -> dict[str, object]:
        """`categories`: their names, sorted."""
        return {"categories": self.categories}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        image = read_image(item.image_path)
        mask: NDArray[np.bool_] | None = None
        if item.label == 0:
            mask = np.zeros(image.shape[:2], np.bool_)
        elif item.mask_path is not None:
            mask = read_defect_mask(item.mask_path, (image.shape[0], image.shape[1]))
        return Sample(image, item.image_path, mask, item.label, category=item.category)

    def support(self, shots: int, seed: int = 0) -> list[Sample]:
        """Read `shots` normal pictures of each category, chosen by `select_support`.

        Raises:
            InputError: If a category has fewer normal pictures.
        """
        chosen: list[int] = []
        for category in self.categories:
            rows = [i for i, x in enumerate(self.items) if x.category == category and not x.label]
            index = {self.items[i].image_path: i for i in rows}
            try:
                chosen += [index[path] for path in select_support(list(index), shots, seed)]
            except InputError as error:
                raise InputError(f"category {category!r}: {error}") from error
        return [self[i] for i in chosen]

    def counts(self) -> dict[str, int]:
        """Number of pictures by `category/defect_type`."""
        return dict(Counter(f"{item.category}/{item.defect_type}" for item in self.items))

    def _category_folders(self, category: str | None) -> list[Path]:
        if (self.root / self.split).is_dir():
            if category not in (None, self.root.resolve().name):
                raise unknown_name("category", str(category), [self.root.resolve().name])
            return [self.root]
        folders = {
            entry.name: entry
            for entry in sorted(self.root.iterdir())
            if (entry / self.split).is_dir()
        }
        if category is None or not folders:
            return list(folders.values())
        if category not in folders:
            raise unknown_name("category", category, folders)
        return [folders[category]]

    def _plain_items(self, category: str | None) -> list[AnomalyItem]:
        found = pictures(self.root) if self.split == "train" else []
        if not found:
            raise InputError(
                f"no {self.split} pictures in {self.root}: expected {self.split}/good below it or "
                "below each of its category folders"
                + (", or a plain folder of normal pictures" if self.split == "train" else "")
            )
        name = category if category is not None else self.root.resolve().name
        return [AnomalyItem(path, None, 0, name, "good") for path in found]


def read_defect_mask(path: Path, size: Size) -> NDArray[np.bool_]:
    """Read a defect mask as (H, W) bool.

    Raises:
        InputError: If it cannot be read or has another size than its picture.
    """
    mask = read_mask(path, size)
    return mask > (127 if mask.max(initial=0) > 127 else 0)


def _category_items(folder: Path, split: Split) -> list[AnomalyItem]:
    name = folder.resolve().name
    items = []
    for kind in sorted(p for p in (folder / split).iterdir() if p.is_dir()):
        normal = kind.name.lower() in NORMAL_NAMES
        if normal or split == "test":
            found = pictures(kind)
            masks = {} if normal else _find_masks(folder / "ground_truth" / kind.name, found)
            items += [
                AnomalyItem(path, masks.get(path), int(not normal), name, kind.name)
                for path in found
            ]
    return items


def _find_masks(directory: Path, found: list[Path]) -> dict[Path, Path]:
    available = {path.stem: path for path in pictures(directory)} if directory.is_dir() else {}
    if not available:
        return {}
    masks = {}
    for path in found:
        mask = available.get(f"{path.stem}_mask") or available.get(path.stem)
        if mask is None:
            raise InputError(
                f"{path} has no mask {path.stem}_mask.png in {directory}, though others have one; "
                "add it, or remove the folder to score pictures alone"
            )
        masks[path] = mask
    return masks
