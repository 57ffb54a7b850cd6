"""Anomaly data sets that list their pictures in a file, or put masks beside them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from dense.datasets._files import pictures, read_json
from dense.datasets.anomaly_items import AnomalyItem, Split, listed_file, subfolders
from dense.errors import InputError
from dense.images import read_mask


class VisALists:
    """VisA as it is unpacked: ``CATEGORY/Data/Images`` and the one-class split as a list."""

    LIST = "split_csv/1cls.csv"
    COLUMNS = ("object", "split", "label", "image", "mask")

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """Categories that the list names."""
        path = root / self.LIST
        return {row["object"]: path for row in self._rows(path)} if path.is_file() else {}

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures that the list deals to the split."""
        root = place.parent.parent
        found = []
        for row in self._rows(place):
            if (row["object"], row["split"]) == (name, split):
                label = int(row["label"] != "normal")
                masks = (listed_file(root / row["mask"], place),) if label and row["mask"] else ()
                image = listed_file(root / row["image"], place)
                found.append(AnomalyItem(image, masks, label, name, row["label"], 0))
        return [item for item in found if split == "test" or not item.label]

    def _rows(self, path: Path) -> list[dict[str, str]]:
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.DictReader(stream))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"cannot read {path} as a list of VisA: {error}") from error
        if any(row.get(column) is None for row in rows for column in self.COLUMNS):
            raise InputError(f"{path} needs the columns {', '.join(self.COLUMNS)} in every line")
        return rows


class RealIADLists:
    """Real-IAD: pictures below ``realiad_SIZE``, a JSON list for each category.

    ``realiad_jsons/realiad_jsons`` (every view) is read where it is there, else
    ``realiad_jsons`` itself. The largest pictures there are taken.
    """

    EXPECTED = "a Real-IAD list with meta, train and test"

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """A category for each list."""
        for folder in (root / "realiad_jsons" / "realiad_jsons", root / "realiad_jsons"):
            lists = sorted(folder.glob("*.json")) if folder.is_dir() else []
            if lists:
                return {path.stem: path for path in lists}
        return {}

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures of the list."""
        content = cast(Any, read_json(place, self.EXPECTED))
        try:
            normal = content["meta"]["normal_class"]
            base = self._pictures(place) / content["meta"]["prefix"]
            found = []
            for row in content[split]:
                kind, mask = str(row["anomaly_class"]), row.get("mask_path")
                label = int(kind != normal)
                masks = (listed_file(base / mask, place),) if label and mask else ()
                image = listed_file(base / row["image_path"], place)
                found.append(AnomalyItem(image, masks, label, name, kind))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{place} lacks an entry ({error}): expected {self.EXPECTED}"
            ) from error
        return [item for item in found if split == "test" or not item.label]

    def _pictures(self, place: Path) -> Path:
        root = place.parent.parent
        root = root.parent if root.name == "realiad_jsons" else root
        sizes = {folder.name.removeprefix("realiad_"): folder for folder in subfolders(root)}
        numbers = [int(size) for size in sizes if size.isdecimal()]
        if not numbers:
            raise InputError(f"no pictures in {root}: expected a folder like realiad_1024")
        return sizes[str(max(numbers))]


class MasksBeside:
    """KolektorSDD2: ``train`` and ``test`` with ``NAME.png`` and ``NAME_GT.png`` beside it.

    A picture is defective if its mask marks anything, so all masks are read here.
    """

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """The root."""
        sign = next((root / split).glob("*_GT.*"), None) if (root / split).is_dir() else None
        return {root.resolve().name: root} if sign else {}

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures with their masks."""
        available = {path.stem: path for path in pictures(place / split)}
        found = []
        for stem, path in available.items():
            if stem.endswith("_GT"):
                continue
            mask = available.get(f"{stem}_GT")
            if mask is None:
                raise InputError(f"{path} has no mask {stem}_GT.png beside it; add it")
            label = int(read_mask(mask).any())
            kind = "defect" if label else "good"
            found.append(AnomalyItem(path, (mask,) if label else (), label, name, kind))
        return [item for item in found if split == "test" or not item.label]


class DAGMLists:
    """DAGM 2007: ``ClassN/{Train,Test}`` with ``Label/Labels.txt`` and ``Label/NAME_label.PNG``.

    A line of the list is: number, 0 or 1, picture, 0 or 1, mask or 0. Without the list, a picture
    is defective if it has a mask. Masks are rough ellipses.
    """

    def categories(self, root: Path, split: Split) -> Mapping[str, Path]:
        """The classes."""
        part = split.capitalize()
        folders = [root] if (root / part / "Label").is_dir() else subfolders(root)
        return {f.resolve().name: f for f in folders if (f / part / "Label").is_dir()}

    def items(self, place: Path, name: str, split: Split) -> list[AnomalyItem]:
        """Pictures of a class."""
        folder = place / split.capitalize()
        masks = {path.stem: path for path in pictures(folder / "Label")}
        listed = folder / "Label" / "Labels.txt"
        defects = {stem.removesuffix("_label") for stem in masks}
        if listed.is_file():
            rows = [line.split() for line in listed.read_text(encoding="utf-8-sig").splitlines()]
            defects = {Path(row[2]).stem for row in rows if len(row) >= 5 and row[1] == "1"}
        found = []
        for path in pictures(folder):
            label, mask = int(path.stem in defects), masks.get(f"{path.stem}_label")
            if label and mask is None:
                raise InputError(f"{path} has no mask {path.stem}_label.PNG in {folder / 'Label'}")
            if label == 0 or (split == "test" and mask is not None):
                marked = (mask,) if label and mask is not None else ()
                found.append(AnomalyItem(path, marked, label, name, "defect" if label else "good"))
        return found
