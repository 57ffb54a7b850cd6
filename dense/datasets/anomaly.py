"""Anomaly data in the layouts of the benchmarks, or plain folders of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dense.datasets._files import require_directory
from dense.datasets.anomaly_items import AnomalyItem, Split
from dense.datasets.anomaly_layouts import AUTOMATIC, LAYOUTS
from dense.datasets.support import select_support
from dense.errors import InputError, unknown_name
from dense.images import read_image, read_mask
from dense.structures import Sample, Size

AUTO = "auto"


class AnomalyFolder(Dataset[Sample]):
    """Categories of normal and defective pictures, in any layout of `LAYOUTS`.

    The root may be one category or hold several. The usual layout is that of MVTec AD,
    ``CATEGORY/{train/good, test/good, test/DEFECT, ground_truth/DEFECT/NAME_mask.png}``; a plain
    folder of pictures is support for training. A defect folder without any mask is allowed, its
    samples have ``mask=None``; one with some masks missing is refused. Normal pictures get an
    empty mask. Where masks have grey edges, values above 127 are the defect; masks that hold
    class numbers (none above 127) mark it with any value above 0.

    Args:
        root: The folder.
        category: One of the categories; ``None`` takes all of them. For a plain folder: the
            category its samples get.
        split: ``"train"`` gives normal pictures alone, ``"test"`` both kinds.
        layout: A name of `LAYOUTS`; ``"auto"`` takes the first of `AUTOMATIC` that fits.

    Raises:
        InputError: If the layout is not as described or nothing is there.
    """

    def __init__(
        self,
        root: str | Path,
        category: str | None = None,
        *,
        split: Split = "test",
        layout: str = AUTO,
    ) -> None:
        if split not in ("train", "test"):
            raise unknown_name("split", split, ("train", "test"))
        if layout not in (AUTO, *LAYOUTS):
            raise unknown_name("layout", layout, (AUTO, *LAYOUTS))
        self.root = require_directory(Path(root), "the data set")
        self.split = split
        self.layout, places = self._find_layout(layout)
        self.items: list[AnomalyItem] = []
        for name, place in self._chosen(places, category).items():
            self.items += LAYOUTS[self.layout].items(place, name, split)
        if not self.items:
            raise self._nothing()
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
        elif item.mask_paths:
            size = (image.shape[0], image.shape[1])
            masks = [read_defect_mask(path, size, item.mask_above) for path in item.mask_paths]
            mask = np.any(masks, axis=0)
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

    def _find_layout(self, layout: str) -> tuple[str, Mapping[str, Path]]:
        for name in AUTOMATIC if layout == AUTO else (layout,):
            places = LAYOUTS[name].categories(self.root, self.split)
            if places:
                return name, places
        raise self._nothing()

    def _chosen(self, places: Mapping[str, Path], category: str | None) -> Mapping[str, Path]:
        if category is None:
            return places
        if self.layout in ("flat", "defects"):
            return {category: next(iter(places.values()))}
        if category not in places:
            raise unknown_name("category", category, places)
        return {category: places[category]}

    def _nothing(self) -> InputError:
        return InputError(
            f"no {self.split} pictures in {self.root}: expected {self.split}/good below it or "
            "below each of its category folders"
            + (", or a plain folder of normal pictures" if self.split == "train" else "")
            + ", or another layout of data/README.md"
        )


def read_defect_mask(path: Path, size: Size, above: int | None = None) -> NDArray[np.bool_]:
    """Read a defect mask as (H, W) bool.

    Args:
        path: The mask.
        size: (H, W) of its picture.
        above: Values above it are the defect; ``None`` takes 127, or 0 if no value is above.

    Raises:
        InputError: If it cannot be read or has another size than its picture.
    """
    mask = read_mask(path, size)
    if above is None:
        above = 127 if mask.max(initial=0) > 127 else 0
    return mask > above
