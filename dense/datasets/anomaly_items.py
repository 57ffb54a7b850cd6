"""What the readers of anomaly data sets share: items, names of normal pictures, masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from dense.datasets._files import pictures
from dense.errors import InputError

Split = Literal["train", "test"]

NORMAL_NAMES = ("good", "ok", "normal")
"""Folder names of defect-free pictures, in any case."""


@dataclass(frozen=True)
class AnomalyItem:
    """One picture of an anomaly data set.

    Attributes:
        image_path: The picture.
        mask_paths: Its defect masks, joined; none where nothing is marked.
        label: 0 normal, 1 anomalous.
        category: The product.
        defect_type: Folder name, or what the data set's lists call it.
        mask_above: A mask's value above this marks a defect; ``None`` takes 127, or 0 if none of
            the mask's values is above 127.
    """

    image_path: Path
    mask_paths: tuple[Path, ...]
    label: int
    category: str
    defect_type: str
    mask_above: int | None = None


class Layout(Protocol):
    """One way to lay out categories."""

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """Its categories by name, each with its folder or list; none if this is another layout."""
        ...

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures of a category, normal ones alone for ``"train"``.

        Raises:
            InputError: If something is missing or broken.
        """
        ...


def find_masks(folder: Path, paths: list[Path]) -> dict[Path, tuple[Path, ...]]:
    """Masks ``NAME_mask`` or ``NAME`` of pictures; none if the folder holds none.

    Raises:
        InputError: If some pictures have a mask and others do not.
    """
    found = {path.stem: (path,) for path in pictures(folder)} if folder.is_dir() else {}
    masks = found | {stem.removesuffix("_mask"): mask for stem, mask in found.items()}
    return matched(masks, folder, paths, "{}_mask.png")


def matched(
    masks: Mapping[str, tuple[Path, ...]], folder: Path, paths: list[Path], called: str
) -> dict[Path, tuple[Path, ...]]:
    """Masks of pictures by their stem; none if there are none at all.

    Raises:
        InputError: If some pictures have a mask and others do not.
    """
    if not masks:
        return {}
    for path in paths:
        if not masks.get(path.stem):
            raise InputError(
                f"{path} has no mask {called.format(path.stem)} in {folder}, though others have "
                "one; add it, or remove the folder to score pictures alone"
            )
    return {path: masks[path.stem] for path in paths}


def listed_file(path: Path, listing: Path) -> Path:
    """Return a path that a list names.

    Raises:
        InputError: If there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{listing} names {path}, which is missing: unpack the whole data set")
    return path


def is_normal(kind: Path) -> bool:
    """Whether a folder is called like `NORMAL_NAMES`."""
    return kind.name.lower() in NORMAL_NAMES


def subfolders(root: Path) -> list[Path]:
    """Folders in a folder, sorted; none if it is not there."""
    return sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
