"""The folder layouts of anomaly data sets: each turned into the same list of items.

Layouts that differ in folder names alone are rows of a table (`Folders`); those that list their
pictures in a file, or put masks beside pictures, have a reader each in `anomaly_lists`. Only public
splits are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dense.datasets._files import pictures
from dense.datasets.anomaly_items import (
    AnomalyItem,
    Layout,
    Split,
    find_masks,
    is_normal,
    matched,
    subfolders,
)
from dense.datasets.anomaly_lists import DAGMLists, MasksBeside, RealIADLists, VisALists

NO_KINDS = ("ground_truth", "masks", "train", "test")
"""Folders that hold no kind of picture themselves."""


@dataclass(frozen=True)
class Folders:
    """A folder for each kind of picture, normal ones called like `NORMAL_NAMES`.

    Attributes:
        train: Folder of a category that holds the kinds for training.
        test: The same for the test.
        masks: Folder of a kind's masks below the category; ``{}`` stands for the kind.
        pictures: Folder of the pictures below the kind, if there is one; else the kind itself.
        mask_folders: A picture's masks are all files in a folder of its name.
        sign: A path below the category that tells this layout from the others.
    """

    train: str = "train"
    test: str = "test"
    masks: str = "ground_truth/{}"
    pictures: str = ""
    mask_folders: bool = False
    sign: str = ""

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """The root itself, or its folders, that have a folder of the split."""
        part = self.train if split == "train" else self.test
        folders = [root] if (root / part).is_dir() else subfolders(root)
        return {
            folder.resolve().name: folder
            for folder in folders
            if (folder / part).is_dir() and (not self.sign or any(folder.glob(self.sign)))
        }

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures of every kind."""
        found = []
        for kind in subfolders(place / (self.train if split == "train" else self.test)):
            normal = is_normal(kind)
            if (split == "train" and not normal) or kind.name in NO_KINDS:
                continue
            inner = kind / self.pictures
            paths = pictures(inner if self.pictures and inner.is_dir() else kind)
            masks = {} if normal else self._masks(place / self.masks.format(kind.name), paths)
            above = 0 if self.mask_folders else None
            found += [
                AnomalyItem(p, masks.get(p, ()), int(not normal), name, kind.name, above)
                for p in paths
            ]
        return found

    def _masks(self, folder: Path, paths: list[Path]) -> dict[Path, tuple[Path, ...]]:
        if not self.mask_folders:
            return find_masks(folder, paths)
        inner = {entry.name: tuple(pictures(entry)) for entry in subfolders(folder)}
        return matched(inner, folder, paths, "folder {}")


class Kinds:
    """Plain folders of pictures, one a kind: ``{good, scratch, dent}``, masks if there are any.

    There is no split: of the normal pictures, sorted, every second one (the first, third, …) is
    for training and the others for the test. All defective ones are for the test.
    """

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """The root, or its folders, in which one folder holds normal pictures."""
        folders = [root] if self._kinds(root) else subfolders(root)
        return {f.resolve().name: f for f in folders if any(map(is_normal, self._kinds(f)))}

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures of every kind; normal ones are dealt out in turn."""
        found = []
        for kind in self._kinds(place):
            paths = pictures(kind)
            if is_normal(kind):
                paths = paths[0 if split == "train" else 1 :: 2]
                found += [AnomalyItem(p, (), 0, name, kind.name) for p in paths]
            elif split == "test":
                folders = (place / "ground_truth" / kind.name, place / "masks" / kind.name)
                masks = next((m for f in folders if (m := find_masks(f, paths))), {})
                found += [AnomalyItem(p, masks.get(p, ()), 1, name, kind.name) for p in paths]
        return found

    def _kinds(self, folder: Path) -> list[Path]:
        kinds = [f for f in subfolders(folder) if f.name not in NO_KINDS and pictures(f)]
        return kinds if not pictures(folder) else []


@dataclass(frozen=True)
class Flat:
    """A folder of pictures and nothing else.

    Attributes:
        label: 0: all normal, for training alone; 1: all defective, for the test alone.
    """

    label: int = 0

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """The root."""
        fits = split == ("test" if self.label else "train")
        return {root.resolve().name: root} if fits and pictures(root) else {}

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Every picture."""
        kind = "defect" if self.label else "good"
        return [AnomalyItem(path, (), self.label, name, kind) for path in pictures(place)]


LAYOUTS: dict[str, Layout] = {
    "visa": VisALists(),
    "real_iad": RealIADLists(),
    "mvtec_ad_2": Folders(
        test="test_public", masks="test_public/ground_truth/{}", sign="test_public"
    ),
    "mvtec_loco": Folders(mask_folders=True, sign="test/logical_anomalies"),
    "bmad": Folders(masks="test/{}/label", pictures="img", sign="test/[Uu]ngood"),
    "kolektor": MasksBeside(),
    "dagm": DAGMLists(),
    "mvtec": Folders(),
    "kinds": Kinds(),
    "flat": Flat(),
    "defects": Flat(label=1),
}
"""Layouts by name, the most telling first."""

AUTOMATIC = tuple(name for name in LAYOUTS if name != "defects")
"""Those that are found out: the first that has a category. Defects must be called so."""
