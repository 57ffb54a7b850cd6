"""Classes that may be learned: labels, pictures and boxes that are left."""

from __future__ import annotations

from pathlib import Path

import pytest

from dense.datasets import DetectionFolder
from dense.datasets.class_subset import ClassSubset
from dense.errors import InputError
from tests.datasets.made import make_detection


def test_pictures_and_boxes_of_the_chosen_classes(tmp_path: Path) -> None:
    folder = DetectionFolder(make_detection(tmp_path))
    whole = ClassSubset(folder)
    assert whole.metainfo["classes"] == ("bolt", "nut") and len(whole) == 1  # a.png has no box
    assert whole[0].boxes is not None and whole[0].box_labels is not None
    assert whole[0].boxes.tolist() == folder.records[1].boxes.tolist()
    assert whole[0].box_labels.tolist() == folder.records[1].labels.tolist()
    nuts = ClassSubset(folder, ["nut"])[0]
    assert nuts.boxes is not None and nuts.box_labels is not None
    assert nuts.boxes.tolist() == [[1, 2, 11, 22]] and nuts.box_labels.tolist() == [0]
    turned = ClassSubset(folder, ["nut", "bolt"])[0]
    assert turned.box_labels is not None
    assert turned.box_labels.tolist() == (1 - folder.records[1].labels).tolist()


def test_refusals(tmp_path: Path) -> None:
    root = make_detection(tmp_path)
    with pytest.raises(InputError, match="unknown class of the data set 'nuts'"):
        ClassSubset(DetectionFolder(root), ["nuts"])
    file = root / "instances.json"
    file.write_text(
        file.read_text().replace('"name": "nut"}', '"name": "nut"}, {"id": 3, "name": "cog"}')
    )
    with pytest.raises(InputError, match="has a box of cog: there is nothing to learn from"):
        ClassSubset(DetectionFolder(root), ["cog"])
